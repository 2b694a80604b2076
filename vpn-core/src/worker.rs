//! The worker: answers rings, sweeps, and drains when it is told to stop.

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Ambient,
    drift::Inspector,
    events::{Events, Peers},
    host::Hosts,
    jobs::{JobPolicy, Runner, Shares, SweepPolicy, Sweeper},
    lock::{LockPolicy, Locks, RedisUnfit, check_redis, connect_lazy},
    queue::{Bell, WorkerOptions, answer_rings},
    store::{Store, StoreError},
    vault::Vault,
    watch::{DriftWatcher, RenewalPolicy, Renewer, WatchPolicy, Watcher},
};

/// Redis answers the queue within this time, or is in trouble.
const QUEUE_RESPONSE: Duration = Duration::from_secs(10);
/// The same for locks and events: a job is waiting.
const LOCK_RESPONSE: Duration = Duration::from_secs(2);

/// How long a stopping worker waits for the sweeper's round that is under way.
const SWEEPING: Duration = Duration::from_secs(1);

/// What a worker works with.
pub struct Deps {
    /// The truth.
    pub store: Store,
    /// Where Redis is.
    pub redis_url: SecretString,
    /// The VPN hosts.
    pub hosts: Hosts,
    /// Seals profiles.
    pub vault: Vault,
    /// Time and randomness.
    pub ambient: Ambient,
}

/// How a worker works.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Jobs at once.
    pub concurrency: usize,
    /// How long a stopping worker waits for its jobs; what is not done by then goes to another one.
    pub drain: Duration,
    /// Leases of the Redis lock.
    pub lock: LockPolicy,
    /// Claims and retries.
    pub jobs: JobPolicy,
    /// The sweeper.
    pub sweep: SweepPolicy,
    /// How often the VPN hosts are looked at; `None`: never.
    pub watch: Option<WatchPolicy>,
    /// How CRLs that end soon are renewed when they are looked at; `None`: they are not.
    pub crl_renewal: Option<RenewalPolicy>,
    /// How often they are compared with the database; `None`: never.
    pub drift: Option<WatchPolicy>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 8,
            drain: Duration::from_secs(30),
            lock: LockPolicy::default(),
            jobs: JobPolicy::default(),
            sweep: SweepPolicy::default(),
            watch: Some(WatchPolicy::default()),
            crl_renewal: Some(RenewalPolicy::default()),
            drift: Some(WatchPolicy { every: DriftWatcher::EVERY }),
        }
    }
}

