//! The other way round: the host was set back, and the database was not.

use std::path::Path;

use anyhow::{Result, ensure};
use vpn_core::{domain::ClientStatus, reconcile::Act};
use vpn_tests::{Database, TestPlatform, hosts, level::acts};

use super::{in_the_crl, reconciled};

async fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = tokio::process::Command::new("cp").arg("-aT").args([from, to]).status().await?;
    ensure!(done.success());
    Ok(())
}

#[tokio::test]
async fn revocations_that_the_host_forgot_are_repeated_and_the_rest_is_shown() -> Result<()> {
    let host = hosts::private().await?;
    let vpn = host.host()?;
    let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let worker = test.worker()?;
    let revoked = test.active().await?;
    let saved = vpn.state.with_file_name("saved");
    copy(&vpn.state, &saved).await?;
    let job = test.revoke(revoked.id).await?.job;
    test.succeeded(job.id).await?;
    let later = test.active().await?;
    worker.drain().await?;
    std::fs::rename(&vpn.state, vpn.state.with_file_name("lost"))?;
    std::fs::rename(&saved, &vpn.state)?;
    assert!(!in_the_crl(&host, &revoked).await?, "it is back from the dead");

    let shown = test.plan(false).await?;
    let mut wanted = vec![(revoked.name.to_string(), Act::RevokeAgain), (later.name.to_string(), Act::Missing)];
    wanted.sort();
    assert_eq!(acts(&shown), wanted);
    let said = shown.to_string();
    assert_eq!(test.apply(shown).await?, Vec::<String>::new());
    assert!(in_the_crl(&host, &revoked).await?);
    assert_eq!(reconciled(&test, revoked.id).await?, 1);
    assert_eq!(test.reload(later.id).await?.status(), ClientStatus::Active);

    // A certificate that the host knows nothing of is refused before TLS, and can be revoked as usual.
    ensure!(said.contains("revoke it, and make a new client"), "{said}");
    ensure!(!vpn.state.join("pub/admitted").join(later.serial.as_str()).exists());
    let worker = test.worker()?;
    let job = test.revoke(later.id).await?.job;
    test.succeeded(job.id).await?;
    assert!(in_the_crl(&host, &later).await?);
    worker.drain().await?;
    assert_eq!(acts(&test.plan(false).await?), []);
    test.check().await
}
