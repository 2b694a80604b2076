//! Asking for jobs: provision, revoke, and once more what failed.

use std::future::Future;

use serde::Serialize;

use super::{Platform, Queued, once::Call};
use crate::{
    audit::{Action, Entry, JobAct},
    boundary::{Boundary, reach},
    domain::{
        Caller, Client, ClientId, ClientStatus, Job, JobId, JobInput, JobKind, JobState, Permission, ProvisionInput,
        Reason, RevokeInput,
    },
    error::Error,
    host::check_csr,
    store::{NewJob, Remembered, StoreError, Tx},
};

/// The longest validity of a certificate, in days: ten years.
const MAX_VALIDITY_DAYS: u16 = 3650;

/// A client is to be let in.
#[derive(Clone, Debug, Serialize)]
pub struct ProvisionClient {
    /// Which client.
    pub client_id: String,
    /// A certificate signing request in PEM: with it, the private key never leaves its owner.
    pub csr: Option<String>,
    /// How long the certificate is valid, in days, from 1 to 3650.
    pub validity_days: i32,
    /// A repeat with the same key gives the first answer again.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// A client is to be shut out, for good.
#[derive(Clone, Debug, Serialize)]
pub struct RevokeClient {
    /// Which client.
    pub client_id: String,
    /// Why; see [`Reason`].
    pub reason: String,
    /// A repeat with the same key gives the first answer again.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// A failed job is to be tried again.
#[derive(Clone, Debug, Serialize)]
pub struct RetryJob {
    /// The failed job.
    pub job_id: String,
    /// A repeat with the same key gives the first answer again.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// What a transaction has come to.
enum Asked {
    /// A new job, to be rung for.
    New(Queued),
    /// What was asked before.
    Before(Queued),
}

impl Platform {
    /// Queues the job that lets a client connect.
    pub async fn provision_client(&self, caller: &Caller, input: ProvisionClient) -> Result<Queued, Error> {
        self.authorise(caller, Permission::ProvisionClient).await?;
        let id = client_id(&input.client_id)?;
        let job = provision_input(&input)?;
        let call = Call::new(caller, input.idempotency_key.as_deref(), "provisionClient", &input)?;
        self.ask(|| self.try_provision(caller, id, &job, &call)).await
    }

    async fn try_provision(
        &self,
        caller: &Caller,
        id: ClientId,
        input: &ProvisionInput,
        call: &Call<'_>,
    ) -> Result<Asked, Error> {
        let mut tx = self.store().begin().await?;
        let client = locked(&mut tx, id).await?;
        // Under the lock: a repeat that came at the same time has to see what the first one made.
        if let Some(made) = call.repeated(&mut tx).await? {
            return before(&mut tx, &made).await;
        }
        provisionable(&mut tx, &client).await?;
        self.queue(tx, caller, client, JobInput::Provision(input.clone()), None, call, Vec::new()).await
    }

    /// Queues the job that takes a client's access away, for good. From this instant nothing can
    /// activate the client, and nobody gets its profile any more. Asked again, it gives the original
    /// job, unless that one failed: then a person who asks again gets a new one.
    pub async fn revoke_client(&self, caller: &Caller, input: RevokeClient) -> Result<Queued, Error> {
        self.authorise(caller, Permission::RevokeClient).await?;
        let id = client_id(&input.client_id)?;
        let reason: Reason = input.reason.parse().map_err(|bad| Error::invalid("reason", format!("{bad}")))?;
        let call = Call::new(caller, input.idempotency_key.as_deref(), "revokeClient", &input)?;
        self.ask(|| self.try_revoke(caller, id, &reason, &call)).await
    }

