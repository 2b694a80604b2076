//! A revocation that comes while its client is on the way in.

use anyhow::Result;
use vpn_core::{
    domain::{ClientStatus, JobState},
    host::Fault,
};
use vpn_tests::{Database, TestPlatform, hosts, whole_on_every_database};

whole_on_every_database!(a_provision_that_waits_is_canceled);

async fn a_provision_that_waits_is_canceled(test: TestPlatform) -> Result<()> {
    let client = test.client().await?;
    let provision = test.provision(client.id).await?.job;
    let revoke = test.revoke(client.id).await?.job;
    let canceled = test.platform.job(&test.admin, provision.id).await?.map(|job| job.state);
    assert_eq!(canceled, Some(JobState::Canceled), "by the request itself, before any worker comes");
    let worker = test.worker()?;
    assert_eq!(test.finished(provision.id).await?.state, JobState::Canceled);
    test.succeeded(revoke.id).await?;
    assert!(!test.faults.calls().contains(&"issue"), "{:?}", test.faults.calls());
    assert_eq!(test.reload(client.id).await?.status(), ClientStatus::Revoked);
    worker.drain().await?;
    test.check().await
}

/// The host has issued, and its reply is on the way, when the revocation is asked for.
#[tokio::test]
async fn a_provision_that_runs_is_overtaken_and_leaves_nothing_alive() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    test.faults.plan("issue", Fault::ReplyHeld);
    let client = test.client().await?;
    let provision = test.provision(client.id).await?.job;
    let issued = hosts::shared().await?.state.join("issued").join(client.serial.as_str());
    vpn_tests::eventually("the host has issued", async || Ok(issued.exists())).await?;
    let revoke = test.revoke(client.id).await?.job;
    test.faults.release();

    let overtaken = test.finished(provision.id).await?;
    assert_eq!(overtaken.state, JobState::Failed);
    assert_eq!(overtaken.failure.expect("a failed job says why").code, "REVOCATION_REQUESTED");
    test.succeeded(revoke.id).await?;
    let client = test.reload(client.id).await?;
    assert_eq!((client.status(), client.activated_at()), (ClientStatus::Revoked, None));
    assert!(!issued.exists(), "the host has no certificate for it any more");
    worker.drain().await?;
    test.check().await
}
