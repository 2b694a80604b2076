//! Asking for jobs: provision, revoke, and once more what failed.

use serde::{Deserialize, Serialize};

use super::{
    Platform, Queued,
    mutation::{Done, Mutation, about},
    terms::terms_of,
};
use crate::{
    audit::{Action, Entry, JobAct},
    domain::{
        Caller, Client, ClientId, ClientStatus, Job, JobId, JobInput, JobKind, JobState, Operation, ProvisionInput,
        Reason, RevokeInput,
    },
    error::Error,
    store::{NewJob, Remembered, StoreError, Tx},
};

/// A client is to be let in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProvisionClient {
    /// Which client.
    pub client_id: String,
    /// A certificate signing request in PEM: with it, the private key never leaves its owner.
    pub csr: Option<String>,
    /// How long the certificate is valid, in days, from 1 to what the [policy](super::Policy) allows.
    pub validity_days: i32,
    /// The client's address in the VPN, of those that its host keeps for this; without one it gets any
    /// that is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Networks that the client reaches through the tunnel, beside the VPN's own, such as `10.20.0.0/16`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// A repeat with the same key gives the first answer again.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// A client is to be shut out, for good.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetryJob {
    /// The failed job.
    pub job_id: String,
    /// A repeat with the same key gives the first answer again.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

impl Platform {
    /// Queues the job that lets a client connect.
    pub async fn provision_client(&self, caller: &Caller, input: ProvisionClient) -> Result<Queued, Error> {
        self.run(caller, &input).await
    }

    /// Queues the job that takes a client's access away, for good. From this instant nothing can
    /// activate the client, and nobody gets its profile any more. Asked again, it gives the original
    /// job, unless that one failed: then a person who asks again gets a new one.
    pub async fn revoke_client(&self, caller: &Caller, input: RevokeClient) -> Result<Queued, Error> {
        self.run(caller, &input).await
    }

    /// Queues a failed job again, as a new one.
    pub async fn retry_job(&self, caller: &Caller, input: RetryJob) -> Result<Queued, Error> {
        self.run(caller, &input).await
    }

    async fn queue(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        client: Client,
        (input, retry_of): (JobInput, Option<JobId>),
        more: Vec<Entry>,
    ) -> Result<Done<Queued>, Error> {
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
        // As it is after this transaction: a revocation may just have been requested.
        let client = tx.client(client.id).await?.unwrap_or(client);
        let first = requested(caller, &client, &job);
        let remembered = Remembered { job_id: Some(job.id), ..about(client.id) };
        Ok(Done::New { made: Queued { client, job }, first, more, remembered })
    }
}

impl Mutation for ProvisionClient {
    const OPERATION: Operation = Operation::ProvisionClient;
    type Checked = (ClientId, ProvisionInput);
    type Made = Queued;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn check(&self, platform: &Platform, _: &Caller) -> Result<Self::Checked, Error> {
        Ok((client_id(&self.client_id)?, platform.provision_input(self)?))
    }

    async fn perform(
        platform: &Platform,
        tx: &mut Tx,
        caller: &Caller,
        (id, input): &Self::Checked,
    ) -> Result<Done<Queued>, Error> {
        let client = locked(tx, *id).await?;
        provisionable(tx, &client).await?;
        platform.queue(tx, caller, client, (JobInput::Provision(input.clone()), None), Vec::new()).await
    }

    async fn again(tx: &mut Tx, made: &Remembered) -> Result<Queued, Error> {
        before(tx, made).await
    }

    fn taken(_: &Self::Checked, _: StoreError) -> Error {
        at_work()
    }

    fn job(made: &Queued) -> Option<&Job> {
        Some(&made.job)
    }
}

impl Mutation for RevokeClient {
    const OPERATION: Operation = Operation::RevokeClient;
    type Checked = (ClientId, Reason);
    type Made = Queued;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn check(&self, _: &Platform, _: &Caller) -> Result<Self::Checked, Error> {
        let reason = self.reason.parse().map_err(|bad| Error::invalid("reason", format!("{bad}")))?;
        Ok((client_id(&self.client_id)?, reason))
    }

