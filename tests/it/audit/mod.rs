//! The audit log: whole, complete, and provable to those who do not trust us.

mod chain;
mod complete;
mod erasing;
mod export;
mod proofs;
mod rollback;
mod sealing;
mod secrets;
mod signing;
mod tampering;

use anyhow::{Context as _, Result};
use vpn_core::{
    audit::{AuditEntry, Checkpoint, note::SigningKey},
    clock::Ambient,
    service::verify_audit_log,
    store::Store,
};
use vpn_tests::World;

/// A log with some entries.
async fn filled(world: &World) -> Result<()> {
    for _ in 0..4 {
        world.client().await?;
    }
    Ok(())
}

/// All entries, oldest first.
async fn entries(store: &Store) -> Result<Vec<AuditEntry>> {
    Ok(store.read().await?.audit_after(0, None, 1000).await?)
}

/// What the log is now.
async fn checkpoint(store: &Store) -> Result<Checkpoint> {
    Ok(verify_audit_log(store).await?.checkpoint())
}

/// A new key for this log.
async fn key_for(store: &Store) -> Result<SigningKey> {
    let origin = store.read().await?.audit_origin().await?;
    let secret = SigningKey::generate(&origin, &Ambient::system())?;
    SigningKey::read(&secret)?.pop().context("a key")
}