    async fn try_revoke(
        &self,
        caller: &Caller,
        id: ClientId,
        reason: &Reason,
        call: &Call<'_>,
    ) -> Result<Asked, Error> {
        let mut tx = self.store().begin().await?;
        let client = locked(&mut tx, id).await?;
        if let Some(made) = call.repeated(&mut tx).await? {
            return before(&mut tx, &made).await;
        }
        let earlier = tx.latest_job(id, JobKind::Revoke).await?;
        let stands = |job: &Job| client.status() == ClientStatus::Revoked || job.state != JobState::Failed;
        if let Some(job) = earlier.filter(stands) {
            // Even if that job fails later: the same key gives the same answer.
            call.remember(&mut tx, Remembered { client_id: Some(id), job_id: Some(job.id), ..Remembered::default() })
                .await?;
            tx.commit_bookkeeping().await?;
            return Ok(Asked::Before(Queued { client, job }));
        }
        let mut more = Vec::new();
        if client.revocation.is_none() {
            tx.request_revocation(id, reason).await?;
            tx.destroy_profile(id).await?;
            more = cancel_waiting(&mut tx, caller, &client).await?;
        }
        let input = JobInput::Revoke(RevokeInput { reason: reason.as_str().to_owned() });
        self.queue(tx, caller, client, input, None, call, more).await
    }

    /// Queues a failed job again, as a new one.
    pub async fn retry_job(&self, caller: &Caller, input: RetryJob) -> Result<Queued, Error> {
        self.authorise(caller, Permission::RetryJob).await?;
        let id: JobId = input.job_id.parse().map_err(|_| Error::not_found("jobId", "job"))?;
        let call = Call::new(caller, input.idempotency_key.as_deref(), "retryJob", &input)?;
        self.ask(|| self.try_retry(caller, id, &call)).await
    }

    async fn try_retry(&self, caller: &Caller, id: JobId, call: &Call<'_>) -> Result<Asked, Error> {
        let mut tx = self.store().begin().await?;
        let failed = tx.job(id).await?.ok_or_else(|| Error::not_found("jobId", "job"))?;
        let client = locked(&mut tx, failed.client_id).await?;
        if let Some(made) = call.repeated(&mut tx).await? {
            return before(&mut tx, &made).await;
        }
        if failed.state != JobState::Failed {
            let state = failed.state.as_str();
            return Err(Error::wrong_state(format!("the job is {state}: only a failed job can be tried again")));
        }
        match failed.kind() {
            JobKind::Provision => provisionable(&mut tx, &client).await?,
            JobKind::Revoke => revocable(&mut tx, &client).await?,
        }
        self.queue(tx, caller, client, failed.input, Some(id), call, Vec::new()).await
    }

