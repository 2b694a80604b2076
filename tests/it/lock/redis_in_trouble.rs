//! Redis frozen, killed, restarted, emptied, misconfigured.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vpn_core::{
    domain::FencingToken,
    lock::{LockError, LockPolicy, RedisUnfit, check_redis},
    sandbox::{Options, Sandbox},
};
use vpn_tests::{eventually, redis as services, soon};

use super::{hasty, is_held, resource, token};

async fn command(url: &str, words: &[&str]) -> Result<()> {
    let mut redis = services::look(url).await?;
    let (name, arguments) = words.split_first().context("a command")?;
    redis::cmd(name).arg(arguments).query_async::<()>(&mut redis).await?;
    Ok(())
}

#[tokio::test]
async fn an_emptied_redis_ends_the_work_and_the_floor_keeps_tokens_growing() -> Result<()> {
    let sandbox = Sandbox::start(Options::redis()).await?;
    let url = sandbox.redis()?.url();
    let (locks, resource) = (services::locks(&url, hasty())?, resource());
    let mut floor = FencingToken::ZERO;
    for _ in 0..5 {
        floor = locks.with(&resource, floor, async |lease| lease.fence().token()).await?;
    }
    let outcome = locks.with(&resource, floor, async |_| {
        command(&url, &["FLUSHALL"]).await?;
        std::future::pending::<Result<()>>().await
    });
    let outcome = soon("the lease ends", outcome).await?;
    ensure!(matches!(outcome, Err(LockError::Lost)), "{outcome:?}");
    // The one that was lost had the token 6 and may have shown it to the host; SQL knows of 5, or of 6.
    let next = locks.with(&resource, floor, async |lease| lease.fence().token()).await?;
    ensure!(next > floor, "{next} after {floor}");
    ensure!(token(&locks, &resource, next).await? > next.get(), "nothing is wedged");
    Ok(())
}

#[tokio::test]
async fn two_who_were_told_the_same_token_have_different_attempts() -> Result<()> {
    let sandbox = Sandbox::start(Options::redis()).await?;
    let url = sandbox.redis()?.url();
    let (locks, resource) = (services::locks(&url, LockPolicy::default())?, resource());
    let before = locks.with(&resource, FencingToken::ZERO, async |lease| lease.fence().clone()).await?;
    command(&url, &["FLUSHALL"]).await?;
    let after = locks.with(&resource, FencingToken::ZERO, async |lease| lease.fence().clone()).await?;
    assert_eq!(before.token(), after.token(), "Redis cannot know better; SQL and the host do");
    assert_ne!(before.attempt(), after.attempt());
    Ok(())
}

#[tokio::test]
async fn a_frozen_redis_ends_the_work_and_gives_no_new_lock() -> Result<()> {
    let sandbox = Sandbox::start(Options::redis()).await?;
    let redis = sandbox.redis()?;
    let locks = services::locks(&redis.url(), LockPolicy { command: Duration::from_millis(150), ..hasty() })?;
    let resource = resource();
    let outcome = locks.with(&resource, FencingToken::ZERO, async |_| {
        redis.freeze(true).await;
        std::future::pending::<()>().await;
    });
    let outcome = soon("the lease ends", outcome).await?;
    ensure!(matches!(outcome, Err(LockError::Lost)), "{outcome:?}");
    let next = soon("three tries", locks.with(&resource, FencingToken::ZERO, async |_| ())).await?;
    ensure!(matches!(next, Err(LockError::Timeout | LockError::Redis(_))), "{next:?}");

    redis.freeze(false).await;
    let again = || async { Ok(token(&locks, &resource, FencingToken::ZERO).await.is_ok()) };
    eventually("locks are given again", again).await
}

#[tokio::test]
async fn a_restart_of_redis_loses_neither_lock_nor_counter() -> Result<()> {
    let sandbox = Sandbox::start(Options::redis()).await?;
    let redis = sandbox.redis()?;
    let locks = services::locks(&redis.url(), LockPolicy::default())?;
    let resource = resource();
    let outcome = locks
        .with(&resource, FencingToken::ZERO, async |lease| {
            redis.restart().await?;
            ensure!(is_held(&redis.url(), &resource).await?, "the append-only file has it");
            lease.ensure(Duration::from_secs(5))?;
            Ok(lease.fence().token().get())
        })
        .await??;
    assert_eq!(outcome, 1);
    let next = || async { Ok(token(&locks, &resource, FencingToken::ZERO).await.ok() == Some(2)) };
    eventually("the connection is made again", next).await
}

#[tokio::test]
async fn a_dead_redis_gives_no_lock_and_nothing_is_begun() -> Result<()> {
    let sandbox = Sandbox::start(Options::redis()).await?;
    let redis = sandbox.redis()?;
    let locks = services::locks(&redis.url(), LockPolicy { command: Duration::from_millis(300), ..hasty() })?;
    redis.kill().await;
    let outcome = soon("three tries", locks.with(&resource(), FencingToken::ZERO, async |_| "worked")).await?;
    ensure!(matches!(outcome, Err(LockError::Redis(_) | LockError::Timeout)), "{outcome:?}");
    redis.restart().await?;
    let again = || async { Ok(token(&locks, &resource(), FencingToken::ZERO).await.is_ok()) };
    eventually("locks are given again", again).await
}

#[tokio::test]
async fn a_redis_that_may_evict_locks_is_refused_with_the_cure() -> Result<()> {
    let sandbox = Sandbox::start(Options::redis()).await?;
    let url = sandbox.redis()?.url();
    let connection = services::connect(&url)?;
    check_redis(&connection).await?;
    for policy in [
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
    ] {
        command(&url, &["CONFIG", "SET", "maxmemory-policy", policy]).await?;
        let Err(error) = check_redis(&connection).await else { anyhow::bail!("{policy} was taken") };
        ensure!(matches!(&error, RedisUnfit::Evicts(found) if found == policy), "{error:?}");
        ensure!(error.to_string().contains("noeviction"), "{error}");
    }
    command(&url, &["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await?;
    command(&url, &["CONFIG", "SET", "appendonly", "no"]).await?;
    check_redis(&connection).await.context("without an append-only file it is a warning")?;
    Ok(())
}
