//! Words that are stored and hashed: whoever changes one, changes what old rows and entries mean.

use anyhow::{Result, ensure};
use vpn_core::{
    audit::{Action, JobAct},
    domain::{ClientId, ClientStatus, JobInput, JobKind, JobState, ProvisionInput, RevokeInput, Role, Step},
};
use vpn_tests::stepping;

/// Checks that each word is what it was, and means itself.
fn words<T: std::str::FromStr + PartialEq + std::fmt::Debug>(
    all: &[(T, &str)],
    text: impl Fn(&T) -> &'static str,
) -> Result<()>
where
    T::Err: std::fmt::Debug,
{
    for (value, word) in all {
        assert_eq!(text(value), *word);
        ensure!(word.parse::<T>().is_ok_and(|parsed| parsed == *value), "{word}");
        ensure!(word.to_uppercase().parse::<T>().is_err() && format!("{word} ").parse::<T>().is_err());
    }
    ensure!("".parse::<T>().is_err());
    Ok(())
}

#[test]
fn stored_words_are_stable() -> Result<()> {
    use ClientStatus as C;
    use JobState as J;
    words(&[(C::Pending, "pending"), (C::Active, "active"), (C::Revoked, "revoked")], |it| it.as_str())?;
    words(&[(JobKind::Provision, "provision"), (JobKind::Revoke, "revoke")], |it| it.as_str())?;
    let states = [
        (J::Queued, "queued"),
        (J::Running, "running"),
        (J::Succeeded, "succeeded"),
        (J::Failed, "failed"),
        (J::Canceled, "canceled"),
    ];
    words(&states, |it| it.as_str())?;
    let steps = [
        (Step::Issue, "issue"),
        (Step::Acknowledge, "acknowledge"),
        (Step::PublishCrl, "publish-crl"),
        (Step::Disconnect, "disconnect"),
        (Step::Settle, "settle"),
    ];
    words(&steps, |it| it.as_str())?;
    let roles =
        [(Role::Viewer, "viewer"), (Role::Operator, "operator"), (Role::Auditor, "auditor"), (Role::Admin, "admin")];
    words(&roles, |it| it.as_str())
}

#[test]
fn a_jobs_input_is_stored_in_this_form() -> Result<()> {
    for (input, text) in [
        (JobInput::Provision(ProvisionInput::for_days(30)), r#"{"kind":"provision","validity_days":30}"#),
        (
            JobInput::Provision(ProvisionInput { csr: Some("PEM".to_owned()), ..ProvisionInput::for_days(1) }),
            r#"{"kind":"provision","validity_days":1,"csr":"PEM"}"#,
        ),
        (
            JobInput::Provision(ProvisionInput {
                address: Some("10.88.0.250".parse()?),
                routes: vec!["10.20.0.0/16".parse()?],
                ..ProvisionInput::for_days(1)
            }),
            r#"{"kind":"provision","validity_days":1,"address":"10.88.0.250","routes":["10.20.0.0/16"]}"#,
        ),
        (
            JobInput::Revoke(RevokeInput { reason: "laptop stolen".to_owned() }),
            r#"{"kind":"revoke","reason":"laptop stolen"}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&input)?, text);
        assert_eq!(serde_json::from_str::<JobInput>(text)?, input);
    }
    for odd in [r#"{"kind":"rotate"}"#, r#"{"kind":"revoke"}"#, r#"{"kind":"revoke","reason":"x","validity_days":1}"#] {
        ensure!(serde_json::from_str::<JobInput>(odd).is_err(), "{odd}");
    }
    Ok(())
}

#[test]
fn every_action_of_a_job_has_a_word_of_its_own() -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for kind in [JobKind::Provision, JobKind::Revoke] {
        for act in JobAct::ALL {
            let word = Action::Job(kind, act).as_str();
            ensure!(word.starts_with(&format!("{}.", kind.as_str())), "{word}");
            ensure!(seen.insert(word), "{word} twice");
        }
    }
    assert_eq!(seen.len(), 22);
    Ok(())
}

#[test]
fn ids_sort_by_the_time_they_were_made_at() {
    let ambient = stepping();
    let ids: Vec<_> = (0..50).map(|_| ClientId::generate(&ambient)).collect();
    assert!(ids.is_sorted() && ids.iter().map(ToString::to_string).is_sorted());
}
