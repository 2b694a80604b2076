//! A worker that was killed: another one takes over.

use anyhow::{Result, ensure};
use redis::AsyncCommands as _;
use vpn_core::queue::Doorbell as _;
use vpn_tests::{PATIENCE, eventually, redis as services};

use super::{Recorder, Worker, bell, job, redis};

/// Lets the thirty seconds pass in which a worker that was not heard of counts as alive.
async fn pass_orphan_window(url: &str) -> Result<()> {
    let mut redis = services::look(url).await?;
    let workers: Vec<String> = redis.zrange("vpn:jobs:workers", 0, -1).await?;
    for worker in workers {
        let _: i64 = redis.zincr("vpn:jobs:workers", worker, -31).await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_worker_does_what_a_killed_one_had() -> Result<()> {
    let sandbox = redis().await?;
    let url = sandbox.redis()?.url();
    let (bell, killed, heir, job) = (bell(&sandbox)?, Recorder::new(), Recorder::new(), job());
    killed.busy.send_replace(true);
    // A runtime of its own, so that all of the worker goes at once: no sign-off, no heartbeat.
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let worker = {
        let _inside = doomed.enter();
        Worker::start(&url, killed.clone(), 2)?
    };
    bell.ring(job, 1).await?;
    eventually("it is begun", || async { Ok(killed.begun() == 1) }).await?;
    tokio::task::spawn_blocking(move || doomed.shutdown_timeout(PATIENCE)).await?;
    ensure!(worker.task.await.is_err() && killed.ended() == 0, "the work died with its worker");

    pass_orphan_window(&url).await?;
    assert_eq!(bell.health().await?.workers, 0, "it counts as lost");
    let worker = Worker::start(&url, heir.clone(), 2)?;
    eventually("the other looks at the job", || async { Ok(heir.ended() == 1 && heir.times_of(job) == 1) }).await?;
    worker.stop().await
}
