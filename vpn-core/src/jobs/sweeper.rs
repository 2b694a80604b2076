//! Brings back what was lost on the way: rings that nobody answered, and jobs whose worker is gone.
//!
//! Every worker runs one; they do not disturb each other, because every change is a compare-and-set
//! that looks at the state again. Times are the database's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::entry;
use crate::{
    audit::{Entry, JobAct},
    boundary::{Boundary, reach},
    domain::{JobFailure, JobId, JobKind, JobState},
    events::Events,
    queue::{Doorbell, MAX_IN_QUEUE, QueueHealth},
    store::{Due, Store, StoreError},
};

/// How often it looks, and when it takes a ring for lost.
#[derive(Clone, Copy, Debug)]
pub struct SweepPolicy {
    /// Between two rounds.
    pub every: Duration,
    /// A ring that was not answered after this is lost, while the queue is empty.
    pub unanswered: Duration,
    /// The same, while the queue is not empty: then workers are busy rather than deaf.
    pub unanswered_when_busy: Duration,
}

impl Default for SweepPolicy {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(1),
            unanswered: Duration::from_secs(10),
            unanswered_when_busy: Duration::from_mins(2),
        }
    }
}

/// How often old idempotency keys are forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(10);
/// Jobs looked at in one round.
const SLICE: i64 = 500;

/// The sweeper.
#[derive(Clone)]
pub struct Sweeper {
    /// The truth.
    pub store: Store,
    /// What it rings.
    pub bell: Arc<dyn Doorbell>,
    /// Live status.
    pub events: Events,
    /// How.
    pub policy: SweepPolicy,
}

impl Sweeper {
    /// Sweeps until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut rounds = tokio::time::interval(self.policy.every);
        let mut forgotten = None;
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(rounds.tick()).await.is_some() {
            if forgotten.is_none_or(|at: Instant| at.elapsed() > FORGET_EVERY) {
                forgotten = Some(Instant::now());
                self.forget_old_keys().await;
                self.note_expired_approvals().await;
            }
            if let Err(error) = self.sweep().await {
                tracing::warn!(error.code = error.code(), %error, "the sweeper could not read or write the database");
            }
        }
    }

    /// Idempotency keys that are no longer remembered would stay for ever otherwise.
    async fn forget_old_keys(&self) {
        let forgotten = async {
            let mut tx = self.store.begin().await?;
            tx.forget_old_keys().await?;
            tx.commit_bookkeeping().await
        };
        if let Err(error) = forgotten.await {
            tracing::debug!(error.code = error.code(), "old idempotency keys were not forgotten");
        }
    }

    /// That nobody can approve them any more needs nobody to notice; this only puts it on record.
    async fn note_expired_approvals(&self) {
        let noted = async {
            for asked in self.store.read().await?.lapsed_approvals(SLICE).await? {
                let mut tx = self.store.begin().await?;
                match tx.expire_approval(asked.id).await {
                    Ok(()) => {
                        tx.commit(Entry::expired(&asked), []).await?;
                    }
                    // Another worker was faster.
                    Err(StoreError::Fenced) => {}
                    Err(other) => return Err(other),
                }
            }
            Ok::<(), StoreError>(())
        };
        match noted.await {
            Ok(()) => self.events.announce(),
            Err(error) => tracing::debug!(error.code = error.code(), "expired approvals were not noted"),
        }
    }

    /// One round.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let lapsed = self.store.read().await?.lapsed_jobs(SLICE).await?;
        for id in lapsed {
            match self.release(id).await {
                // It ended, or its worker came back, in between.
                Ok(()) | Err(StoreError::Fenced) => {}
                Err(other) => return Err(other),
            }
        }
        self.ring_due().await
    }

    /// Takes a job from its lost worker. A provision that was overtaken meanwhile ends here.
    async fn release(&self, id: JobId) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        let Some(job) = tx.job(id).await? else { return Ok(()) };
        let Some(client) = tx.lock_client(job.client_id).await? else { return Ok(()) };
        let failure = JobFailure {
            code: "WORKER_LOST".to_owned(),
            message: "the worker gave no sign of life: it died, hung, or lost the database".to_owned(),
        };
        let state = tx.release_lapsed_job(&job, &failure).await?;
        let act = if state == JobState::Failed { JobAct::Failed } else { JobAct::Requeued };
        let first = entry(act, &client, &job, state).failed(&failure);
        let overtaken = job.kind() == JobKind::Provision && client.revocation.is_some();
        let second = if overtaken && state == JobState::Queued {
            tx.cancel_job(id).await?;
            Some(entry(JobAct::Canceled, &client, &job, JobState::Canceled))
        } else {
            None
        };
        reach(Boundary::Requeueing)?;
        tx.commit(first, second).await?;
        reach(Boundary::Requeued)?;
        self.events.announce();
        tracing::warn!(job.id = %id, job.state = state.as_str(), "a job was taken from a lost worker");
        Ok(())
    }

    /// Rings for jobs that are due. Nothing is noted while Redis is away.
    async fn ring_due(&self) -> Result<(), StoreError> {
        let Ok(queue) = self.bell.health().await else { return Ok(()) };
        let in_queue = i64::try_from(queue.ready + queue.delayed).unwrap_or(i64::MAX);
        let room = MAX_IN_QUEUE.saturating_sub(in_queue).min(SLICE);
        if room <= 0 {
            return Ok(());
        }
        let due = self.store.read().await?.jobs_to_ring(self.lost_after(queue), room).await?;
        for due in due {
            if !self.ring(due).await? {
                break;
            }
        }
        Ok(())
    }

    const fn lost_after(&self, queue: QueueHealth) -> Duration {
        if queue.ready == 0 { self.policy.unanswered } else { self.policy.unanswered_when_busy }
    }

    /// `false` when Redis went away.
    async fn ring(&self, due: Due) -> Result<bool, StoreError> {
        let mut tx = self.store.begin().await?;
        if !tx.take_ring(due).await? {
            return Ok(true);
        }
        tx.commit_bookkeeping().await?;
        reach(Boundary::RingTaken)?;
        if self.bell.ring(due.id, due.generation + 1).await.is_ok() {
            reach(Boundary::RingSent)?;
            return Ok(true);
        }
        let mut tx = self.store.begin().await?;
        tx.note_unrung(due.id).await?;
        tx.commit_bookkeeping().await?;
        Ok(false)
    }
}
