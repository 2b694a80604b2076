//! Shutting clients out.

use anyhow::{Context as _, Result};
use vpn_core::{
    audit::AuditEntry,
    domain::{Claim, Client, ClientId, ClientStatus, JobState, WarningCode},
    error::{Error, RejectionCode},
    host::Fault,
    service::{RetryJob, RevokeClient},
    store::{AuditFilter, PageRequest},
};
use vpn_tests::{Database, TestPlatform, checker::pki::crl, hosts, platform::MAX_ATTEMPTS, whole_on_every_database};

whole_on_every_database!(a_revoked_client_is_in_the_crl_and_stays_out);

/// Whether the CRL in force on the shared host has the client's serial.
async fn in_the_crl(client: &Client) -> Result<bool> {
    Ok(crl(&hosts::shared().await?.state).await?.contains(client.serial.as_str()))
}

async fn a_revoked_client_is_in_the_crl_and_stays_out(test: TestPlatform) -> Result<()> {
    let worker = test.worker()?;
    let client = test.active().await?;
    assert!(!in_the_crl(&client).await?);
    let asked = test.revoke(client.id).await?;
    assert!(asked.client.revocation.is_some(), "from this instant nothing can activate it");
    test.succeeded(asked.job.id).await?;
    assert!(in_the_crl(&client).await?);
    assert_eq!(test.reload(client.id).await?.status(), ClientStatus::Revoked);

    let again = test.revoke(client.id).await?;
    assert_eq!((again.job.id, again.client.status()), (asked.job.id, ClientStatus::Revoked));
    let back = test.provision(client.id).await;
    assert!(matches!(back, Err(Error::Rejected(no)) if no.code == RejectionCode::WrongState));
    let profile = test.platform.deliver_profile(&test.admin, &client.id.to_string()).await;
    assert!(matches!(profile, Err(Error::Rejected(no)) if no.code == RejectionCode::ProfileGone));

    let job = test.platform.job(&test.admin, asked.job.id).await?.context("the job is stored")?;
    assert_eq!(job.proofs.iter().map(|proof| proof.claim).collect::<Vec<_>>(), Claim::ALL);
    let told = test.actions(client.id).await?;
    assert!(
        told.ends_with(&[
            "revoke.requested".into(),
            "revoke.started".into(),
            "revoke.published".into(),
            "revoke.disconnected".into(),
            "revoke.succeeded".into()
        ]),
        "{told:?}"
    );
    worker.drain().await?;
    test.check().await
}

#[tokio::test]
async fn a_client_that_was_never_let_in_can_be_shut_out() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let client = test.client().await?;
    let job = test.revoke(client.id).await?.job;
    test.succeeded(job.id).await?;
    assert!(in_the_crl(&client).await?, "so that a late issue finds it revoked");
    // Its name is free again.
    let input = vpn_core::service::CreateClient {
        name: client.name.to_string(),
        server_id: test.server.id.to_string(),
        idempotency_key: None,
    };
    let next = test.platform.create_client(&test.admin, input).await?;
    let job = test.provision(next.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await
}

#[tokio::test]
async fn a_profile_is_gone_from_the_request_on() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let client = test.active().await?;
    worker.drain().await?;
    test.revoke(client.id).await?;
    let profile = test.platform.deliver_profile(&test.admin, &client.id.to_string()).await;
    assert!(matches!(profile, Err(Error::Rejected(no)) if no.code == RejectionCode::ProfileGone));
    Ok(())
}