    async fn perform(
        platform: &Platform,
        tx: &mut Tx,
        caller: &Caller,
        (id, reason): &Self::Checked,
    ) -> Result<Done<Queued>, Error> {
        let client = locked(tx, *id).await?;
        let earlier = tx.latest_job(*id, JobKind::Revoke).await?;
        let stands = |job: &Job| client.status() == ClientStatus::Revoked || job.state != JobState::Failed;
        if let Some(job) = earlier.filter(stands) {
            let remembered = Remembered { job_id: Some(job.id), ..about(*id) };
            return Ok(Done::Before { made: Queued { client, job }, remembered });
        }
        let mut more = Vec::new();
        if client.revocation.is_none() {
            tx.request_revocation(*id, reason).await?;
            tx.destroy_profile(*id).await?;
            more = cancel_waiting(tx, caller, &client).await?;
        }
        let input = JobInput::Revoke(RevokeInput { reason: reason.as_str().to_owned() });
        platform.queue(tx, caller, client, (input, None), more).await
    }

    async fn again(tx: &mut Tx, made: &Remembered) -> Result<Queued, Error> {
        before(tx, made).await
    }

    fn taken(_: &Self::Checked, _: StoreError) -> Error {
        at_work()
    }

    fn job(made: &Queued) -> Option<&Job> {
        Some(&made.job)
    }
}

impl Mutation for RetryJob {
    const OPERATION: Operation = Operation::RetryJob;
    type Checked = JobId;
    type Made = Queued;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn check(&self, _: &Platform, _: &Caller) -> Result<JobId, Error> {
        self.job_id.parse().map_err(|_| Error::not_found("jobId", "job"))
    }

    async fn perform(platform: &Platform, tx: &mut Tx, caller: &Caller, id: &JobId) -> Result<Done<Queued>, Error> {
        let failed = tx.job(*id).await?.ok_or_else(|| Error::not_found("jobId", "job"))?;
        let client = locked(tx, failed.client_id).await?;
        if failed.state != JobState::Failed {
            let state = failed.state.as_str();
            return Err(Error::wrong_state(format!("the job is {state}: only a failed job can be tried again")));
        }
        match failed.kind() {
            JobKind::Provision => {
                platform.check_terms(&failed)?;
                provisionable(tx, &client).await?;
            }
            JobKind::Revoke => revocable(tx, &client).await?,
        }
        platform.queue(tx, caller, client, (failed.input, Some(*id)), Vec::new()).await
    }

    async fn again(tx: &mut Tx, made: &Remembered) -> Result<Queued, Error> {
        before(tx, made).await
    }

    fn taken(_: &JobId, _: StoreError) -> Error {
        at_work()
    }

    fn job(made: &Queued) -> Option<&Job> {
        Some(&made.job)
    }
}

fn at_work() -> Error {
    Error::wrong_state("a job of this kind is at work on the client already: follow that one")
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
        JobInput::Provision(input) => terms_of(entry, input),
        JobInput::Revoke(input) => entry.with("reason", input.reason.as_str()),
    }
}

fn client_id(text: &str) -> Result<ClientId, Error> {
    text.parse().map_err(|_| Error::not_found("clientId", "client"))
}

async fn locked(tx: &mut Tx, id: ClientId) -> Result<Client, Error> {
    tx.lock_client(id).await?.ok_or_else(|| Error::not_found("clientId", "client"))
}

async fn before(tx: &mut Tx, made: &Remembered) -> Result<Queued, Error> {
    let (Some(client), Some(job)) = (made.client_id, made.job_id) else {
        return Err(Error::not_found("idempotencyKey", "job"));
    };
    match (tx.client(client).await?, tx.job(job).await?) {
        (Some(client), Some(job)) => Ok(Queued { client, job }),
        _ => Err(Error::not_found("idempotencyKey", "job")),
    }
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
