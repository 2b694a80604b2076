//! Jobs: what a worker does when it is rung for one. One file per kind.
//!
//! A ring is answered by looking at the row, taking the client's lock, *adopting* client and job under
//! a fencing token that is newer than every one before, and then acting in steps. Each step's outcome
//! is committed under that token together with its audit entry; where no row matches, somebody else
//! took over, and nothing is changed.

mod attempt;
mod failure;
mod provision;
mod retry;
mod revoke;
mod shares;
mod sweeper;

use std::{sync::Arc, time::Duration};

use crate::{
    audit::{Action, Entry, JobAct},
    boundary::{Boundary, reach},
    clock::Ambient,
    domain::{Client, Job, JobId, JobKind, JobState, Server},
    events::Events,
    host::{Boxed, Hosts},
    lock::{Lease, LockError, Locks},
    queue::{Doorbell, Handler},
    store::{Due, Store, StoreError, Tx},
    vault::Vault,
};

use attempt::Attempt;
pub use retry::RetryPolicy;
pub use shares::Shares;
pub use sweeper::{SweepPolicy, Sweeper};

/// How attempts are run.
#[derive(Clone, Copy, Debug)]
pub struct JobPolicy {
    /// How long a claim in SQL lasts without a sign of life from its worker.
    pub lease: Duration,
    /// What must be left of the lock's lease for a step on the host to be begun. The step may take
    /// longer: the lease is renewed meanwhile, and the host checks the fence itself.
    pub needed: Duration,
    /// When failed attempts are repeated.
    pub retry: RetryPolicy,
    /// How long after its sessions were ended a revoked client's sessions are ended once more, for a
    /// handshake that was under way.
    pub settle: Duration,
}

impl Default for JobPolicy {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(20),
            needed: Duration::from_secs(3),
            retry: RetryPolicy::default(),
            settle: Duration::from_secs(2),
        }
    }
}

/// What jobs are run with.
#[derive(Clone)]
pub struct Runner {
    /// The truth.
    pub store: Store,
    /// Who goes first.
    pub locks: Locks,
    /// The VPN hosts.
    pub hosts: Hosts,
    /// Seals profiles.
    pub vault: Vault,
    /// Live status.
    pub events: Events,
    /// Rings for the job that waited behind this one.
    pub bell: Arc<dyn Doorbell>,
    /// Randomness.
    pub ambient: Ambient,
    /// How the hosts share what is done at once.
    pub shares: Shares,
    /// How.
    pub policy: JobPolicy,
}

impl Handler for Runner {
    fn look_at(&self, job: JobId) -> Boxed<'_, ()> {
        Box::pin(async move {
            if let Err(error) = self.consider(job).await {
                tracing::error!(job.id = %job, error.code = error.code(), %error, "a job could not be looked at; the sweeper rings again");
            }
        })
    }
}

impl Runner {
    async fn consider(&self, id: JobId) -> Result<(), StoreError> {
        let Some((job, client, server, alone)) = self.load(id).await? else { return Ok(()) };
        reach(Boundary::Loaded)?;
        let Some(share) = self.shares.take(server.id, alone) else {
            tracing::debug!(job.id = %id, server.id = %server.id, "its host has all that it may have of this worker; the job waits");
            return Ok(());
        };
        let resource = Client::resource(client.id);
        let floor = client.fence.max(job.fence);
        let held = self.locks.with(&resource, floor, |lease| self.attempt(job, server, lease)).await;
        match held {
            Ok(result) => result?,
            // Nor is what its host turned away rung for: that would be this job, again and again.
            Err(LockError::Held(left)) => {
                tracing::debug!(job.id = %id, held_ms = left.as_millis(), "another job is at work on this client; its worker rings again");
                return Ok(());
            }
            // The claim lapses, and the sweeper gives the job to somebody else.
            Err(LockError::Lost) => {
                tracing::warn!(job.id = %id, "the lock was lost under the job; another attempt follows");
            }
            Err(error) => {
                tracing::warn!(job.id = %id, %error, "no lock could be taken; the job waits");
                return Ok(());
            }
        }
        drop(share);
        self.ring_next(&client, id).await?;
        self.ring_turned_away().await?;
        Ok(reach(Boundary::Answered)?)
    }