#[tokio::test]
async fn a_failed_revocation_is_asked_for_anew_and_an_old_key_gives_the_old_answer() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let client = test.client().await?;
    let ask = async |key: &str| {
        let (client_id, idempotency_key) = (client.id.to_string(), Some(key.to_owned()));
        let input = RevokeClient { client_id, reason: "lost".into(), idempotency_key };
        Ok::<_, Error>(test.platform.revoke_client(&test.admin, input).await?.job.id)
    };
    let first = ask("first").await?;
    assert_eq!(ask("second").await?, first, "one revocation is enough");
    for _ in 0..MAX_ATTEMPTS {
        test.faults.plan("revoke", Fault::Unreachable);
    }
    let worker = test.worker()?;
    assert_eq!(test.finished(first).await?.state, JobState::Failed);
    let warned = async || Ok::<_, Error>(test.platform.health(&test.admin).await?.warnings);
    let warnings = warned().await?;
    assert_eq!(warnings.iter().map(|it| it.code).collect::<Vec<_>>(), [WarningCode::RevocationsGivenUp]);
    assert!(warnings[0].message.contains("a revocation on `vpn1`") && warnings[0].message.contains("retry"));
    for key in ["first", "second"] {
        assert_eq!(ask(key).await?, first, "{key}");
    }
    let anew = ask("third").await?;
    assert_ne!(anew, first);
    test.succeeded(anew).await?;
    assert_eq!(warned().await?, []);
    // The failed one is not tried again where there is nothing left to do, nor one that did not fail.
    for (job, why) in [(first, "revoked already"), (anew, "only a failed job")] {
        let input = RetryJob { job_id: job.to_string(), idempotency_key: None };
        let refused = test.platform.retry_job(&test.admin, input).await;
        assert!(matches!(&refused, Err(Error::Rejected(no)) if no.message.contains(why)), "{refused:?}");
    }
    worker.drain().await?;
    test.check().await
}

#[tokio::test]
async fn lost_replies_do_not_keep_a_revocation_from_its_end() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let client = test.active().await?;
    test.faults.plan("revoke", Fault::ReplyLost);
    test.faults.plan("kill", Fault::ReplyLost);
    let job = test.revoke(client.id).await?.job;
    assert_eq!(test.succeeded(job.id).await?.attempts, 3);
    assert!(in_the_crl(&client).await?);
    worker.drain().await?;
    test.check().await
}

/// The entries of a client that carry proofs, oldest first.
async fn proofs_on_record(test: &TestPlatform, id: ClientId) -> Result<Vec<(String, usize)>> {
    let filter = AuditFilter { client_id: Some(id), ..AuditFilter::default() };
    let page = test.platform.audit_log(&test.admin, &filter, &PageRequest::first(100)).await?;
    let proofs = |entry: &AuditEntry| Some(entry.detail().get("proofs")?.as_array()?.len());
    let found = page.items.iter().rev().filter_map(|entry| Some((entry.columns.action.clone(), proofs(entry)?)));
    Ok(found.collect())
}

#[tokio::test]
async fn each_step_of_a_revocation_is_recorded_with_what_it_has_proven() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let client = test.active().await?;
    let job = test.revoke(client.id).await?.job;
    let job = test.succeeded(job.id).await?;
    let on_record = proofs_on_record(&test, client.id).await?;
    let expected = [("revoke.published", 2), ("revoke.disconnected", 3), ("revoke.succeeded", 5)];
    assert_eq!(on_record, expected.map(|(action, count)| (action.to_owned(), count)));
    // The shared host has no OpenVPN server, and the evidence says so instead of claiming that it was asked.
    let details: Vec<&str> = job.proofs.iter().map(|proof| proof.detail.as_str()).collect();
    assert!(
        matches!(details.as_slice(), [listed, readable, ended, left, refused]
        if listed.contains(client.serial.as_str()) && readable.contains("can reach and read")
            && [ended, left, refused].iter().all(|detail| detail.contains("no OpenVPN server"))),
        "{details:?}"
    );
    worker.drain().await
}

#[tokio::test]
async fn an_attempt_that_comes_only_half_way_proves_only_half() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let client = test.active().await?;
    for _ in 0..3 {
        test.faults.plan("kill", Fault::Unreachable);
    }
    let job = test.revoke(client.id).await?.job;
    let job = test.finished(job.id).await?;
    assert_eq!(job.state, vpn_core::domain::JobState::Failed);
    let claims: Vec<Claim> = job.proofs.iter().map(|proof| proof.claim).collect();
    assert_eq!(claims, [Claim::SerialInCrl, Claim::CrlReadable]);
    assert_ne!(test.reload(client.id).await?.status(), ClientStatus::Revoked);
    worker.drain().await
}
