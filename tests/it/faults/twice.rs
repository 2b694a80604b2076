//! Failure 7: the queue delivers a job again while it runs, and hears of its end from the wrong worker.

use std::time::Duration;

use anyhow::Result;
use redis::AsyncCommands as _;
use vpn_core::queue::{Bell, Doorbell as _};
use vpn_tests::{Database, Db, Fleet, eventually, fleet::Pace, hosts, redis as services};

use super::{at_work, hold, on_both, stop};

on_both!(a_job_that_is_delivered_again_while_it_runs_runs_once);

async fn a_job_that_is_delivered_again_while_it_runs_runs_once(database: Database) -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let pace = Pace { lease: Duration::from_secs(6), ..Pace::default() };
    let fleet = Fleet::on(Db::migrated(database).await?, host, pace).await?;
    let first = fleet.worker().await?;
    let held = hold(host)?;
    let client = fleet.client().await?;
    let job = fleet.provision(client.id).await?;
    eventually("the job runs", async || Ok(at_work(host)? >= 1 && fleet.job(job.id).await?.attempts == 1)).await?;

    let second = fleet.worker().await?;
    let url = fleet.sandbox.redis()?.url();
    let bell = Bell::new(services::connect(&url)?);
    for generation in 100..104 {
        bell.ring(job.id, generation).await?;
    }
    // The first worker counts as lost, so that what it has is delivered again as well.
    let mut connection = services::look(&url).await?;
    let workers: Vec<String> = connection.zrange("vpn:jobs:workers", 0, -1).await?;
    for worker in workers {
        let _: i64 = connection.zincr("vpn:jobs:workers", worker, -31).await?;
    }
    eventually("all rings were answered", async || Ok(bell.health().await?.ready == 0)).await?;
    assert_eq!(fleet.job(job.id).await?.attempts, 1);
    drop(held);

    let done = fleet.succeeded(job.id).await?;
    assert_eq!(done.attempts, 1);
    let idle = async || {
        let health = bell.health().await?;
        Ok((health.ready, health.running, health.dead) == (0, 0, 0))
    };
    eventually("the queue is empty", idle).await?;
    stop([first, second]).await;
    let told = fleet.actions(client.id).await?;
    assert_eq!(told.iter().filter(|action| *action == "provision.started").count(), 1, "{told:?}");
    fleet.check(&host.state).await?;
    Ok(())
}
