//! One attempt at a job, under one lease.

use std::future::Future;

use super::{Runner, entry, failure::StepError, provision, revoke};
use crate::{
    audit::{Entry, JobAct},
    boundary::{Boundary, reach, repeats},
    domain::{Claim, Client, Fence, Job, JobFailure, JobInput, JobKind, JobState, Proof, Server, Step},
    host::{Evidence, HostError, Order},
    lock::{Lease, LeaseLost},
    store::{StoreError, Tx},
};

pub(super) struct Attempt<'a> {
    pub(super) runner: &'a Runner,
    /// As claimed.
    pub(super) job: Job,
    pub(super) client: Client,
    pub(super) server: Server,
    pub(super) lease: Lease,
    /// What was proven so far.
    pub(super) proofs: Vec<Proof>,
}

impl Attempt<'_> {
    /// Notes what was read back; the next step's transaction stores it.
    pub(super) fn prove(&mut self, claim: Claim, detail: impl Into<String>) {
        self.proofs.push(Proof::new(claim, detail, self.runner.ambient.now()));
    }

    /// Stores what was proven with the job, which is still running.
    async fn keep_proofs(&self, tx: &mut Tx) -> Result<(), StoreError> {
        if self.proofs.is_empty() {
            return Ok(());
        }
        tx.note_proofs(&self.job, &self.proofs, self.fence()).await
    }

    fn with_proofs(&self, entry: Entry) -> Entry {
        if self.proofs.is_empty() { entry } else { entry.with("proofs", serde_json::json!(self.proofs)) }
    }

    /// Runs the steps, with a sign of life to SQL all the while, and records the outcome.
    pub(super) async fn run(mut self) -> Result<(), StoreError> {
        let (store, lease, period) = (self.runner.store.clone(), self.lease.clone(), self.runner.policy.lease);
        let job = self.job.id;
        let signs_of_life = async {
            let mut ticks = tokio::time::interval(period / 4);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                let renewed = async {
                    let mut tx = store.begin().await?;
                    tx.renew_job(job, lease.fence(), period).await?;
                    tx.commit_bookkeeping().await
                };
                match renewed.await {
                    Err(StoreError::Fenced) => return StepError::from(StoreError::Fenced),
                    Err(error) => tracing::debug!(job.id = %job, error.code = error.code(), "a claim was not renewed"),
                    Ok(()) => {}
                }
            }
        };
        let outcome = tokio::select! {
            outcome = self.steps() => outcome,
            lost = signs_of_life => Err(lost),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => self.failed(error).await,
        }
    }

    async fn steps(&mut self) -> Result<(), StepError> {
        reach(Boundary::Claimed)?;
        match self.job.input.clone() {
            JobInput::Provision(input) => provision::run(self, &input).await,
            JobInput::Revoke(_) => revoke::run(self).await,
        }
    }

    /// For a step on the host: only while the lease has time left for it.
    pub(super) fn order(&self) -> Result<Order<'_>, LeaseLost> {
        let fence = self.lease.ensure(self.runner.policy.needed)?;
        Ok(Order { server: &self.server, client: &self.client, job: self.job.id, fence })
    }

    /// Asks the host, up to this boundary, and notes whether it answered. Every step can be run twice: a test
    /// has it so.
    pub(super) async fn on_host<T, F>(&self, until: Boundary, call: impl Fn() -> F) -> Result<T, StepError>
    where
        F: Future<Output = Result<T, HostError>>,
    {
        let ask = async || {
            let reply = call().await;
            let answered = reply.as_ref().err().is_none_or(|error| error.kind().is_answer());
            self.runner.shares.note(self.server.id, answered);
            reply
        };
        let mut reply = ask().await?;
        if repeats(until) {
            reply = ask().await?;
        }
        reach(until)?;
        Ok(reply)
    }

    pub(super) fn fence(&self) -> &Fence {
        self.lease.fence()
    }

    /// A transaction in which the client is locked, and is as it is now.
    pub(super) async fn begin(&mut self) -> Result<Tx, StoreError> {
        let mut tx = self.runner.store.begin().await?;
        if let Some(client) = tx.lock_client(self.client.id).await? {
            self.client = client;
        }
        Ok(tx)
    }

    /// The job has come to its next step; `tx` may hold what was won by the last one.
    pub(super) async fn advance(
        &mut self,
        mut tx: Tx,
        next: Step,
        act: JobAct,
        evidence: &Evidence,
    ) -> Result<(), StoreError> {
        self.job = tx.advance_job(&self.job, next, self.lease.fence()).await?;
        let entry = entry(act, &self.client, &self.job, JobState::Running).with("run", evidence.to_json());
        self.keep_proofs(&mut tx).await?;
        let entry = self.with_proofs(entry);
        tx.commit(entry, []).await?;
        self.runner.events.announce();
        Ok(())
    }

    /// The job is done, and `tx` holds what it changed of the client.
    pub(super) async fn succeed(&mut self, mut tx: Tx, evidence: &Evidence) -> Result<(), StoreError> {
        self.keep_proofs(&mut tx).await?;
        tx.succeed_job(&self.job, self.lease.fence()).await?;
        if let Some(client) = tx.client(self.client.id).await? {
            self.client = client;
        }
        let entry = entry(JobAct::Succeeded, &self.client, &self.job, JobState::Succeeded);
        let entry = self.with_proofs(entry);
        tx.commit(entry.with("run", evidence.to_json()), []).await?;
        self.runner.events.announce();
        tracing::info!(
            job.id = %self.job.id, job.kind = self.job.kind().as_str(), client.id = %self.client.id,
            job.attempts = self.job.attempts, "the job succeeded"
        );
        Ok(())
    }

    /// Records that the attempt failed: for good, or until the next one.
    async fn failed(&mut self, error: StepError) -> Result<(), StoreError> {
        let recorded = self.try_failed(error).await;
        match recorded {
            // Somebody else has the job by now; what we have to say about it is no more than that.
            Err(StoreError::Fenced) => self.fenced().await,
            other => other,
        }
    }

    async fn try_failed(&mut self, error: StepError) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let overtaken = self.job.kind() == JobKind::Provision && self.client.revocation.is_some();
        let error = if overtaken { StepError::Overtaken } else { error };
        if matches!(error, StepError::Store(StoreError::Fenced)) {
            return Err(StoreError::Fenced);
        }
        let failure = error.failure();
        let again = error.is_retryable() && self.job.attempts < self.job.max_attempts;
        let (act, state) = if again {
            let delay = self.runner.policy.retry.delay_after(self.job.attempts, &self.runner.ambient);
            let run_after = tx.at().plus(delay);
            tx.delay_job(&self.job, &failure, run_after, self.lease.fence()).await?;
            (JobAct::Delayed, JobState::Queued)
        } else {
            tx.fail_job(&self.job, &failure, self.lease.fence()).await?;
            (JobAct::Failed, JobState::Failed)
        };
        let entry = entry(act, &self.client, &self.job, state).failed(&failure);
        let entry = match error.evidence() {
            Some(evidence) => entry.with("run", evidence.to_json()),
            None => entry,
        };
        reach(Boundary::Recording)?;
        tx.commit(entry, []).await?;
        reach(Boundary::Recorded)?;
        self.runner.events.announce();
        self.log(&failure, again);
        Ok(())
    }

    /// Tells of it with the job as others have made it: subscribers take the last entry for the
    /// present state. A job that ended under our own fence was not taken from us: our commit went
    /// through, and only its reply was lost.
    async fn fenced(&mut self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let Some(job) = tx.lock_job(self.job.id).await? else { return Ok(()) };
        if job.state.is_final() && job.fence == self.fence().token() {
            return Ok(());
        }
        let entry =
            entry(JobAct::Fenced, &self.client, &job, job.state).with("staleFence", self.fence().token().to_string());
        tx.commit(entry, []).await?;
        self.runner.events.announce();
        tracing::warn!(job.id = %self.job.id, fence = %self.fence().token(), "another worker took over; nothing was changed here");
        Ok(())
    }

    fn log(&self, failure: &JobFailure, again: bool) {
        tracing::warn!(
            job.id = %self.job.id, job.kind = self.job.kind().as_str(), client.id = %self.client.id,
            job.attempts = self.job.attempts, error.code = failure.code, error.message = failure.message,
            "{}", if again { "an attempt failed; there will be another" } else { "the job failed" }
        );
    }
}
