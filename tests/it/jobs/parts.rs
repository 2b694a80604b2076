//! The parts of a worker, each alone: what one of them does while no other stands in for it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Result;
use vpn_core::{
    domain::{Client, Job, JobId, JobKind, JobState},
    events::Events,
    host::{Boxed, Hosts},
    jobs::{JobPolicy, Runner, Shares, SweepPolicy, Sweeper},
    queue::{Doorbell, Handler as _, QueueError, QueueHealth},
};
use vpn_tests::{Database, World, failure, hosts, platform::vault, told};

/// A bell that nobody hears.
#[derive(Default)]
struct Silent(Mutex<Vec<(JobId, i64)>>);

impl Silent {
    fn rung(&self) -> Vec<(JobId, i64)> {
        self.0.lock().unwrap().clone()
    }
}

impl Doorbell for Silent {
    fn ring(&self, job: JobId, generation: i64) -> Boxed<'_, Result<(), QueueError>> {
        self.0.lock().unwrap().push((job, generation));
        Box::pin(async { Ok(()) })
    }

    fn health(&self) -> Boxed<'_, Result<QueueHealth, QueueError>> {
        Box::pin(async { Ok(QueueHealth::default()) })
    }
}

async fn runner(world: &World, bell: &Arc<Silent>) -> Result<Runner> {
    let store = world.store().clone();
    Ok(Runner {
        events: Events::follow(store.clone(), None),
        store,
        locks: world.locks.clone(),
        hosts: Hosts::over(hosts::transport(hosts::options(hosts::shared().await?))?),
        vault: vault()?,
        bell: bell.clone(),
        ambient: world.ambient.clone(),
        shares: Shares::of(1),
        policy: JobPolicy::default(),
    })
}

/// A provision whose client's end was asked for behind the back of the use case that would cancel it: as
/// when both come at the same instant.
async fn overtaken(world: &World) -> Result<(Client, Job)> {
    let client = world.client().await?;
    let job = world.job(client.id, JobKind::Provision).await?;
    world.request_revocation(client.id).await?;
    Ok((client, job))
}

#[tokio::test]
async fn the_sweeper_cancels_a_provision_that_was_overtaken_under_a_lost_worker() -> Result<()> {
    let world = World::on(Database::Sqlite).await?;
    let lost = world.queued(JobKind::Provision).await?;
    let (lost, _) = world.claim(&lost, Duration::ZERO).await?;
    world.request_revocation(lost.client_id).await?;
    let (store, bell) = (world.store().clone(), Arc::new(Silent::default()));
    let events = Events::follow(store.clone(), None);
    let sweeper = Sweeper { store, bell: bell.clone(), events, policy: SweepPolicy::default() };
    vpn_tests::eventually("the claim has lapsed", async || {
        sweeper.sweep().await?;
        Ok(world.reload_job(lost.id).await?.state != JobState::Running)
    })
    .await?;
    assert_eq!(world.reload_job(lost.id).await?.state, JobState::Canceled);
    assert_eq!(bell.rung(), []);
    world.verify_log().await?;
    Ok(())
}

#[tokio::test]
async fn a_ring_for_a_provision_that_was_overtaken_cancels_it_and_rings_for_what_waits() -> Result<()> {
    let (world, bell) = (World::on(Database::Sqlite).await?, Arc::new(Silent::default()));
    let (client, provision) = overtaken(&world).await?;
    let revoke = world.job(client.id, JobKind::Revoke).await?;
    runner(&world, &bell).await?.look_at(provision.id).await;
    assert_eq!(world.reload_job(provision.id).await?.state, JobState::Canceled);
    assert_eq!(bell.rung(), [(revoke.id, revoke.generation + 1)], "a new ring, since the one before was answered");
    world.verify_log().await?;
    Ok(())
}

#[tokio::test]
async fn a_ring_that_comes_too_early_cancels_nothing() -> Result<()> {
    let (world, bell) = (World::on(Database::Sqlite).await?, Arc::new(Silent::default()));
    let (job, fence) = world.running(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    let later = tx.at().plus(Duration::from_hours(1));
    tx.delay_job(&job, &failure(), later, &fence).await?;
    tx.commit(told(), []).await?;
    runner(&world, &bell).await?.look_at(job.id).await;
    assert_eq!(world.reload_job(job.id).await?.state, JobState::Queued);
    Ok(())
}
