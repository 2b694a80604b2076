//! A ring is a call, and one call only.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use redis::AsyncCommands as _;
use vpn_core::queue::{Doorbell as _, purge_done};
use vpn_tests::{eventually, redis as services};

use super::{Recorder, Worker, bell, job, redis};

#[tokio::test]
async fn a_ring_is_answered() -> Result<()> {
    let sandbox = redis().await?;
    let (bell, recorder, job) = (bell(&sandbox)?, Recorder::new(), job());
    let worker = Worker::start(&sandbox.redis()?.url(), recorder.clone(), 2)?;
    bell.ring(job, 1).await?;
    eventually("the handler is called", || async { Ok(recorder.jobs() == [job]) }).await?;
    worker.stop().await
}

#[tokio::test]
async fn what_was_rung_before_the_worker_came_is_answered() -> Result<()> {
    let sandbox = redis().await?;
    let (bell, recorder) = (bell(&sandbox)?, Recorder::new());
    let jobs: Vec<_> = (0..5).map(|_| job()).collect();
    for job in &jobs {
        bell.ring(*job, 1).await?;
    }
    let worker = Worker::start(&sandbox.redis()?.url(), recorder.clone(), 2)?;
    eventually("all are looked at", || async { Ok(jobs.iter().all(|job| recorder.times_of(*job) == 1)) }).await?;
    worker.stop().await
}

#[tokio::test]
async fn ringing_the_same_generation_twice_is_one_call() -> Result<()> {
    let sandbox = redis().await?;
    let (bell, recorder, job) = (bell(&sandbox)?, Recorder::new(), job());
    let worker = Worker::start(&sandbox.redis()?.url(), recorder.clone(), 2)?;
    for generation in [1, 1, 2, 2, 1] {
        bell.ring(job, generation).await?;
    }
    eventually("both generations are looked at", || async { Ok(recorder.times_of(job) == 2) }).await?;
    // Also after the first was done with, and when nothing else waits.
    bell.ring(job, 1).await?;
    let marker = super::job();
    bell.ring(marker, 1).await?;
    eventually("a later ring is answered", || async { Ok(recorder.times_of(marker) == 1) }).await?;
    worker.stop().await?;
    assert_eq!(recorder.times_of(job), 2);
    Ok(())
}

#[tokio::test]
async fn no_more_jobs_run_at_once_than_they_may() -> Result<()> {
    let sandbox = redis().await?;
    let (bell, recorder) = (bell(&sandbox)?, Recorder::new());
    recorder.busy.send_replace(true);
    let worker = Worker::start(&sandbox.redis()?.url(), recorder.clone(), 3)?;
    for _ in 0..8 {
        bell.ring(job(), 1).await?;
    }
    eventually("three are begun", || async { Ok(recorder.begun() == 3) }).await?;
    // Several polls later.
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    assert_eq!(recorder.begun(), 3);
    recorder.busy.send_replace(false);
    eventually("all are done", || async { Ok(recorder.ended() == 8) }).await?;
    worker.stop().await
}

/// What the library keeps beside a payload.
const META: [(&str, &str); 4] =
    [("attempts", "0"), ("max_attempts", "25"), ("status", "Pending"), ("idempotency_key", "")];

/// Puts a payload into the queue that no `Bell` would make.
async fn push_raw(url: &str, id: &str, payload: &str) -> Result<()> {
    let mut redis = services::look(url).await?;
    let _: () = redis.hset("vpn:jobs:data", id, payload).await?;
    let _: () = redis.hset_multiple(format!("vpn:jobs:meta:{id}"), &META).await?;
    let _: () = redis.rpush("vpn:jobs:active", id).await?;
    Ok(())
}

