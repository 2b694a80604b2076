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
pub(super) use worker::{purge_done, release};

#[cfg(feature = "worker")]
mod worker {
    use std::{sync::LazyLock, time::Duration};

    use apalis::prelude::WorkerContext;
    use apalis_redis::Config;
    use redis::{RedisResult, Script, aio::ConnectionManager};

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

    /// Removes tasks that were done more than `older_than` ago, at most 500 of them. About 770 bytes
    /// each would stay for ever otherwise; the library's `vacuum` deletes data of tasks that wait.
    pub(crate) async fn purge_done(
        redis: &mut ConnectionManager,
        config: &Config,
        older_than: Duration,
    ) -> RedisResult<i64> {
        PURGE
            .key(config.done_jobs_set())
            .key(config.job_data_hash())
            .key(config.job_meta_hash())
            .arg(older_than.as_secs())
            .invoke_async(redis)
            .await
    }
}

#[cfg(all(test, feature = "worker", feature = "sandbox"))]
mod tests {
    use std::time::Duration;

    use redis::AsyncCommands as _;

    use super::purge_done;
    use crate::{
        queue::config,
        sandbox::{Options, Sandbox},
    };

    #[tokio::test]
    async fn what_was_done_long_ago_is_removed_and_nothing_else() {
        let sandbox = Sandbox::start(Options::redis()).await.expect("a sandbox");
        let client = redis::Client::open(sandbox.redis().expect("Redis").url()).expect("a URL");
        let mut redis = client.get_connection_manager().await.expect("a connection");
        let config = config();
        let (now, _): (u64, u64) = redis::cmd("TIME").query_async(&mut redis).await.expect("the time");
        // The third waits; it is in no set of what is done.
        for (id, done_at) in [("old", now - 100), ("fresh", now - 10), ("waiting", 0)] {
            let _: () = redis.hset(config.job_data_hash(), id, "{}").await.expect("a payload");
            let meta = format!("{}:{id}", config.job_meta_hash());
            let _: () = redis.hset(&meta, "done_at", done_at).await.expect("metadata");
            if done_at > 0 {
                let _: () = redis.sadd(config.done_jobs_set(), id).await.expect("done");
            }
        }
        let removed = purge_done(&mut redis, &config, Duration::from_secs(50)).await.expect("purged");
        assert_eq!(removed, 1);
        let mut left: Vec<String> = redis.hkeys(config.job_data_hash()).await.expect("payloads");
        left.sort();
        assert_eq!(left, ["fresh", "waiting"]);
        let done: Vec<String> = redis.smembers(config.done_jobs_set()).await.expect("done");
        assert_eq!(done, ["fresh"]);
        let meta: Vec<String> = redis.keys(format!("{}:*", config.job_meta_hash())).await.expect("metadata");
        assert_eq!(meta.len(), 2);
        sandbox.stop().await.expect("stopped");
    }
}