#[cfg(all(feature = "crash-points", debug_assertions))]
impl Options {
    /// The same in a hurry, if a test's environment wants it (`VPN_TESTS_HURRY`): a lease of so many
    /// milliseconds, and everything else in proportion.
    #[must_use]
    pub fn hurried_if_wanted(self) -> Self {
        use crate::jobs::RetryPolicy;

        let Some(lease) = crate::boundary::hurry() else { return self };
        Self {
            lock: LockPolicy { lease, grace: lease / 4, max_hold: lease * 8, ..self.lock },
            jobs: JobPolicy {
                lease,
                needed: lease / 8,
                retry: RetryPolicy { base: lease / 30, cap: lease / 4 },
                settle: lease / 30,
            },
            sweep: SweepPolicy { every: lease / 15, unanswered: lease, unanswered_when_busy: lease * 3 },
            // Tests count the requests of jobs.
            watch: None,
            drift: None,
            ..self
        }
    }
}

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The database was never set up, or is of another version.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Redis may throw locks away.
    #[error("{0}")]
    Redis(#[from] RedisUnfit),
    /// The URL of Redis is no URL.
    #[error("the Redis URL cannot be used: {0}")]
    Url(#[source] redis::RedisError),
}

/// Works until `stop`, then finishes what it has begun and gives the rest back.
///
/// Redis and the database may be away at the start: it waits for them. It does not start with a Redis
/// that may evict locks, nor with a database that was never set up.
pub async fn run(deps: Deps, options: Options, stop: CancellationToken) -> Result<(), WorkerError> {
    let url = deps.redis_url.expose_secret().to_owned();
    let queue = connect_lazy(&url, QUEUE_RESPONSE).map_err(WorkerError::Url)?;
    let redis = connect_lazy(&url, LOCK_RESPONSE).map_err(WorkerError::Url)?;
    let Some(owner) = stop.run_until_cancelled(ready(&deps.store, &redis)).await.transpose()? else {
        return Ok(());
    };
    let ambient = deps.ambient.clone();
    let runner = runner(deps, &redis, &options, &owner);
    let sweeper = Sweeper {
        store: runner.store.clone(),
        bell: Arc::clone(&runner.bell),
        events: runner.events.clone(),
        policy: options.sweep,
    };
    let mut sweeping = tokio::spawn(sweeper.run(stop.clone()));
    let watching = options.watch.map(|policy| {
        let renewer = options.crl_renewal.map(|policy| Renewer {
            locks: runner.locks.clone(),
            events: runner.events.clone(),
            policy,
            needed: options.jobs.needed,
        });
        let watcher = Watcher { store: runner.store.clone(), hosts: runner.hosts.clone(), policy, renewer };
        tokio::spawn(watcher.run(stop.clone()))
    });
    let comparing = options.drift.map(|policy| {
        let inspector = Inspector { store: runner.store.clone(), hosts: runner.hosts.clone() };
        tokio::spawn(DriftWatcher { inspector, policy }.run(stop.clone()))
    });
    let settings = WorkerOptions { concurrency: options.concurrency, drain: options.drain };
    tracing::info!(worker.concurrency = options.concurrency, "the worker is ready");
    answer_rings(&url, queue, &ambient, Arc::new(runner), settings, stop).await;
    match tokio::time::timeout(SWEEPING, &mut sweeping).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the sweeper ended in disorder"),
        // Redis or the database hangs; what the round was about to do is done by another sweeper.
        Err(_) => sweeping.abort(),
    }
    for task in [watching, comparing].into_iter().flatten() {
        // What it had begun is done when it is due again.
        task.abort();
    }
    tracing::info!("the worker has stopped");
    Ok(())
}

/// What runs jobs, in the name of the platform that `owner` names.
fn runner(deps: Deps, redis: &redis::aio::ConnectionManager, options: &Options, owner: &str) -> Runner {
    let peers =
        Peers { redis: redis.clone(), url: deps.redis_url.expose_secret().to_owned(), name: deps.ambient.random() };
    Runner {
        locks: Locks::new(redis.clone(), options.lock, deps.ambient.clone()),
        hosts: deps.hosts.owned_by(owner),
        vault: deps.vault,
        events: Events::follow(deps.store.clone(), Some(peers)),
        bell: Arc::new(Bell::new(redis.clone())),
        store: deps.store,
        ambient: deps.ambient,
        shares: Shares::of(options.concurrency),
        policy: options.jobs,
    }
}

/// What runs jobs, for whoever runs single ones by hand. Database and Redis have to answer.
pub async fn by_hand(deps: Deps, options: Options) -> Result<Runner, WorkerError> {
    let redis = connect_lazy(deps.redis_url.expose_secret(), LOCK_RESPONSE).map_err(WorkerError::Url)?;
    deps.store.opened().await?;
    check_redis(&redis).await?;
    let owner = deps.store.platform_id().await?;
    Ok(runner(deps, &redis, &options, &owner))
}

/// Waits for the database and Redis, and gives the platform's id. An error that waiting cannot cure is
/// returned.
async fn ready(store: &Store, redis: &redis::aio::ConnectionManager) -> Result<String, WorkerError> {
    let mut looks = tokio::time::interval(Duration::from_millis(500));
    loop {
        looks.tick().await;
        let opened = async {
            store.opened().await?;
            store.platform_id().await
        };
        let platform = match opened.await {
            Ok(platform) => platform,
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, "waiting for the database");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match check_redis(redis).await {
            Ok(()) => return Ok(platform),
            Err(RedisUnfit::Redis(error)) => tracing::warn!(%error, "waiting for Redis"),
            Err(unfit) => return Err(unfit.into()),
        }
    }
}
