//! Failure 7: the queue delivers a job again while it runs, and hears of its end from the wrong worker.

use std::time::Duration;

use anyhow::{Result, bail};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use vpn_core::queue::{Bell, Doorbell as _};
use vpn_tests::{Database, Db, Fleet, eventually, fleet::Pace, hosts, redis as services};

use super::{at_work, hold, on_both, stop};

/// When each worker was heard of last.
const WORKERS: &str = "vpn:jobs:workers";

on_both!(a_job_that_is_delivered_again_while_it_runs_runs_once);

async fn a_job_that_is_delivered_again_while_it_runs_runs_once(database: Database) -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let pace = Pace { lease: Duration::from_secs(6), ..Pace::default() };
    let fleet = Fleet::on(Db::migrated(database).await?, host, pace).await?;
    let workers = [fleet.worker().await?, fleet.worker().await?];
    let held = hold(host)?;
    let client = fleet.client().await?;
    let job = fleet.provision(client.id).await?;
    eventually("the job runs", async || Ok(at_work(host)? >= 1 && fleet.job(job.id).await?.attempts == 1)).await?;

    let url = fleet.sandbox.redis()?.url();
    let bell = Bell::new(services::connect(&url)?);
    let mut redis = services::look(&url).await?;
    let busy = busy(&mut redis).await?;
    for generation in 100..104 {
        bell.ring(job.id, generation).await?;
    }
    // The worker that has the job counts as lost, however it says that it is there, until the other has put
    // back what that one has: it is delivered again as well.
    eventually("the other worker puts back what the lost one has", async || {
        let mut redis = redis.clone();
        let _: i64 = ::redis::cmd("ZADD").arg(WORKERS).arg("XX").arg(0).arg(&busy).query_async(&mut redis).await?;
        Ok(in_flight(&mut redis, &busy).await? == 0)
    })
    .await?;
    eventually("all rings were answered", async || {
        let health = bell.health().await?;
        Ok((health.ready, health.running) == (0, 0))
    })
    .await?;
    assert_eq!(fleet.job(job.id).await?.attempts, 1);
    drop(held);

    let done = fleet.succeeded(job.id).await?;
    assert_eq!(done.attempts, 1);
    let idle = async || {
        let health = bell.health().await?;
        Ok((health.ready, health.running, health.dead) == (0, 0, 0))
    };
    eventually("the queue is empty", idle).await?;
    stop(workers).await;
    let told = fleet.actions(client.id).await?;
    assert_eq!(told.iter().filter(|action| *action == "provision.started").count(), 1, "{told:?}");
    fleet.check(&host.state).await?;
    Ok(())
}

async fn in_flight(redis: &mut MultiplexedConnection, worker: &str) -> Result<usize> {
    Ok(redis.scard(format!("vpn:jobs:inflight:{worker}")).await?)
}

/// The worker that has the one ring there is.
async fn busy(redis: &mut MultiplexedConnection) -> Result<String> {
    let workers: Vec<String> = redis.zrange(WORKERS, 0, -1).await?;
    for worker in workers {
        if in_flight(redis, &worker).await? > 0 {
            return Ok(worker);
        }
    }
    bail!("no worker has a ring")
}
