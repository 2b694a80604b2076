//! The use cases: authorise, validate, persist together with the audit entry, ring, announce.
//!
//! Every method takes the [`Caller`] and asks the [table of permissions](crate::domain::PERMISSIONS)
//! first; a refusal is audited. What a caller can put right comes back as [`Error::Rejected`], and
//! then nothing was changed.

mod approvals;
mod audit;
mod bucket;
mod clients;
mod health;
mod hosts;
mod links;
mod live;
mod local;
mod mutation;
mod once;
mod profiles;
mod reads;
mod refusals;
mod servers;
mod sign_in;
mod terms;
mod throttle;
mod tokens;
mod uses;
mod work;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use redis::aio::ConnectionManager;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    audit::{Action, Entry},
    clock::Ambient,
    domain::{Caller, Client, Job, Permission},
    error::Error,
    events::{Events, Peers},
    lock::connect_lazy,
    oidc::Provider,
    queue::{Bell, Doorbell},
    store::{Store, StoreError, Tx},
    vault::Vault,
};

pub use approvals::{Awaited, SeenApproval, TwoPersonRule};
pub use audit::{
    AuditTree, Checkpointer, EntryProof, EraseError, Erasure, Rhythm, SealError, SealPlan, SealUpTo, VerifyError,
    erase_values, export_audit_log, finish_sealing, plan_erasure, plan_seal, prove_entry, seal_audit_log,
    verify_audit_log, verify_audit_log_against, verify_audit_log_with_segments,
};
pub use clients::CreateClient;
pub use health::{Health, HealthCheck, HealthStatus};
pub use hosts::{KnownHost, Tallies};
pub use links::{CreateProfileLink, ProfileLink, Taken};
pub use local::local_caller;
pub use profiles::Delivered;
pub use servers::{MoveServer, RegisterServer};
pub use terms::Policy;
pub use tokens::{CreateToken, NewlyMade};
pub use work::{ProvisionClient, RetryJob, RevokeClient};

/// Redis answers within this time, or the request goes on without it.
const REDIS_RESPONSE: Duration = Duration::from_secs(2);

/// How long an accepted request waits for the queue to hear of it.
const RING_PATIENCE: Duration = Duration::from_millis(500);

/// What the use cases need.
#[derive(Clone)]
pub struct Deps {
    /// The truth.
    pub store: Store,
    /// Tells workers to look at a job.
    pub bell: Arc<dyn Doorbell>,
    /// Live status.
    pub events: Events,
    /// Opens profiles.
    pub vault: Vault,
    /// Time and randomness.
    pub ambient: Ambient,
    /// For health: whether it answers, and never evicts.
    pub redis: ConnectionManager,
    /// How often a job is tried before it is given up.
    pub max_attempts: i32,
}

/// The platform's use cases. Clones are cheap and share everything.
#[derive(Clone)]
pub struct Platform {
    deps: Arc<Deps>,
    refusals: Arc<refusals::Refusals>,
    tiles: Arc<audit::Tiles>,
    uses: Arc<uses::Uses>,
    throttle: Arc<throttle::Throttle>,
    provider: Option<Arc<Provider>>,
    two_person: Arc<TwoPersonRule>,
    policy: Arc<Policy>,
    /// Links that opened nothing, by the address that tried them.
    wrong_links: Arc<Mutex<bucket::Buckets<Option<IpAddr>>>>,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Platform")
    }
}

/// A job that was queued, for a client as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The client.
    pub client: Client,
    /// The job.
    pub job: Job,
}

impl Platform {
    /// Over these parts.
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        Self {
            deps: Arc::new(deps),
            refusals: Arc::default(),
            tiles: Arc::default(),
            uses: Arc::default(),
            throttle: Arc::default(),
            provider: None,
            two_person: Arc::default(),
            policy: Arc::default(),
            wrong_links: Arc::new(Mutex::new(bucket::Buckets::new(links::WRONG))),
        }
    }

    /// The usual composition: this database and this Redis, and whatever time and randomness there is.
    /// Nothing is connected yet, so neither of the two keeps a server from starting.
    pub fn connect(
        store: Store,
        redis_url: &SecretString,
        vault: Vault,
        ambient: Ambient,
        max_attempts: i32,
    ) -> Result<Self, redis::RedisError> {
        let url = redis_url.expose_secret();
        let redis = connect_lazy(url, REDIS_RESPONSE)?;
        let peers = Peers { redis: redis.clone(), url: url.to_owned(), name: ambient.random() };
        let events = Events::follow(store.clone(), Some(peers));
        let bell = Arc::new(Bell::new(redis.clone()));
        Ok(Self::new(Deps { store, bell, events, vault, ambient, redis, max_attempts }))
    }

    /// With single sign-on: signed tokens of this identity provider are taken, beside our own.
    #[must_use]
    pub fn with_provider(mut self, provider: Provider) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Under this policy, instead of the default one.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    fn store(&self) -> &Store {
        &self.deps.store
    }

    /// Ids and randomness from the passed-in sources.
    #[must_use]
    pub fn ambient(&self) -> &Ambient {
        &self.deps.ambient
    }

    /// Deny by default; a refusal is audited before it is answered, a flood of them is counted.
    pub(crate) async fn authorise(&self, caller: &Caller, permission: Permission) -> Result<(), Error> {
        if caller.may(permission) {
            return Ok(());
        }
        let entry = Entry::by(caller, Action::PermissionRefused)
            .with("permission", permission.as_str())
            .with("role", caller.role.as_str())
            .with("scopes", caller.scopes.to_string());
        self.record_refusal(self.refusals.of_permission(caller.principal.as_str(), Instant::now()), entry).await?;
        Err(Error::Forbidden(permission))
    }

    /// Writes the entry of a refusal, with how many were only counted before it; nothing when this one is
    /// only counted as well.
    async fn record_refusal(&self, untold: Option<u64>, entry: Entry) -> Result<(), StoreError> {
        match untold {
            None => Ok(()),
            Some(0) => self.record(entry).await,
            Some(untold) => self.record(entry.with("notRecordedBefore", untold)).await,
        }
    }

    /// Writes an entry that tells of no change.
    async fn record(&self, entry: Entry) -> Result<(), StoreError> {
        let tx = self.store().begin().await?;
        tx.commit(entry, []).await?;
        self.deps.events.announce();
        Ok(())
    }

    /// Commits, and lets everybody know.
    async fn commit(&self, tx: Tx, first: Entry, more: Vec<Entry>) -> Result<(), StoreError> {
        tx.commit(first, more).await?;
        self.deps.events.announce();
        Ok(())
    }

    /// Rings for a job that was just queued. It is accepted whether or not the queue hears of it: what
    /// could not be rung is noted, and the sweeper rings.
    async fn ring(&self, job: &Job) {
        let rung = tokio::time::timeout(RING_PATIENCE, self.deps.bell.ring(job.id, job.generation)).await;
        let error = match rung {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(job.id = %job.id, error, "the job is accepted, but the queue could not be told; the sweeper will");
        let noted = async {
            let mut tx = self.store().begin().await?;
            tx.note_unrung(job.id).await?;
            tx.commit_bookkeeping().await
        };
        if let Err(error) = noted.await {
            tracing::debug!(job.id = %job.id, error.code = error.code(), "the sweeper will ring later than it could");
        }
    }
}
