//! Where the queue stands, in numbers.

use anyhow::{Result, ensure};
use vpn_core::queue::{Doorbell as _, QueueHealth};
use vpn_tests::eventually;

use super::{Recorder, Worker, bell, job, redis};

#[tokio::test]
async fn an_empty_queue_is_all_zeros() -> Result<()> {
    let sandbox = redis().await?;
    assert_eq!(bell(&sandbox)?.health().await?, QueueHealth::default());
    Ok(())
}

#[tokio::test]
async fn rings_are_counted_where_they_are() -> Result<()> {
    let sandbox = redis().await?;
    let (bell, recorder) = (bell(&sandbox)?, Recorder::new());
    for _ in 0..3 {
        bell.ring(job(), 1).await?;
    }
    assert_eq!(bell.health().await?, QueueHealth { ready: 3, ..QueueHealth::default() });

    recorder.busy.send_replace(true);
    let worker = Worker::start(&sandbox.redis()?.url(), recorder.clone(), 1)?;
    eventually("one is begun", || async { Ok(recorder.begun() == 1) }).await?;
    let busy = bell.health().await?;
    ensure!(busy.workers == 1 && busy.running >= 1, "{busy:?}");
    assert_eq!((busy.ready + busy.running, busy.dead, busy.delayed), (3, 0, 0), "{busy:?}");

    recorder.busy.send_replace(false);
    let idle = QueueHealth { workers: 1, ..QueueHealth::default() };
    eventually("all are done", || async { Ok(bell.health().await? == idle) }).await?;
    worker.stop().await?;
    assert_eq!(bell.health().await?, QueueHealth::default(), "a worker that stopped has signed off");
    Ok(())
}

#[tokio::test]
async fn two_workers_are_two() -> Result<()> {
    let sandbox = redis().await?;
    let (bell, url) = (bell(&sandbox)?, sandbox.redis()?.url());
    let workers = [Worker::start(&url, Recorder::new(), 1)?, Worker::start(&url, Recorder::new(), 1)?];
    eventually("both are heard of", || async { Ok(bell.health().await?.workers == 2) }).await?;
    for worker in workers {
        worker.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_queue_that_cannot_be_reached_says_so() -> Result<()> {
    let sandbox = redis().await?;
    let bell = bell(&sandbox)?;
    sandbox.redis()?.kill().await;
    let health = vpn_tests::soon("an answer", bell.health()).await?;
    ensure!(health.is_err_and(|error| error.to_string().contains("cannot be reached")));
    let ring = vpn_tests::soon("an answer", bell.ring(job(), 1)).await?;
    ensure!(ring.is_err());
    Ok(())
}
