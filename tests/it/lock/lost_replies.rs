//! Replies of Redis that are lost or late: behind a proxy.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use redis::AsyncCommands as _;
use vpn_core::{
    domain::FencingToken,
    lock::{Lease, LockError, LockPolicy, Locks},
    sandbox::{Options, Sandbox},
};
use vpn_tests::{eventually, proxy::Proxy, redis as services, soon};

use super::{hasty, is_held, renewed, resource, token};

/// A Redis, a proxy before it, and locks that go through the proxy.
struct Setting {
    sandbox: Sandbox,
    proxy: Proxy,
    locks: Locks,
}

impl Setting {
    async fn new(policy: LockPolicy) -> Result<Self> {
        let sandbox = Sandbox::start(Options::redis()).await?;
        let proxy = Proxy::before(sandbox.redis()?.port()).await?;
        let locks = services::locks(&services::through(sandbox.redis()?, proxy.port()), policy)?;
        let setting = Self { sandbox, proxy, locks };
        // The scripts are known to Redis and the connection is made: what follows is one round trip.
        let warm = async || Ok(token(&setting.locks, "warm", FencingToken::ZERO).await.is_ok());
        eventually("a lock is taken", warm).await?;
        Ok(setting)
    }

    fn url(&self) -> Result<String> {
        Ok(self.sandbox.redis()?.url())
    }