    /// Runs the transaction, and rings if it queued something.
    async fn ask<F>(&self, attempt: impl FnMut() -> F) -> Result<Queued, Error>
    where
        F: Future<Output = Result<Asked, Error>>,
    {
        match self.transact(attempt).await {
            Ok(Asked::New(queued)) => {
                reach(Boundary::Asked).map_err(StoreError::from)?;
                self.ring(&queued.job).await;
                Ok(queued)
            }
            Ok(Asked::Before(queued)) => Ok(queued),
            Err(Error::Store(StoreError::Duplicate(_))) => {
                Err(Error::wrong_state("a job of this kind is at work on the client already: follow that one"))
            }
            Err(other) => Err(other),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "private, and each caller has them all at hand")]
    async fn queue(
        &self,
        mut tx: Tx,
        caller: &Caller,
        client: Client,
        input: JobInput,
        retry_of: Option<JobId>,
        call: &Call<'_>,
        more: Vec<Entry>,
    ) -> Result<Asked, Error> {
        let new = NewJob {
            id: JobId::generate(self.ambient()),
            client_id: client.id,
            input,
            max_attempts: self.deps.max_attempts,
            requested_by: caller.principal.to_string(),
            request_id: Some(caller.request_id),
            retry_of,
        };
        let job = tx.insert_job(new).await?;
        let made = Remembered { client_id: Some(client.id), job_id: Some(job.id), ..Remembered::default() };
        call.remember(&mut tx, made).await?;
        // As it is after this transaction: a revocation may just have been requested.
        let client = tx.client(client.id).await?.unwrap_or(client);
        self.commit(tx, requested(caller, &client, &job), more).await?;
        Ok(Asked::New(Queued { client, job }))
    }
}

/// The entry of a job that was asked for, with what it was asked for.
fn requested(caller: &Caller, client: &Client, job: &Job) -> Entry {
    let entry = Entry::by(caller, Action::Job(job.kind(), JobAct::Requested))
        .server(client.server_id)
        .client_as_is(client)
        .job(job, JobState::Queued);
    let entry = match job.retry_of {
        Some(id) => entry.with("retryOf", id.to_string()),
        None => entry,
    };
    match &job.input {
        JobInput::Provision(input) => entry.with("validityDays", input.validity_days).with("csr", input.csr.is_some()),
        JobInput::Revoke(input) => entry.with("reason", input.reason.as_str()),
    }
}

fn client_id(text: &str) -> Result<ClientId, Error> {
    text.parse().map_err(|_| Error::not_found("clientId", "client"))
}

async fn locked(tx: &mut Tx, id: ClientId) -> Result<Client, Error> {
    tx.lock_client(id).await?.ok_or_else(|| Error::not_found("clientId", "client"))
}

async fn before(tx: &mut Tx, made: &Remembered) -> Result<Asked, Error> {
    let (Some(client), Some(job)) = (made.client_id, made.job_id) else {
        return Err(Error::not_found("idempotencyKey", "job"));
    };
    match (tx.client(client).await?, tx.job(job).await?) {
        (Some(client), Some(job)) => Ok(Asked::Before(Queued { client, job })),
        _ => Err(Error::not_found("idempotencyKey", "job")),
    }
}

fn provision_input(input: &ProvisionClient) -> Result<ProvisionInput, Error> {
    let validity_days =
        u16::try_from(input.validity_days).ok().filter(|days| (1..=MAX_VALIDITY_DAYS).contains(days)).ok_or_else(
            || Error::invalid("validityDays", format!("a certificate is valid for 1 to {MAX_VALIDITY_DAYS} days")),
        )?;
    let csr = input.csr.as_deref().map(check_csr).transpose().map_err(|fault| Error::bad_csr(&fault))?;
    Ok(ProvisionInput { validity_days, csr })
}

async fn provisionable(tx: &mut Tx, client: &Client) -> Result<(), Error> {
    if let Some(why) = client.provision_refusal() {
        return Err(Error::wrong_state(format!("the client cannot be provisioned: {why}")));
    }
    if let Some(server) = tx.server(client.server_id).await? {
        server.admits().map_err(Error::wrong_state)?;
    }
    no_open_job(tx, client, JobKind::Provision).await
}

async fn revocable(tx: &mut Tx, client: &Client) -> Result<(), Error> {
    if client.status() == ClientStatus::Revoked {
        return Err(Error::wrong_state("the client is revoked already: there is nothing left to do"));
    }
    no_open_job(tx, client, JobKind::Revoke).await
}

async fn no_open_job(tx: &mut Tx, client: &Client, kind: JobKind) -> Result<(), Error> {
    match tx.open_jobs(&[client.id]).await?.into_iter().find(|job| job.kind() == kind) {
        None => Ok(()),
        Some(job) => Err(Error::wrong_state(format!(
            "the job {} is at work on the client already ({}): follow that one",
            job.id,
            job.state.as_str()
        ))),
    }
}

/// A provision that waits is overtaken. One that runs is not: its worker may be talking to the host,
/// and finds out when it wants to go on.
async fn cancel_waiting(tx: &mut Tx, caller: &Caller, client: &Client) -> Result<Vec<Entry>, Error> {
    let open = tx.open_jobs(&[client.id]).await?;
    let Some(waiting) = open.into_iter().find(|job| job.kind() == JobKind::Provision) else { return Ok(Vec::new()) };
    // Locked before it is judged: a worker may be claiming it.
    let Some(job) = tx.lock_job(waiting.id).await?.filter(|job| job.state == JobState::Queued) else {
        return Ok(Vec::new());
    };
    tx.cancel_job(job.id).await?;
    let entry = Entry::by(caller, Action::Job(JobKind::Provision, JobAct::Canceled))
        .server(client.server_id)
        .client_as_is(client)
        .job(&job, JobState::Canceled);
    Ok(vec![entry])
}
