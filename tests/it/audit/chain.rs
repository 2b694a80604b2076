//! The audit log stays one chain, however many write and however often they change their minds.

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use vpn_core::{
    domain::{JobKind, JobState},
    store::{Store, StoreError, StoreOptions},
};
use vpn_tests::{Database, World, on_every_database, told};

on_every_database!(many_writers_leave_no_gap, a_backup_that_lost_its_tail_is_noticed);

/// One writer's work: changes, some of them dropped at the last moment.
struct Writer<'a> {
    world: &'a World,
    store: Store,
    committed: &'a AtomicI64,
}

impl Writer<'_> {
    async fn write(&self, rounds: usize) -> Result<()> {
        for _ in 0..rounds {
            match self.once().await {
                Ok(entries) => {
                    self.committed.fetch_add(entries, Ordering::SeqCst);
                }
                Err(error) if error.is_retryable() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Gives how many entries were committed.
    async fn once(&self) -> Result<i64, StoreError> {
        let [dice, more] = self.world.ambient.random();
        let mut tx = self.store.begin().await?;
        let server = self.world.new_server().map_err(|error| StoreError::Schema(error.to_string()))?;
        tx.insert_server(server).await?;
        if dice % 4 == 0 {
            return Ok(0);
        }
        let more = i64::from(more % 3);
        tx.commit(told(), (0..more).map(|_| told())).await?;
        Ok(1 + more)
    }
}

async fn many_writers_leave_no_gap(world: World) -> Result<()> {
    let (writers, rounds) = if world.db.database == Database::Sqlite { (16, 8) } else { (64, 4) };
    // As four processes with a pool each.
    let mut stores = Vec::new();
    for _ in 0..4 {
        let options = StoreOptions {
            acquire_timeout: std::time::Duration::from_mins(1),
            ..StoreOptions::new(world.db.url.clone())
        };
        stores.push(Store::connect_lazy(&options)?);
    }
    let committed = AtomicI64::new(0);
    let writers: Vec<_> = stores
        .iter()
        .cycle()
        .take(writers)
        .map(|store| Writer { world: &world, store: store.clone(), committed: &committed })
        .collect();
    try_join_all(writers.iter().map(|writer| writer.write(rounds))).await?;
    let committed = committed.into_inner();
    // The log's opening is the first.
    assert_eq!(world.verify_log().await?.entries, committed + 1);
    ensure!(committed > 20, "only {committed} entries got through");
    for store in stores {
        store.close().await;
    }
    Ok(())
}

/// Entries and state come and go together: what an old copy lacks, it lacks of both.
async fn a_backup_that_lost_its_tail_is_noticed(world: World) -> Result<()> {
    let job = world.queued(JobKind::Provision).await?;
    let kept = world.verify_log().await?;
    let mut tx = world.store().begin().await?;
    tx.cancel_job(job.id).await?;
    tx.commit(told(), []).await?;
    let later = world.verify_log().await?;
    assert_eq!(later.entries, kept.entries + 1);

    // Whoever kept the newer head sees that the older copy is a copy.
    let entries = world.store().read().await?.audit_after(0, None, kept.entries).await?;
    let mut verifier = vpn_core::audit::Verifier::default();
    for entry in &entries {
        verifier.take(entry)?;
    }
    let fault = verifier.finish(later.entries, &later.head);
    assert_eq!(fault, Err(vpn_core::audit::ChainFault::Cut { expected: later.entries, found: kept.entries }));
    assert_eq!(world.reload_job(job.id).await?.state, JobState::Canceled);
    Ok(())
}
