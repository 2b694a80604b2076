//! The lock guard on a real Redis.

mod fences;
mod leases;
mod lost_replies;
mod redis_in_trouble;

use std::time::Duration;

use anyhow::Result;
use redis::AsyncCommands as _;
use vpn_core::{
    domain::{Client, ClientId, FencingToken},
    lock::{Lease, LockPolicy, Locks},
};
use vpn_tests::{eventually, redis as services, stepping};

/// Leases that run out while a test waits.
fn hasty() -> LockPolicy {
    LockPolicy {
        lease: Duration::from_secs(3),
        grace: Duration::from_secs(1),
        max_hold: Duration::from_mins(1),
        command: Duration::from_millis(1500),
    }
}

/// Locks in the shared Redis.
async fn shared(policy: LockPolicy) -> Result<Locks> {
    services::locks(&services::shared_url().await?, policy)
}

/// The name of a lock that nobody else uses.
fn resource() -> String {
    Client::resource(ClientId::generate(&stepping()))
}

/// The token of a lock that is taken and given back.
async fn token(locks: &Locks, resource: &str, floor: FencingToken) -> Result<i64> {
    Ok(locks.with(resource, floor, async |lease| lease.fence().token().get()).await?)
}

/// A floor: the token of a fence, because nothing else makes one.
async fn floor(at: i64) -> Result<FencingToken> {
    let (locks, resource) = (shared(LockPolicy::default()).await?, resource());
    let mut reached = FencingToken::ZERO;
    while reached.get() < at {
        reached = locks.with(&resource, reached, async |lease| lease.fence().token()).await?;
    }
    Ok(reached)
}

/// Waits until the holder knows of a renewal.
async fn renewed(lease: &Lease) -> Result<()> {
    let mut last = lease.remaining();
    eventually("the lease is renewed", || {
        let before = std::mem::replace(&mut last, lease.remaining());
        std::future::ready(Ok(last > before))
    })
    .await
}

/// Whether somebody holds the lock, as Redis sees it.
async fn is_held(url: &str, resource: &str) -> Result<bool> {
    Ok(services::look(url).await?.exists(format!("vpn:{{{resource}}}:lock")).await?)
}