    /// What there is to do, and whether its host is the only one; `None` when there is nothing (any more).
    async fn load(&self, id: JobId) -> Result<Option<(Job, Client, Server, bool)>, StoreError> {
        let mut reader = self.store.read().await?;
        let Some(job) = reader.job(id).await?.filter(|job| job.state == JobState::Queued) else { return Ok(None) };
        let Some(client) = reader.client(job.client_id).await? else { return Ok(None) };
        let Some(server) = reader.server(client.server_id).await? else { return Ok(None) };
        let alone = reader.is_only_server(server.id).await?;
        Ok(Some((job, client, server, alone)))
    }

    async fn attempt(&self, job: Job, server: Server, lease: Lease) -> Result<(), StoreError> {
        match self.claim(&job, &lease).await {
            Ok((job, client)) => Attempt { runner: self, job, client, server, lease, proofs: Vec::new() }.run().await,
            // Not due, not queued any more, or overtaken.
            Err(StoreError::Fenced) => self.cancel_if_overtaken(&job).await,
            Err(other) => Err(other),
        }
    }

    /// The client is read again: what was known of it before the lock was had may be outdated, and the
    /// audit entry tells how it is.
    async fn claim(&self, job: &Job, lease: &Lease) -> Result<(Job, Client), StoreError> {
        let first = match job.kind() {
            JobKind::Provision => provision::FIRST_STEP,
            JobKind::Revoke => revoke::FIRST_STEP,
        };
        let mut tx = self.store.begin().await?;
        let client = tx.lock_client(job.client_id).await?.ok_or(StoreError::Fenced)?;
        let claimed = tx.claim_job(job, first, lease.fence(), self.policy.lease).await?;
        reach(Boundary::Claiming)?;
        let entry = entry(JobAct::Started, &client, &claimed, JobState::Running);
        tx.commit(entry, []).await?;
        self.events.announce();
        Ok((claimed, client))
    }

    async fn cancel_if_overtaken(&self, job: &Job) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        let Some(client) = tx.lock_client(job.client_id).await? else { return Ok(()) };
        let overtaken = job.kind() == JobKind::Provision && client.revocation.is_some();
        let waiting = tx.lock_job(job.id).await?.filter(|job| overtaken && job.state == JobState::Queued);
        let Some(job) = waiting else { return Ok(()) };
        tx.cancel_job(job.id).await?;
        tx.commit(entry(JobAct::Canceled, &client, &job, JobState::Canceled), []).await?;
        self.events.announce();
        Ok(())
    }

    /// A revocation that came while the client was being provisioned waits for its lock: now it is
    /// free.
    async fn ring_next(&self, client: &Client, done: JobId) -> Result<(), StoreError> {
        let open = self.store.read().await?.open_jobs(&[client.id]).await?;
        for job in open.into_iter().filter(|job| job.state == JobState::Queued && job.id != done) {
            let tx = self.store.begin().await?;
            if job.run_after_at <= tx.at() {
                let _taken = self.ring_again(tx, Due { id: job.id, generation: job.generation }).await?;
            }
        }
        Ok(())
    }

    /// Rings for one of those that were not begun because their host had its share.
    async fn ring_turned_away(&self) -> Result<(), StoreError> {
        let Some(server) = self.shares.next() else { return Ok(()) };
        // Two that end at once find the same one: whoever is too late looks again.
        while let Some(due) = self.store.read().await?.job_waiting_on(server).await? {
            if self.ring_again(self.store.begin().await?, due).await? {
                return Ok(());
            }
        }
        self.shares.none_waits(server);
        Ok(())
    }

    /// Whether nobody else was faster.
    async fn ring_again(&self, mut tx: Tx, due: Due) -> Result<bool, StoreError> {
        if !tx.take_ring(due).await? {
            return Ok(false);
        }
        tx.commit_bookkeeping().await?;
        reach(Boundary::NextTaken)?;
        if let Err(error) = self.bell.ring(due.id, due.generation + 1).await {
            tracing::debug!(job.id = %due.id, %error, "the next job could not be rung; the sweeper will");
        }
        reach(Boundary::NextRung)?;
        Ok(true)
    }
}

/// An entry of the worker about a job, in the state that the change leaves it in.
fn entry(act: JobAct, client: &Client, job: &Job, state: JobState) -> Entry {
    Entry::by_system("worker", Action::Job(job.kind(), act))
        .server(client.server_id)
        .client_as_is(client)
        .job(job, state)
        .with("requestedBy", job.requested_by.as_str())
}
