//! What a job does when it cannot be done.

use anyhow::Result;
use vpn_core::{
    domain::{ClientStatus, JobState},
    error::{Error, RejectionCode},
    host::Fault,
    service::RetryJob,
};
use vpn_tests::{Database, TestPlatform, hosts, platform::MAX_ATTEMPTS};

const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

#[tokio::test]
async fn an_unreachable_host_fails_the_job_with_the_cure_and_a_person_can_retry_it() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    for _ in 0..MAX_ATTEMPTS {
        test.faults.plan("issue", Fault::Unreachable);
    }
    let worker = test.worker()?;
    let client = test.client().await?;
    let asked = test.provision(client.id).await?.job;
    let failed = test.finished(asked.id).await?;
    assert_eq!((failed.state, failed.attempts), (JobState::Failed, MAX_ATTEMPTS));
    let failure = failed.failure.expect("a failed job says why");
    assert_eq!(failure.code, "HOST_UNREACHABLE");
    for part in ["vpn1", "127.0.0.1", "check that it runs"] {
        assert!(failure.message.contains(part), "{part} is not in: {}", failure.message);
    }
    assert_eq!(test.reload(client.id).await?.status(), ClientStatus::Pending);

    let retry = RetryJob { job_id: asked.id.to_string(), idempotency_key: None };
    let again = test.platform.retry_job(&test.admin, retry.clone()).await?.job;
    assert_eq!(again.retry_of, Some(asked.id));
    test.succeeded(again.id).await?;
    assert_eq!(test.reload(client.id).await?.status(), ClientStatus::Active);
    let done = test.platform.retry_job(&test.admin, retry).await;
    assert!(matches!(done, Err(Error::Rejected(no)) if no.code == RejectionCode::WrongState));
    worker.drain().await?;
    test.check().await
}

#[tokio::test]
async fn another_host_key_is_a_permanent_failure_and_nothing_is_sent() -> Result<()> {
    let host = hosts::private().await?;
    let vpn = host.host()?;
    let before = hosts::state(vpn)?;
    let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, OTHER_KEY).await?;
    let worker = test.worker()?;
    let client = test.client().await?;
    let job = test.provision(client.id).await?.job;
    let failed = test.finished(job.id).await?;
    assert_eq!((failed.state, failed.attempts), (JobState::Failed, 1));
    let failure = failed.failure.expect("a failed job says why");
    assert_eq!(failure.code, "HOST_KEY_MISMATCH");
    assert!(failure.message.contains("pin its new key"), "{}", failure.message);
    assert_eq!(hosts::state(vpn)?, before);
    assert_eq!(hosts::logins(vpn)?, 0);
    worker.drain().await?;
    host.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_host_that_comes_back_is_found_by_the_next_attempt() -> Result<()> {
    let host = hosts::private().await?;
    let vpn = host.host()?;
    let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    vpn.stop_sshd().await;
    let worker = test.worker()?;
    let client = test.client().await?;
    let job = test.provision(client.id).await?.job;
    vpn_tests::eventually("a failed attempt", async || {
        Ok(test.actions(client.id).await?.contains(&"provision.delayed".to_owned()))
    })
    .await?;
    vpn.start_sshd().await?;
    // It may have run out of attempts by now; a person asks again, then.
    let mut last = test.finished(job.id).await?;
    if last.state == JobState::Failed {
        let retry = RetryJob { job_id: job.id.to_string(), idempotency_key: None };
        let again = test.platform.retry_job(&test.admin, retry).await?.job;
        last = test.finished(again.id).await?;
    }
    assert_eq!(last.state, JobState::Succeeded);
    worker.drain().await?;
    host.stop().await?;
    Ok(())
}
