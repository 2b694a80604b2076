//! One at a time, and a token that only grows.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use vpn_core::{
    domain::FencingToken,
    lock::{LockError, LockPolicy},
};
use vpn_tests::{eventually, redis as services, soon};

use super::{floor, is_held, resource, shared, token};

#[tokio::test]
async fn tokens_grow_with_every_acquisition() -> Result<()> {
    let (locks, resource) = (shared(LockPolicy::default()).await?, resource());
    for expected in 1..=5 {
        assert_eq!(token(&locks, &resource, FencingToken::ZERO).await?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_token_is_above_the_floor() -> Result<()> {
    let (locks, resource) = (shared(LockPolicy::default()).await?, resource());
    let floor = floor(7).await?;
    assert_eq!(token(&locks, &resource, floor).await?, 8);
    assert_eq!(token(&locks, &resource, floor).await?, 9, "never the same twice");
    assert_eq!(token(&locks, &resource, FencingToken::ZERO).await?, 10, "a low floor does not bring it down");
    Ok(())
}

#[tokio::test]
async fn a_fence_names_its_lock_and_acquisition() -> Result<()> {
    let (locks, resource) = (shared(LockPolicy::default()).await?, resource());
    let one = locks.with(&resource, FencingToken::ZERO, async |lease| lease.fence().clone()).await?;
    let two = locks.with(&resource, FencingToken::ZERO, async |lease| lease.fence().clone()).await?;
    assert_eq!(one.resource(), resource);
    assert_ne!(one.attempt(), two.attempt());
    ensure!(one.attempt().as_str().len() == 32 && one.token() < two.token());
    Ok(())
}

#[tokio::test]
async fn a_lock_that_is_held_says_for_how_long() -> Result<()> {
    let policy = LockPolicy::default();
    let (locks, resource) = (shared(policy).await?, resource());
    locks
        .with(&resource, FencingToken::ZERO, async |_| {
            let second = locks.with(&resource, FencingToken::ZERO, async |_| ()).await;
            let Err(LockError::Held(left)) = second else { anyhow::bail!("{second:?}") };
            ensure!(left > Duration::ZERO && left <= policy.lease + policy.grace, "{left:?}");
            Ok(())
        })
        .await??;
    assert_eq!(token(&locks, &resource, FencingToken::ZERO).await?, 2, "a refused attempt costs no token");
    Ok(())
}

#[tokio::test]
async fn two_resources_do_not_meet() -> Result<()> {
    let (locks, one, two) = (shared(LockPolicy::default()).await?, resource(), resource());
    locks.with(&one, FencingToken::ZERO, async |_| token(&locks, &two, FencingToken::ZERO).await).await??;
    Ok(())
}

#[tokio::test]
async fn many_workers_are_inside_one_at_a_time() -> Result<()> {
    let (locks, resource) = (shared(LockPolicy::default()).await?, resource());
    let (inside, tokens) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let (locks, resource, inside, tokens) = (locks.clone(), resource.clone(), inside.clone(), tokens.clone());
            tokio::spawn(async move {
                loop {
                    let work = async |lease: vpn_core::lock::Lease| {
                        let others = inside.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        tokens.lock().unwrap().push(lease.fence().token());
                        inside.fetch_sub(1, Ordering::SeqCst);
                        others
                    };
                    match locks.with(&resource, FencingToken::ZERO, work).await {
                        Ok(others) => return Ok(others),
                        Err(LockError::Held(_)) => tokio::time::sleep(Duration::from_millis(2)).await,
                        Err(error) => return Err(error),
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        assert_eq!(soon("every worker gets its turn", worker).await???, 0, "somebody else was inside");
    }
    let tokens = tokens.lock().unwrap().clone();
    ensure!(tokens.len() == 16 && tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
    Ok(())
}

#[tokio::test]
async fn the_release_is_awaited() -> Result<()> {
    let (url, locks) = (services::shared_url().await?, shared(LockPolicy::default()).await?);
    let resource = resource();
    for _ in 0..20 {
        token(&locks, &resource, FencingToken::ZERO).await?;
        ensure!(!is_held(&url, &resource).await?, "held after it was given back");
    }
    Ok(())
}

/// Nobody has the patience to see a key of this expire.
fn endless() -> LockPolicy {
    LockPolicy { lease: Duration::from_hours(1), max_hold: Duration::from_hours(1), ..LockPolicy::default() }
}

#[tokio::test]
async fn a_dropped_caller_gives_the_lock_back() -> Result<()> {
    let (url, locks) = (services::shared_url().await?, shared(endless()).await?);
    let resource = resource();
    let (inside, entered) = tokio::sync::oneshot::channel();
    let task = tokio::spawn({
        let (locks, resource) = (locks.clone(), resource.clone());
        async move {
            let work = async |_| {
                let _told = inside.send(());
                std::future::pending::<()>().await;
            };
            locks.with(&resource, FencingToken::ZERO, work).await
        }
    });
    soon("the work begins", entered).await??;
    ensure!(is_held(&url, &resource).await?);
    task.abort();
    eventually("the lock is free", || async { Ok(!is_held(&url, &resource).await?) }).await
}

#[tokio::test]
async fn a_panic_gives_the_lock_back() -> Result<()> {
    let (url, locks) = (services::shared_url().await?, shared(endless()).await?);
    let resource = resource();
    let task = tokio::spawn({
        let (locks, resource) = (locks.clone(), resource.clone());
        async move { locks.with(&resource, FencingToken::ZERO, async |_| panic!("as planned by a test")).await }
    });
    ensure!(task.await.is_err_and(|error| error.is_panic()));
    eventually("the lock is free", || async { Ok(!is_held(&url, &resource).await?) }).await?;
    assert_eq!(token(&locks, &resource, FencingToken::ZERO).await?, 2);
    Ok(())
}
