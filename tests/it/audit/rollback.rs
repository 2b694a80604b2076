//! A database that was restored from a backup has a log that lacks something; who keeps checkpoints is told.

use anyhow::{Result, bail, ensure};
use tokio::process::Command;
use vpn_core::{
    audit::{ChainFault, Checkpoint},
    backup,
    service::{Checkpointer, VerifyError, verify_audit_log, verify_audit_log_against},
    store::Store,
};
use vpn_tests::{Database, Db, World, on_every_database, programs, restore::restore};

use super::{checkpoint, filled, key_for};

on_every_database!(a_newer_checkpoint_names_the_restore);

/// The database as a backup has it, and the checkpoints of before and behind that backup.
async fn restored(world: &World) -> Result<(Db, Checkpoint, Checkpoint)> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("backup");
    filled(world).await?;
    let early = checkpoint(world.store()).await?;
    backup::write_file(world.store(), &file).await?;
    filled(world).await?;
    let late = checkpoint(world.store()).await?;
    let db = Db::empty(world.db.database).await?;
    restore(&db, &file).await?;
    Ok((db, early, late))
}

async fn fault(store: &Store, checkpoint: &Checkpoint) -> Result<ChainFault> {
    match verify_audit_log_against(store, [checkpoint.clone()]).await {
        Err(VerifyError::Fault(fault)) => Ok(fault),
        other => bail!("the log was rolled back, and the verifier says {other:?}"),
    }
}

async fn a_newer_checkpoint_names_the_restore(world: World) -> Result<()> {
    let (db, early, late) = restored(&world).await?;
    let seq = i64::try_from(early.size)? + 1;
    let rolled_back = ChainFault::RolledBack { seq, signed: late.size };
    // It is the same log, and what was signed for before the backup still is true.
    assert_eq!(verify_audit_log_against(&db.store, [early.clone()]).await?.checkpoints, 1);
    assert_eq!(fault(&db.store, &late).await?, rolled_back, "while it is shorter than it was");
    let key = key_for(&db.store).await?;
    let refused = Checkpointer::new(db.store.clone(), vec![key], vec![early.clone(), late.clone()]).next().await;
    ensure!(matches!(refused, Err(VerifyError::Fault(ChainFault::RolledBack { .. }))), "{refused:?}");
    while db.store.read().await?.audit_head().await?.seq.unsigned_abs() < late.size + 2 {
        db.store.begin().await?.commit(vpn_tests::told(), []).await?;
    }
    assert_eq!(fault(&db.store, &late).await?, rolled_back, "and when it is longer");
    let said = rolled_back.to_string();
    ensure!(said.contains("rolled back") && said.contains(&format!("behind entry {}", early.size)), "{said}");
    // What is signed for from now on is as good as ever.
    let key = key_for(&db.store).await?;
    let signed = Checkpointer::new(db.store.clone(), vec![key], vec![early]).next().await?;
    ensure!(signed.is_some());
    let now = verify_audit_log(&db.store).await?.checkpoint();
    db.store.begin().await?.commit(vpn_tests::told(), []).await?;
    assert_eq!(verify_audit_log_against(&db.store, [now]).await?.checkpoints, 1);
    Ok(())
}

#[tokio::test]
async fn the_command_says_that_the_log_was_rolled_back() -> Result<()> {
    let world = World::on(Database::Sqlite).await?;
    let (db, _, late) = restored(&world).await?;
    let directory = tempfile::tempdir()?;
    let (kept, key) = (directory.path().join("checkpoints"), key_for(world.store()).await?);
    std::fs::write(&kept, late.signed(std::slice::from_ref(&key)))?;
    let verify = async |url: &str| {
        let mut command = Command::new(programs::built("vpn-graphql")?);
        command.args(["audit", "verify", "--public-key", &key.public().to_string(), "--checkpoint"]).arg(&kept);
        programs::output(command.env("VPN_DATABASE_URL", url)).await
    };
    ensure!(verify(&world.db.url).await?.status.success());
    let told = verify(&db.url).await?;
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    ensure!(!told.status.success() && said.contains("the log was rolled back: entry"), "{said}");
    Ok(())
}
