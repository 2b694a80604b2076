//! Leases are renewed while the work goes on, and end when they must.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use redis::AsyncCommands as _;
use vpn_core::{
    domain::FencingToken,
    lock::{LeaseLost, LockError, LockPolicy},
};
use vpn_tests::{redis as services, soon};

use super::{hasty, is_held, renewed, resource, shared, token};

/// Tells when the work that holds it was dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_lease_is_renewed_while_the_work_goes_on() -> Result<()> {
    let policy = LockPolicy { lease: Duration::from_secs(9), ..hasty() };
    let (url, locks, resource) = (services::shared_url().await?, shared(policy).await?, resource());
    let held = locks
        .with(&resource, FencingToken::ZERO, async |lease| {
            // Each comes after a third of the lease: together they are as long as an unrenewed one.
            for _ in 0..3 {
                renewed(&lease).await?;
            }
            lease.ensure(Duration::from_millis(50))?;
            is_held(&url, &resource).await
        })
        .await??;
    ensure!(held && !is_held(&url, &resource).await?);
    Ok(())
}

#[tokio::test]
async fn the_work_is_dropped_at_the_next_renewal_when_redis_forgets_the_lock() -> Result<()> {
    let policy = LockPolicy { lease: Duration::from_secs(15), ..hasty() };
    let (url, locks, resource) = (services::shared_url().await?, shared(policy).await?, resource());
    let dropped = Arc::new(AtomicBool::new(false));
    let witness = Dropped(Arc::clone(&dropped));
    let mut last = None;
    let end = &mut last;
    let mut redis = services::look(&url).await?;
    let key = format!("vpn:{{{resource}}}:lock");
    let outcome = locks.with(&resource, FencingToken::ZERO, async move |lease| {
        let _witness = witness;
        *end = Some(Instant::now() + lease.remaining());
        let _removed: i64 = redis.del(&key).await?;
        std::future::pending::<Result<()>>().await
    });
    let outcome = soon("the lease ends", outcome).await?;
    ensure!(matches!(outcome, Err(LockError::Lost)), "{outcome:?}");
    ensure!(dropped.load(Ordering::SeqCst), "the work goes on");
    ensure!(last.is_some_and(|end| Instant::now() < end), "it was dropped at the end of its lease only");
    Ok(())
}

/// A renewal that finds the lock with another leaves it there.
#[tokio::test]
async fn a_renewal_never_takes_a_lock_back() -> Result<()> {
    let (url, locks, resource) = (services::shared_url().await?, shared(hasty()).await?, resource());
    let mut redis = services::look(&url).await?;
    let key = format!("vpn:{{{resource}}}:lock");
    let outcome = locks.with(&resource, FencingToken::ZERO, async |_| {
        let _removed: i64 = redis.del(&key).await?;
        let _set: () = redis.hset_multiple(&key, &[("owner", "another"), ("token", "99")]).await?;
        std::future::pending::<Result<()>>().await
    });
    let outcome = soon("the lease ends", outcome).await?;
    ensure!(matches!(outcome, Err(LockError::Lost)), "{outcome:?}");
    let mut redis = services::look(&url).await?;
    let owner: String = redis.hget(&key, "owner").await?;
    assert_eq!(owner, "another", "neither renewed nor released by the one who lost it");
    let left: i64 = redis.ttl(&key).await?;
    assert_eq!(left, -1, "its time is not ours to set");
    let _removed: i64 = redis.del(&key).await?;
    Ok(())
}

#[tokio::test]
async fn a_hung_job_is_ended_by_the_longest_hold() -> Result<()> {
    let policy = LockPolicy { max_hold: Duration::from_secs(2), ..hasty() };
    let (url, locks, resource) = (services::shared_url().await?, shared(policy).await?, resource());
    let begun = Instant::now();
    let outcome = locks.with(&resource, FencingToken::ZERO, async |_| std::future::pending::<()>().await);
    let outcome = soon("the longest hold passes", outcome).await?;
    ensure!(matches!(outcome, Err(LockError::Lost)), "{outcome:?}");
    ensure!(begun.elapsed() >= Duration::from_millis(1900), "it was renewed before: {:?}", begun.elapsed());
    ensure!(!is_held(&url, &resource).await?, "the next one need not wait for the expiry");
    Ok(())
}

#[tokio::test]
async fn a_step_that_takes_longer_than_the_lease_is_not_begun() -> Result<()> {
    let (locks, resource) = (shared(hasty()).await?, resource());
    locks
        .with(&resource, FencingToken::ZERO, async |lease| {
            ensure!(lease.remaining() <= hasty().lease);
            assert_eq!(lease.ensure(hasty().lease).err(), Some(LeaseLost));
            assert_eq!(lease.ensure(Duration::ZERO)?, lease.fence());
            Ok(())
        })
        .await?
}

/// The runtime of this test has one thread: nothing renews while the work blocks it.
#[tokio::test(flavor = "current_thread")]
async fn a_blocked_runtime_is_noticed_before_the_commit() -> Result<()> {
    let (locks, resource) = (shared(hasty()).await?, resource());
    let outcome = locks
        .with(&resource, FencingToken::ZERO, async |lease| {
            std::thread::sleep(hasty().lease + Duration::from_millis(50));
            lease.ensure(Duration::ZERO).map(drop)
        })
        .await;
    ensure!(matches!(outcome, Ok(Err(LeaseLost)) | Err(LockError::Lost)), "{outcome:?}");
    Ok(())
}

/// Redis keeps the key for longer than its holder believes in it: the next one starts after the last
/// one stopped.
#[tokio::test(flavor = "current_thread")]
async fn the_next_owner_starts_after_the_last_one_stopped() -> Result<()> {
    let policy = LockPolicy { grace: Duration::from_mins(1), ..hasty() };
    let (locks, resource) = (shared(policy).await?, resource());
    locks
        .with(&resource, FencingToken::ZERO, async |lease| {
            std::thread::sleep(policy.lease + Duration::from_millis(50));
            assert_eq!(lease.ensure(Duration::ZERO).err(), Some(LeaseLost));
            let next = locks.with(&resource, FencingToken::ZERO, async |_| ()).await;
            ensure!(matches!(next, Err(LockError::Held(_))), "{next:?}");
            Ok(())
        })
        .await
        .unwrap_or(Ok(()))?;
    assert_eq!(token(&locks, &resource, FencingToken::ZERO).await?, 2);
    Ok(())
}
