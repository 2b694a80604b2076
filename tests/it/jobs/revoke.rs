//! Shutting clients out.

use anyhow::Result;
use vpn_core::{
    domain::{Client, ClientStatus, JobState},
    error::{Error, RejectionCode},
    host::Fault,
    service::{RetryJob, RevokeClient},
};
use vpn_tests::{Database, TestPlatform, hosts, platform::MAX_ATTEMPTS, whole_on_every_database};

whole_on_every_database!(a_revoked_client_is_in_the_crl_and_stays_out);

/// Whether the CRL in force on the shared host has the client's serial.
async fn in_the_crl(client: &Client) -> Result<bool> {
    let host = hosts::shared().await?;
    let crl = tokio::process::Command::new("openssl")
        .args(["crl", "-noout", "-text", "-in"])
        .arg(host.state.join("pub/crl.pem"))
        .output()
        .await?;
    Ok(String::from_utf8_lossy(&crl.stdout).contains(&format!("Serial Number: {}", client.serial)))
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
    for key in ["first", "second"] {
        assert_eq!(ask(key).await?, first, "{key}");
    }
    let anew = ask("third").await?;
    assert_ne!(anew, first);
    test.succeeded(anew).await?;
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
