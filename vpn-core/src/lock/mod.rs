//! The lock guard: one worker at a time on one client, and a fencing token for whoever it is.
//!
//! Redis says who goes first; it is never believed about what happened. Losing it costs time and
//! nothing else, because every guarded write compares the token of its [`Fence`]: in SQL, and on the
//! VPN host.
//!
//! ```text
//! locks.with(resource, floor, |lease| async move { … lease.ensure(needed)? … }).await
//! ```

mod lease;
mod scripts;

use std::{future::Future, pin::pin, time::Duration};

use redis::aio::ConnectionManager;
use tokio::task::JoinHandle;

use crate::{
    boundary::{Boundary, Struck, reach},
    clock::Ambient,
    domain::{AttemptId, Fence, FencingToken},
};

use lease::Deadline;
pub use lease::{Lease, LeaseLost};
use scripts::{Acquired, Scripts};

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct LockPolicy {
    /// How long a holder may believe in its lock, counted from when the command was *sent*.
    pub lease: Duration,
    /// How much longer Redis keeps the key, so that the next owner starts after the last one stopped.
    pub grace: Duration,
    /// The end of all renewals: a hung job must not keep its lock for ever.
    pub max_hold: Duration,
    /// How long one command to Redis may take.
    pub command: Duration,
}

impl Default for LockPolicy {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(12),
            grace: Duration::from_secs(6),
            max_hold: Duration::from_mins(10),
            command: Duration::from_secs(2),
        }
    }
}

/// Why the work was not done under the lock, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it; ask again after about this long.
    #[error("the lock is held by another for {} ms more", .0.as_millis())]
    Held(Duration),
    /// The lease ended while the work was running; the work was dropped.
    #[error("the lease ended before the work did")]
    Lost,
    /// Redis could not be asked. Nothing was begun.
    #[error("Redis could not be asked for the lock")]
    Redis(#[source] redis::RedisError),
    /// Redis did not answer in time. Nothing was begun.
    #[error("Redis did not answer in time for the lock")]
    Timeout,
}

impl From<Struck> for LockError {
    fn from(_: Struck) -> Self {
        Self::Timeout
    }
}

/// Locks in one Redis.
#[derive(Clone, Debug)]
pub struct Locks {
    redis: ConnectionManager,
    policy: LockPolicy,
    scripts: Scripts,
    ambient: Ambient,
}

/// An acquisition that was granted.
struct Grant {
    owner: AttemptId,
    token: FencingToken,
    /// When the command that was answered had been sent.
    sent: Duration,
}

impl Locks {
    /// Locks under this policy.
    #[must_use]
    pub fn new(redis: ConnectionManager, policy: LockPolicy, ambient: Ambient) -> Self {
        Self { redis, policy, scripts: Scripts::load(), ambient }
    }

    /// Runs `work` while holding `resource`. Its fencing token is above `floor`, the highest that SQL
    /// has seen.
    ///
    /// The lock is given back before this returns. When the lease ends first, `work` is dropped where
    /// it stands; when this future is dropped, a best-effort release is sent and the expiry of the key
    /// is the backstop.
    pub async fn with<T, F>(
        &self,
        resource: &str,
        floor: FencingToken,
        work: impl FnOnce(Lease) -> F,
    ) -> Result<T, LockError>
    where
        F: Future<Output = T>,
    {
        let begun = lease::boottime();
        let owner = AttemptId::generate(&self.ambient);
        // From here until we know that another holds it, the key may be ours: every way out releases.
        let mut release = Release::new(self.clone(), resource, &owner);
        let grant = match self.acquire(resource, owner, floor).await {
            Err(LockError::Held(left)) => {
                release.disarm();
                return Err(LockError::Held(left));
            }
            other => other?,
        };
        reach(Boundary::Locked)?;
        let deadline = Deadline::new(grant.sent + self.policy.lease, begun + self.policy.max_hold);
        let fence = Fence::granted(resource.to_owned(), grant.token, grant.owner.clone());
        let renewer = self.renew_until_dropped(resource, grant.owner, deadline.clone());

        let mut ended = pin!(deadline.clone().passed());
        let mut work = pin!(work(Lease::new(fence, deadline)));
        let outcome = tokio::select! {
            biased;
            () = &mut ended => Err(LockError::Lost),
            value = &mut work => Ok(value),
        };
        drop(renewer);
        // Awaited: the next job starts now, not after the key has expired.
        release.now().await;
        reach(Boundary::Released)?;
        outcome
    }

