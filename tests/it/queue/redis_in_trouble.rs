//! Redis killed, restarted, frozen and emptied under a worker.

use anyhow::{Result, ensure};
use vpn_core::queue::Doorbell as _;
use vpn_tests::{eventually, redis as services};

use super::{Recorder, Worker, bell, job, redis};

#[tokio::test]
async fn a_waiting_worker_survives_a_restart_of_redis() -> Result<()> {
    let sandbox = redis().await?;
    let server = sandbox.redis()?;
    let (bell, recorder) = (bell(&sandbox)?, Recorder::new());
    let worker = Worker::start(&server.url(), recorder.clone(), 2)?;
    eventually("it is there", || async { Ok(bell.health().await?.workers == 1) }).await?;
    for _ in 0..2 {
        server.kill().await;
        server.restart().await?;
        let job = job();
        eventually("the bell works again", || async { Ok(bell.ring(job, 1).await.is_ok()) }).await?;
        eventually("a later ring is answered", || async { Ok(recorder.times_of(job) == 1) }).await?;
    }
    worker.stop().await
}

#[tokio::test]
async fn work_goes_on_while_redis_is_away() -> Result<()> {
    let sandbox = redis().await?;
    let server = sandbox.redis()?;
    let (bell, recorder, first) = (bell(&sandbox)?, Recorder::new(), job());
    recorder.busy.send_replace(true);
    let worker = Worker::start(&server.url(), recorder.clone(), 4)?;
    bell.ring(first, 1).await?;
    eventually("it is begun", || async { Ok(recorder.begun() == 1) }).await?;
    server.kill().await;
    // Long enough for the worker to notice and give up.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    recorder.busy.send_replace(false);
    eventually("the work ends in good order", || async { Ok(recorder.ended() == 1) }).await?;
    server.restart().await?;

    let later = job();
    eventually("the bell works again", || async { Ok(bell.ring(later, 1).await.is_ok()) }).await?;
    eventually("a later ring is answered", || async { Ok(recorder.times_of(later) == 1) }).await?;
    worker.stop().await?;
    // The acknowledgement was lost with Redis: the first may come again, and SQL says that it is done.
    ensure!((1..=2).contains(&recorder.times_of(first)));
    Ok(())
}

#[tokio::test]
async fn a_worker_that_starts_before_redis_answers_once_it_is_there() -> Result<()> {
    let sandbox = redis().await?;
    let server = sandbox.redis()?;
    server.kill().await;
    let (bell, recorder, job) = (bell(&sandbox)?, Recorder::new(), job());
    let worker = Worker::start(&server.url(), recorder.clone(), 2)?;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    server.restart().await?;
    eventually("the bell works", || async { Ok(bell.ring(job, 1).await.is_ok()) }).await?;
    eventually("the ring is answered", || async { Ok(recorder.times_of(job) == 1) }).await?;
    worker.stop().await
}

#[tokio::test]
async fn an_emptied_redis_costs_the_rings_and_nothing_else() -> Result<()> {
    let sandbox = redis().await?;
    let url = sandbox.redis()?.url();
    let (bell, recorder, lost) = (bell(&sandbox)?, Recorder::new(), job());
    bell.ring(lost, 1).await?;
    let mut redis = services::look(&url).await?;
    redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await?;
    let worker = Worker::start(&url, recorder.clone(), 2)?;
    let job = job();
    bell.ring(job, 1).await?;
    eventually("a later ring is answered", || async { Ok(recorder.times_of(job) == 1) }).await?;
    redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await?;
    // The sweeper rings again, with the next generation or, as here, the same.
    for job in [lost, job] {
        bell.ring(job, 1).await?;
    }
    eventually("both are looked at", || async { Ok(recorder.times_of(job) == 2 && recorder.times_of(lost) == 1) })
        .await?;
    worker.stop().await
}

#[tokio::test]
async fn a_frozen_redis_is_waited_for() -> Result<()> {
    let sandbox = redis().await?;
    let server = sandbox.redis()?;
    let (bell, recorder) = (bell(&sandbox)?, Recorder::new());
    let worker = Worker::start(&server.url(), recorder.clone(), 2)?;
    eventually("it is there", || async { Ok(bell.health().await?.workers == 1) }).await?;
    server.freeze(true).await;
    // Longer than the connection's patience.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    server.freeze(false).await;
    let job = job();
    eventually("the bell works again", || async { Ok(bell.ring(job, 1).await.is_ok()) }).await?;
    eventually("a later ring is answered", || async { Ok(recorder.times_of(job) >= 1) }).await?;
    worker.stop().await
}
