//! A worker that stops finishes what it began and gives the rest back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use redis::AsyncCommands as _;
use vpn_core::queue::{Doorbell as _, WorkerOptions};
use vpn_tests::{eventually, redis as services};

use super::{Recorder, Worker, bell, job, redis};

#[tokio::test]
async fn a_stopping_worker_finishes_its_work_and_gives_the_rest_back() -> Result<()> {
    let sandbox = redis().await?;
    let url = sandbox.redis()?.url();
    let (bell, first, second) = (bell(&sandbox)?, Recorder::new(), Recorder::new());
    let jobs: Vec<_> = (0..6).map(|_| job()).collect();
    first.busy.send_replace(true);
    let worker = Worker::start(&url, first.clone(), 2)?;
    for job in &jobs {
        bell.ring(*job, 1).await?;
    }
    eventually("two are begun", || async { Ok(first.begun() == 2) }).await?;
    fetch_one_more(&url).await?;
    worker.stop.cancel();
    // What it has begun is not cut off, and nothing else is begun.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((first.begun(), first.ended()), (2, 0));
    ensure!(!worker.task.is_finished(), "it did not wait for its work");
    first.busy.send_replace(false);
    worker.stop().await?;
    assert_eq!((first.begun(), first.ended()), (2, 2));

    // At once, not after the 30 s in which a killed worker counts as alive.
    let health = bell.health().await?;
    assert_eq!((health.ready, health.running, health.workers), (4, 0, 0));
    let worker = Worker::start(&url, second.clone(), 2)?;
    eventually("another worker does the rest", || async { Ok(second.ended() == 4) }).await?;
    for job in &jobs {
        assert_eq!(first.times_of(*job) + second.times_of(*job), 1, "each is looked at once");
    }
    worker.stop().await
}

/// As if the one worker had fetched another ring, and had not begun with it.
async fn fetch_one_more(url: &str) -> Result<()> {
    let mut redis = services::look(url).await?;
    let workers: Vec<String> = redis.zrange("vpn:jobs:workers", 0, -1).await?;
    let worker = workers.first().context("a worker")?;
    let ring: String = redis.lpop("vpn:jobs:active", None).await?;
    let _: i64 = redis.sadd(format!("vpn:jobs:inflight:{worker}"), ring).await?;
    Ok(())
}

#[tokio::test]
async fn an_idle_worker_stops_at_once() -> Result<()> {
    let sandbox = redis().await?;
    let (bell, recorder) = (bell(&sandbox)?, Recorder::new());
    let options = WorkerOptions { concurrency: 2, drain: Duration::from_hours(1) };
    let worker = Worker::start_with(&sandbox.redis()?.url(), recorder, options)?;
    eventually("it is there", || async { Ok(bell.health().await?.workers == 1) }).await?;
    worker.stop().await
}

#[tokio::test]
async fn a_worker_waits_for_hung_work_no_longer_than_it_may() -> Result<()> {
    let sandbox = redis().await?;
    let (bell, recorder) = (bell(&sandbox)?, Recorder::new());
    recorder.busy.send_replace(true);
    let options = WorkerOptions { concurrency: 1, drain: Duration::from_millis(500) };
    let worker = Worker::start_with(&sandbox.redis()?.url(), recorder.clone(), options)?;
    bell.ring(job(), 1).await?;
    eventually("it is begun", || async { Ok(recorder.begun() == 1) }).await?;
    let begun = Instant::now();
    worker.stop().await?;
    ensure!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    ensure!(recorder.ended() == 0);
    Ok(())
}
