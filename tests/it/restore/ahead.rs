//! The host is ahead: the platform stops at exactly the clients concerned, and is brought level.

use anyhow::{Result, ensure};
use vpn_core::{
    domain::{Client, ClientStatus, JobState, Role},
    error::Error,
    reconcile::{Act, ReconcileError},
};
use vpn_tests::{Database, TestPlatform, level::acts, platform::caller};

use super::{SetBack, in_the_crl, reconciled};

#[tokio::test]
async fn a_platform_that_is_behind_is_brought_level_on_sqlite() -> Result<()> {
    is_brought_level(SetBack::on(Database::Sqlite).await?).await
}

#[tokio::test]
async fn a_platform_that_is_behind_is_brought_level_on_postgres() -> Result<()> {
    is_brought_level(SetBack::on(Database::Postgres).await?).await
}

#[tokio::test]
async fn a_platform_that_is_behind_is_brought_level_on_mariadb() -> Result<()> {
    is_brought_level(SetBack::on(Database::MariaDb).await?).await
}

async fn is_brought_level(world: SetBack) -> Result<()> {
    let test = &world.now;
    let worker = test.worker()?;
    for (client, is_provision) in [(&world.bea, false), (&world.eve, true)] {
        refused(test, client, is_provision).await?;
    }

    let head = test.db.store.read().await?.audit_head().await?;
    let shown = test.plan(false).await?;
    let wanted = [
        ("bea".to_owned(), Act::Revoke),
        ("cleo".to_owned(), Act::RevokeLost),
        ("dora".to_owned(), Act::RecordAndRevoke),
        ("eve".to_owned(), Act::RaiseFence),
    ];
    assert_eq!(acts(&shown), wanted);
    assert_eq!(shown.level, 1, "on ann they agree");
    for client in [&world.bea, &world.cleo, &world.dora, &world.eve] {
        ensure!(shown.to_string().contains(&client.id.to_string()), "{shown}");
    }
    assert_eq!(test.db.store.read().await?.audit_head().await?, head, "a plan changes nothing");

    assert_eq!(test.apply(shown).await?, Vec::<String>::new());
    assert_eq!(acts(&test.plan(false).await?), []);
    for client in [&world.bea, &world.cleo, &world.dora] {
        assert_eq!(test.reload(client.id).await?.status(), ClientStatus::Revoked, "{}", client.name);
        assert!(in_the_crl(&world.host, client).await?, "{}", client.name);
        assert_eq!(reconciled(test, client.id).await?, 1);
    }
    assert!(!in_the_crl(&world.host, &world.ann).await?);

    // All works again: who waited is let in, who is active is shut out, names are free.
    let job = test.provision(world.eve.id).await?.job;
    test.succeeded(job.id).await?;
    let job = test.revoke(world.ann.id).await?.job;
    test.succeeded(job.id).await?;
    let next = test.called("dora").await?;
    let job = test.provision(next.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    test.check().await?;
    world.before.check().await
}

/// The job is refused for good, and says for whom and what to do.
async fn refused(test: &TestPlatform, client: &Client, is_provision: bool) -> Result<()> {
    let job = if is_provision { test.provision(client.id).await?.job } else { test.revoke(client.id).await?.job };
    let failed = test.finished(job.id).await?;
    assert_eq!((failed.state, failed.attempts), (JobState::Failed, 1));
    let failure = failed.failure.expect("a failed job says why");
    assert_eq!(failure.code, "HOST_AHEAD");
    for part in [client.name.as_str(), &client.id.to_string(), "vpn1", "vpn-worker reconcile --from-host"] {
        ensure!(failure.message.contains(part), "{part} is not in: {}", failure.message);
    }
    Ok(())
}

#[tokio::test]
async fn a_revoked_client_stays_revoked_whatever_the_database_thinks() -> Result<()> {
    let world = SetBack::on(Database::Sqlite).await?;
    assert_eq!(world.now.reload(world.bea.id).await?.status(), ClientStatus::Active, "as the backup has it");
    assert!(in_the_crl(&world.host, &world.bea).await?);
    // Without a worker anywhere: what reconcile asks for, it does.
    assert_eq!(world.now.apply(world.now.plan(true).await?).await?, Vec::<String>::new());
    assert_eq!(world.now.reload(world.bea.id).await?.status(), ClientStatus::Revoked);
    assert!(in_the_crl(&world.host, &world.bea).await?);
    world.now.check().await
}

#[tokio::test]
async fn a_name_that_was_taken_meanwhile_is_freed_on_the_host() -> Result<()> {
    let world = SetBack::on(Database::Sqlite).await?;
    let test = &world.now;
    let next = test.called("dora").await?;
    let failed = test.apply(test.plan(true).await?).await?;
    ensure!(failed.len() == 1 && failed[0].contains("there can be one"), "{failed:?}");
    assert!(!in_the_crl(&world.host, &world.dora).await?);

    assert_eq!(test.apply(test.plan(false).await?).await?, Vec::<String>::new());
    assert!(in_the_crl(&world.host, &world.dora).await?);
    assert_eq!(test.db.store.read().await?.client(world.dora.id).await?, None, "there is one dora");
    assert_eq!(reconciled(test, world.dora.id).await?, 1);
    let worker = test.worker()?;
    let job = test.provision(next.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    assert_eq!(acts(&test.plan(false).await?), []);
    test.check().await
}

#[tokio::test]
async fn only_administrators_reconcile_and_a_refusal_is_on_record() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    for role in [Role::Viewer, Role::Operator, Role::Auditor] {
        let reconciler = test.reconciler(&caller("eve", role)?).await?;
        let refused = reconciler.server("vpn1").await;
        ensure!(matches!(refused, Err(ReconcileError::Refused(Error::Forbidden(_)))), "{refused:?}");
    }
    let missing = test.reconciler(&test.admin).await?.server("vpn7").await;
    ensure!(missing.is_err_and(|error| error.to_string().contains("there are: vpn1")));
    Ok(())
}