    /// How long Redis keeps the lock yet.
    async fn left(&self, resource: &str) -> Result<Duration> {
        let left: i64 = services::look(&self.url()?).await?.pttl(format!("vpn:{{{resource}}}:lock")).await?;
        Ok(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    /// How many scripts Redis has run.
    async fn scripts_run(&self) -> Result<u64> {
        let mut redis = services::look(&self.url()?).await?;
        let told: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await?;
        let calls = told.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")?.split(',').next());
        Ok(calls.context("Redis has run no script")?.parse()?)
    }

    async fn last_token(&self, resource: &str) -> Result<i64> {
        Ok(services::look(&self.url()?).await?.get(format!("vpn:{{{resource}}}:fence")).await?)
    }
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again_and_costs_no_second_token() -> Result<()> {
    let setting = Setting::new(LockPolicy::default()).await?;
    let resource = resource();
    setting.proxy.lose_next_reply();
    assert_eq!(soon("the lock is taken", token(&setting.locks, &resource, FencingToken::ZERO)).await??, 1);
    assert_eq!(setting.proxy.lost_replies(), 1, "the reply was lost");
    assert_eq!(setting.last_token(&resource).await?, 1, "one acquisition, one token");
    ensure!(!is_held(&setting.url()?, &resource).await?, "no orphaned lock");
    Ok(())
}

#[tokio::test]
async fn a_late_reply_is_asked_for_again_and_costs_no_second_token() -> Result<()> {
    // Less than the connection itself waits for an answer.
    let command = Duration::from_millis(1800);
    let setting = Setting::new(LockPolicy { command, ..LockPolicy::default() }).await?;
    let resource = resource();
    let before = setting.scripts_run().await?;
    setting.proxy.hold_replies(true);
    let release = async {
        let twice = async || Ok(setting.scripts_run().await? >= before + 2);
        eventually("Redis has done it, and was asked again", twice).await?;
        setting.proxy.hold_replies(false);
        anyhow::Ok(())
    };
    let (token, released) = tokio::join!(token(&setting.locks, &resource, FencingToken::ZERO), release);
    released?;
    assert_eq!((token?, setting.last_token(&resource).await?), (1, 1));
    ensure!(!is_held(&setting.url()?, &resource).await?);
    Ok(())
}

#[tokio::test]
async fn replies_that_never_come_end_in_a_timeout_and_no_work() -> Result<()> {
    let setting = Setting::new(LockPolicy { command: Duration::from_millis(150), ..LockPolicy::default() }).await?;
    let resource = resource();
    setting.proxy.hold_replies(true);
    let outcome = setting.locks.with(&resource, FencingToken::ZERO, async |_| "worked");
    let outcome = soon("three tries", outcome).await?;
    ensure!(matches!(outcome, Err(LockError::Timeout)), "{outcome:?}");
    // The lock may be ours without our knowing: it is given back all the same.
    eventually("the lock is free", || async { Ok(!is_held(&setting.url()?, &resource).await?) }).await
}

#[tokio::test]
async fn a_lost_reply_to_a_release_leaves_no_lock() -> Result<()> {
    let setting = Setting::new(LockPolicy::default()).await?;
    let resource = resource();
    let work = async |_| setting.proxy.lose_next_reply();
    soon("the lock is given back", setting.locks.with(&resource, FencingToken::ZERO, work)).await??;
    assert_eq!(setting.proxy.lost_replies(), 1);
    ensure!(!is_held(&setting.url()?, &resource).await?);
    assert_eq!(token(&setting.locks, &resource, FencingToken::ZERO).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_breaks_between_renewals_does_not_end_the_work() -> Result<()> {
    let setting = Setting::new(LockPolicy { lease: Duration::from_secs(9), ..hasty() }).await?;
    let resource = resource();
    let work = setting.locks.with(&resource, FencingToken::ZERO, async |lease| {
        setting.proxy.cut();
        renewed(&lease).await?;
        lease.ensure(Duration::ZERO)?;
        anyhow::Ok(())
    });
    soon("the work ends", work).await??
}

/// How late an answer comes: less than the connection itself waits for one.
const LATE: Duration = Duration::from_millis(500);

/// Lets the answers through once Redis has done what it was told, and some time has passed.
async fn delayed(setting: &Setting, resource: &str, kept: Duration) -> Result<()> {
    eventually("Redis keeps the lock for so long, and has answered long ago", async || {
        let left = setting.left(resource).await?;
        Ok(left > Duration::ZERO && left + LATE < kept)
    })
    .await?;
    setting.proxy.hold_replies(false);
    Ok(())
}

/// However late the answers come: a holder that counted from the answer would go on when the next one begins.
#[tokio::test]
async fn a_lease_ends_before_its_key_though_the_answers_are_late() -> Result<()> {
    let policy = LockPolicy { lease: Duration::from_secs(9), command: Duration::from_secs(8), ..hasty() };
    let (setting, resource) = (Setting::new(policy).await?, resource());
    let kept = policy.lease + policy.grace;
    let in_time = async |lease: &Lease| {
        let left = setting.left(&resource).await?;
        // Redis counts in whole milliseconds from one of them to another: it may say one less than is left.
        let at_most = left + Duration::from_millis(1);
        ensure!(lease.remaining() + policy.grace <= at_most, "{:?} of {left:?}", lease.remaining());
        anyhow::Ok(())
    };
    setting.proxy.hold_replies(true);
    let work = setting.locks.with(&resource, FencingToken::ZERO, async |lease| {
        in_time(&lease).await?;
        // The first renewal makes the script known to Redis; the answer to the second is held.
        renewed(&lease).await?;
        setting.proxy.hold_replies(true);
        let second = async || Ok(setting.left(&resource).await? > lease.remaining() + policy.grace + LATE);
        eventually("Redis has renewed again", second).await?;
        delayed(&setting, &resource, kept).await?;
        renewed(&lease).await?;
        in_time(&lease).await
    });
    let (worked, delayed) = tokio::join!(work, delayed(&setting, &resource, kept));
    delayed?;
    worked?
}

#[tokio::test]
async fn a_partition_ends_the_work_before_the_key_is_free() -> Result<()> {
    let policy = LockPolicy { grace: Duration::from_secs(3), ..hasty() };
    let setting = Setting::new(policy).await?;
    let resource = resource();
    let outcome = setting.locks.with(&resource, FencingToken::ZERO, async |_| {
        setting.proxy.partition(true);
        std::future::pending::<()>().await;
    });
    let outcome = soon("the lease ends", outcome).await?;
    ensure!(matches!(outcome, Err(LockError::Lost)), "{outcome:?}");
    // The release did not get through: as Redis sees it, the lock is held for the grace and no longer.
    ensure!(is_held(&setting.url()?, &resource).await?, "another could have begun before this one stopped");
    eventually("the key expires", || async { Ok(!is_held(&setting.url()?, &resource).await?) }).await
}
