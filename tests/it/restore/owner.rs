//! Two platforms are pointed at one host.

use anyhow::{Result, ensure};
use vpn_core::domain::JobState;
use vpn_tests::{Database, TestPlatform, hosts};

#[tokio::test]
async fn a_host_serves_one_platform_and_says_so_to_the_other() -> Result<()> {
    let host = hosts::private().await?;
    let vpn = host.host()?;
    let owner = vpn.state.join("etc/owner");
    std::fs::remove_file(&owner)?;
    let first = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let worker = first.worker()?;
    let client = first.active().await?;
    assert_eq!(std::fs::read_to_string(&owner)?.trim(), first.db.store.platform_id().await?);

    let second = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let other_worker = second.worker()?;
    let before = hosts::state(vpn)?;
    let job = second.provision(second.client().await?.id).await?.job;
    let failed = second.finished(job.id).await?;
    assert_eq!((failed.state, failed.attempts), (JobState::Failed, 1));
    let failure = failed.failure.expect("a failed job says why");
    assert_eq!(failure.code, "HOST_OWNED");
    ensure!(failure.message.contains("remove etc/owner"), "{}", failure.message);
    let kept = hosts::state(vpn)?;
    ensure!(before.iter().all(|(file, content)| file.contains("/tmp/") || kept.get(file) == Some(content)));
    other_worker.drain().await?;

    let job = first.revoke(client.id).await?.job;
    first.succeeded(job.id).await?;
    worker.drain().await?;
    first.check().await
}

/// The name of a platform is in its database, and comes back with it.
#[tokio::test]
async fn a_restored_platform_is_still_the_owner() -> Result<()> {
    let host = hosts::private().await?;
    let vpn = host.host()?;
    std::fs::remove_file(vpn.state.join("etc/owner"))?;
    let before = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let worker = before.worker()?;
    let client = before.active().await?;
    worker.drain().await?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("backup.jsonl");
    vpn_core::backup::write_file(&before.db.store, &file).await?;
    let test = before.restored(&file, Database::Sqlite).await?;
    let worker = test.worker()?;
    let job = test.revoke(client.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await
}