    async fn acquire(&self, resource: &str, owner: AttemptId, floor: FencingToken) -> Result<Grant, LockError> {
        let mut tries = 0;
        loop {
            let sent = lease::boottime();
            let asked = self.scripts.acquire(&self.redis, resource, &owner, self.kept(), floor);
            // An unknown outcome is asked again: the same owner gets the same token.
            let failed = match tokio::time::timeout(self.policy.command, asked).await {
                Ok(Ok(Acquired::Held(left))) => return Err(LockError::Held(left)),
                Ok(Ok(Acquired::Taken(token))) => return Ok(Grant { owner, token, sent }),
                Ok(Err(error)) => LockError::Redis(error),
                Err(_) => LockError::Timeout,
            };
            tries += 1;
            if tries == 3 {
                return Err(failed);
            }
        }
    }

    /// How long Redis keeps the key.
    fn kept(&self) -> Duration {
        self.policy.lease + self.policy.grace
    }

    fn renew_until_dropped(&self, resource: &str, owner: AttemptId, deadline: Deadline) -> AbortOnDrop {
        let (locks, resource) = (self.clone(), resource.to_owned());
        AbortOnDrop(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(locks.policy.lease / 3);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                let sent = lease::boottime();
                let asked = locks.scripts.renew(&locks.redis, &resource, &owner, locks.kept());
                match tokio::time::timeout(locks.policy.command, asked).await {
                    Ok(Ok(true)) => deadline.extend(sent + locks.policy.lease),
                    Ok(Ok(false)) => return deadline.end(),
                    // Redis is in trouble: go on asking, the deadline decides.
                    Ok(Err(_)) | Err(_) => {}
                }
            }
        }))
    }

    async fn release(&self, resource: &str, owner: &AttemptId) {
        if reach(Boundary::Releasing).is_err() {
            return;
        }
        let asked = self.scripts.release(&self.redis, resource, owner);
        let failed = match tokio::time::timeout(self.policy.command, asked).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(
            lock.resource = resource,
            error = failed,
            "a lock could not be given back; it expires by itself"
        );
    }
}

/// Releases when dropped, unless it was done or proved needless.
struct Release(Option<(Locks, String, AttemptId)>);

impl Release {
    fn new(locks: Locks, resource: &str, owner: &AttemptId) -> Self {
        Self(Some((locks, resource.to_owned(), owner.clone())))
    }

    fn disarm(&mut self) {
        self.0 = None;
    }

    async fn now(mut self) {
        if let Some((locks, resource, owner)) = self.0.take() {
            locks.release(&resource, &owner).await;
        }
    }
}

impl Drop for Release {
    /// A drop cannot wait: the release is handed to the runtime.
    fn drop(&mut self) {
        if let (Some((locks, resource, owner)), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { locks.release(&resource, &owner).await });
        }
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens a connection that reconnects by itself. Nothing is connected yet: a Redis that is down does
/// not keep a server from starting.
pub fn connect_lazy(url: &str, response: Duration) -> Result<ConnectionManager, redis::RedisError> {
    let config = redis::aio::ConnectionManagerConfig::new()
        .set_response_timeout(Some(response))
        .set_connection_timeout(Some(Duration::from_secs(2)))
        .set_max_delay(Duration::from_secs(1));
    ConnectionManager::new_lazy_with_config(redis::Client::open(url)?, config)
}

/// What is wrong with a Redis for our purpose.
#[derive(Debug, thiserror::Error)]
pub enum RedisUnfit {
    /// It may throw locks away when memory runs out.
    #[error("Redis has `maxmemory-policy {0}`, which may evict locks: set it to `noeviction`")]
    Evicts(String),
    /// It could not be asked.
    #[error("Redis could not be asked for its settings")]
    Redis(#[source] redis::RedisError),
}

/// Refuses a Redis that may evict locks; warns of one that forgets at a restart.
pub async fn check_redis(redis: &ConnectionManager) -> Result<(), RedisUnfit> {
    let mut redis = redis.clone();
    let mut setting = async |name: &str| -> Result<String, RedisUnfit> {
        let (_, value): (String, String) =
            redis::cmd("CONFIG").arg("GET").arg(name).query_async(&mut redis).await.map_err(RedisUnfit::Redis)?;
        Ok(value)
    };
    let policy = setting("maxmemory-policy").await?;
    if policy != "noeviction" {
        return Err(RedisUnfit::Evicts(policy));
    }
    if setting("appendonly").await? != "yes" {
        static TOLD: std::sync::Once = std::sync::Once::new();
        TOLD.call_once(|| {
            tracing::warn!(
                "Redis runs without an append-only file: queued work is rung again from SQL after its restart"
            );
        });
    }
    Ok(())
}

/// For a resource's keys; the braces keep both in one slot of a cluster.
fn key(resource: &str, part: &str) -> String {
    format!("vpn:{{{resource}}}:{part}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_keys_of_a_resource_share_a_slot() {
        assert_eq!(super::key("client:cli_1", "lock"), "vpn:{client:cli_1}:lock");
    }
}
