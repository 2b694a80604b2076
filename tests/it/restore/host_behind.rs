//! The other way round: the host was set back, and the database was not.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use vpn_core::{
    domain::{ClientStatus, Contact, JobState, ServerState},
    host::Fault,
    reconcile::Act,
    sandbox::VpnHost,
    service::MoveServer,
};
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

/// Lets the platform's key for one host log in on another one, as `install.sh` would.
fn authorize(from: &VpnHost, to: &VpnHost) -> Result<()> {
    let keys = |host: &VpnHost| host.state.with_file_name("ssh").join("authorized_keys");
    let (theirs, ours) = (std::fs::read_to_string(keys(from))?, std::fs::read_to_string(keys(to))?);
    let key = theirs.rsplit_once("\" ").context("a key behind its command")?.1;
    let (command, _) = ours.rsplit_once("\" ").context("a command")?;
    Ok(std::fs::write(keys(to), format!("{ours}{command}\" {key}"))?)
}

/// There is no backup of it. A new host takes its place, revokes what the old one had issued, and may be retired.
#[tokio::test]
async fn a_host_that_is_gone_is_replaced_and_its_clients_are_revoked_on_the_new_one() -> Result<()> {
    let (gone, new) = (hosts::private().await?, hosts::private().await?);
    let (old, host) = (gone.host()?, new.host()?);
    let test = TestPlatform::with_host(Database::Sqlite, old, old.port, &old.host_key).await?;
    let id = test.server.id.to_string();
    let worker = test.worker()?;
    let (client, other) = (test.active().await?, test.active().await?);
    authorize(old, host)?;
    gone.stop().await?;

    let port = Some(host.port.into());
    test.platform.move_server(&test.admin, MoveServer { server_id: id.clone(), port, ..MoveServer::default() }).await?;
    let watching = test.watching(Duration::from_millis(200), None)?;
    let key = |it: &Contact| it.presented_key.as_deref() == Some(&host.host_key);
    let shown = test.noted(test.server.id, "a worker has seen its key", key).await?;
    drop(watching);
    let fingerprint = shown.presented_fingerprint().context("a fingerprint")?;
    test.platform.pin_host_key(&test.admin, &id, &fingerprint).await?;

    for client in [&client, &other] {
        let job = test.revoke(client.id).await?.job;
        test.succeeded(job.id).await?;
        ensure!(in_the_crl(&new, client).await?);
    }
    let next = test.active().await?;
    assert_eq!(test.reload(next.id).await?.status(), ClientStatus::Active, "it serves new clients");
    let job = test.revoke(next.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    assert_eq!(acts(&test.plan(false).await?), []);
    let retired = test.platform.retire_server(&test.admin, &id).await?;
    assert_eq!(retired.state, ServerState::Retired);
    test.check().await
}

/// Nobody has to look for its job: reconcile finds the client.
#[tokio::test]
async fn a_revocation_that_was_given_up_is_done_by_reconcile() -> Result<()> {
    let host = hosts::private().await?;
    let vpn = host.host()?;
    let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let worker = test.worker()?;
    let (active, pending) = (test.active().await?, test.client().await?);
    for _ in 0..2 * vpn_tests::platform::MAX_ATTEMPTS {
        test.faults.plan("revoke", Fault::Unreachable);
    }
    for client in [&active, &pending] {
        let job = test.revoke(client.id).await?.job;
        assert_eq!(test.finished(job.id).await?.state, JobState::Failed);
    }
    worker.drain().await?;
    let shown = test.plan(false).await?;
    let mut wanted = [&active, &pending].map(|client| (client.name.to_string(), Act::RevokeGivenUp)).to_vec();
    wanted.sort();
    assert_eq!(acts(&shown), wanted);
    assert_eq!(test.apply(shown).await?, [""; 0]);
    for client in [&active, &pending] {
        assert_eq!(test.reload(client.id).await?.status(), ClientStatus::Revoked);
        assert!(in_the_crl(&host, client).await?);
    }
    assert_eq!(acts(&test.plan(false).await?), []);
    test.check().await
}