#[tokio::test]
async fn a_payload_that_is_no_ring_is_put_aside_and_the_worker_lives() -> Result<()> {
    let sandbox = redis().await?;
    let url = sandbox.redis()?.url();
    let (bell, recorder, job) = (bell(&sandbox)?, Recorder::new(), job());
    for (number, payload) in [
        "{}",
        "[1,2,3]",
        "\"text\"",
        r#"{"version":1,"job_id":"cli_00000000000000000000000000000000","generation":1}"#,
        r#"{"version":2,"job_id":"job_00000000000000000000000000000000","generation":1}"#,
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("01ARZ3NDEKTSV4RRFFQ69G5FA{number}");
        push_raw(&url, &id, payload).await?;
    }
    let worker = Worker::start(&url, recorder.clone(), 2)?;
    bell.ring(job, 1).await?;
    eventually("the true ring is answered", || async { Ok(recorder.jobs() == [job]) }).await?;
    eventually("the others are put aside", || async { Ok(bell.health().await?.dead == 5) }).await?;
    worker.stop().await
}

#[tokio::test]
async fn the_time_from_ring_to_call_is_short() -> Result<()> {
    let sandbox = redis().await?;
    let (bell, recorder) = (bell(&sandbox)?, Recorder::new());
    let worker = Worker::start(&sandbox.redis()?.url(), recorder.clone(), 4)?;
    let warm = job();
    bell.ring(warm, 1).await?;
    eventually("the worker is there", || async { Ok(recorder.times_of(warm) == 1) }).await?;
    let mut times = Vec::new();
    for _ in 0..40 {
        let (job, rung) = (job(), Instant::now());
        bell.ring(job, 1).await?;
        eventually("the handler is called", || async { Ok(recorder.times_of(job) == 1) }).await?;
        let (_, called) = recorder.calls.lock().unwrap().last().copied().unwrap();
        times.push(called.duration_since(rung));
    }
    times.sort();
    println!("ring to call: p50 {:?}, p95 {:?}, longest {:?}", times[20], times[38], times[39]);
    ensure!(times.len() == 40);
    worker.stop().await
}

/// Each worker has a name of its own: under one name, the second would not be let in.
#[tokio::test]
async fn two_workers_work_at_the_same_time() -> Result<()> {
    let sandbox = redis().await?;
    let url = sandbox.redis()?.url();
    let (bell, one, other) = (bell(&sandbox)?, Recorder::new(), Recorder::new());
    for recorder in [&one, &other] {
        recorder.busy.send_replace(true);
    }
    let workers = [Worker::start(&url, one.clone(), 1)?, Worker::start(&url, other.clone(), 1)?];
    for _ in 0..2 {
        bell.ring(job(), 1).await?;
    }
    eventually("both have begun", || async { Ok(one.begun() == 1 && other.begun() == 1) }).await?;
    assert_eq!(bell.health().await?.workers, 2);
    for (recorder, worker) in [&one, &other].into_iter().zip(workers) {
        recorder.busy.send_replace(false);
        worker.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_was_answered_long_ago_is_removed_and_nothing_else() -> Result<()> {
    let sandbox = redis().await?;
    let url = sandbox.redis()?.url();
    let (bell, recorder, mut redis) = (bell(&sandbox)?, Recorder::new(), services::connect(&url)?);
    let worker = Worker::start(&url, recorder.clone(), 1)?;
    for _ in 0..3 {
        bell.ring(job(), 1).await?;
    }
    eventually("all are acknowledged", || async {
        let health = bell.health().await?;
        Ok(recorder.ended() == 3 && health.ready == 0 && health.running == 0)
    })
    .await?;
    worker.stop().await?;
    let waiting = job();
    bell.ring(waiting, 1).await?;
    assert_eq!(purge_done(&mut redis, Duration::from_hours(1)).await?, 0, "none is that old");
    assert_eq!(purge_done(&mut redis, Duration::ZERO).await?, 3);
    assert_eq!(bell.health().await?.ready, 1);
    let worker = Worker::start(&url, recorder.clone(), 1)?;
    eventually("what waited is answered", || async { Ok(recorder.times_of(waiting) == 1) }).await?;
    worker.stop().await
}
