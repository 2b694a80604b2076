//! What apalis-redis 1.0 has no usable call for: health, removing what is done, giving back what was
//! fetched and not begun.

use apalis_redis::Config;
use redis::{RedisResult, aio::ConnectionManager};

/// Where the queue stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueHealth {
    /// Rings that a worker may take now.
    pub ready: u64,
    /// Rings for later.
    pub delayed: u64,
    /// Rings that a worker has.
    pub running: u64,
    /// Rings that were given up; always a bug.
    pub dead: u64,
    /// Workers that were heard of within the last 30 seconds.
    pub workers: u64,
}

/// Reads the library's own keys.
pub(super) async fn health(redis: &mut ConnectionManager, config: &Config) -> RedisResult<QueueHealth> {
    let scheduled = config.scheduled_jobs_set();
    let (now, _): (u64, u64) = redis::cmd("TIME").query_async(redis).await?;
    let (ready, due, delayed, dead, workers): (u64, u64, u64, u64, Vec<(String, u64)>) = redis::pipe()
        .llen(config.active_jobs_list())
        .zcount(&scheduled, 0, now)
        .zcount(&scheduled, format!("({now}"), "+inf")
        .scard(config.dead_jobs_set())
        .zrange_withscores(config.workers_set(), 0, -1)
        .query_async(redis)
        .await?;
    let mut in_flight = redis::pipe();
    for (name, _) in &workers {
        in_flight.scard(format!("{}:{name}", config.inflight_jobs_set()));
    }
    let running: Vec<u64> = if workers.is_empty() { Vec::new() } else { in_flight.query_async(redis).await? };
    let alive_since = now.saturating_sub(config.orphaned_duration().as_secs());
    let alive = workers.iter().filter(|(_, seen)| *seen > alive_since).count();
    Ok(QueueHealth {
        ready: ready + due,
        delayed,
        running: running.iter().sum(),
        dead,
        workers: u64::try_from(alive).unwrap_or(u64::MAX),
    })
}

#[cfg(feature = "worker")]
pub use worker::purge_done;
#[cfg(feature = "worker")]
pub(super) use worker::release;

#[cfg(feature = "worker")]
mod worker {
    use std::{sync::LazyLock, time::Duration};

    use apalis::prelude::WorkerContext;
    use apalis_redis::Config;
    use redis::{RedisResult, Script, aio::ConnectionManager};

    use crate::queue::config;

    static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("release.lua")));
    static PURGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("purge.lua")));

    /// Gives back what a stopping worker fetched and did not begin, and removes its registration (the
    /// library's own `poll_close` removes the wrong member).
    pub(crate) async fn release(
        redis: &mut ConnectionManager,
        config: &Config,
        worker: &WorkerContext,
    ) -> RedisResult<i64> {
        RELEASE
            .key(config.inflight_set_for(worker))
            .key(config.active_jobs_list())
            .key(config.workers_set())
            .key(config.worker_metadata_key(worker))
            .arg(worker.name())
            .invoke_async(redis)
            .await
    }

    /// Removes rings that were answered more than `older_than` ago, at most 500 of them, and says how many. About
    /// 770 bytes each would stay for ever otherwise; the library's `vacuum` deletes data of tasks that wait.
    pub async fn purge_done(redis: &mut ConnectionManager, older_than: Duration) -> RedisResult<i64> {
        let config = config();
        PURGE
            .key(config.done_jobs_set())
            .key(config.job_data_hash())
            .key(config.job_meta_hash())
            .arg(older_than.as_secs())
            .invoke_async(redis)
            .await
    }
}
