//! The Redis of the test process, and private ones for tests that break it.

use std::time::Duration;

use anyhow::Result;
use redis::aio::{ConnectionManager, MultiplexedConnection};
use tokio::sync::OnceCell;
use vpn_core::{
    clock::Ambient,
    lock::{LockPolicy, Locks, connect_lazy},
    sandbox::{Options, Redis, Sandbox},
};

/// Where the Redis listens that all tests share: never flushed, frozen or stopped.
pub async fn shared_url() -> Result<String> {
    static SANDBOX: OnceCell<Sandbox> = OnceCell::const_new();
    let sandbox = SANDBOX.get_or_try_init(|| Sandbox::start(Options::redis())).await?;
    Ok(sandbox.redis()?.url())
}

/// A connection of the kind that the platform uses. It belongs to the runtime of its test.
pub fn connect(url: &str) -> Result<ConnectionManager> {
    Ok(connect_lazy(url, Duration::from_secs(2))?)
}

/// Locks in this Redis.
pub fn locks(url: &str, policy: LockPolicy) -> Result<Locks> {
    Ok(Locks::new(connect(url)?, policy, Ambient::system()))
}

/// A connection for looking at what is in Redis.
pub async fn look(url: &str) -> Result<MultiplexedConnection> {
    Ok(redis::Client::open(url)?.get_multiplexed_async_connection().await?)
}

/// The same Redis behind another port: a [`Proxy`](crate::proxy::Proxy).
#[must_use]
pub fn through(redis: &Redis, port: u16) -> String {
    redis.url().replace(&format!(":{}/", redis.port()), &format!(":{port}/"))
}
