//! Jobs.

use async_graphql::{Context, Error, ID, Object, SimpleObject};
use vpn_core::{
    domain::{Job as CoreJob, JobFailure, JobInput, JobState as CoreState, Proof, ProvisionInput, Step},
    events::JobProgress as CoreProgress,
};

use super::{DateTime, JobKind, JobState, RevocationClaim, VpnClient};
use crate::{
    error::bug,
    schema::{Nullable, Scope},
};

pub(crate) struct Job(pub(crate) CoreJob);

impl From<CoreJob> for Job {
    fn from(job: CoreJob) -> Self {
        Self(job)
    }
}

/// Why an attempt failed.
#[derive(SimpleObject)]
pub(crate) struct JobError {
    /// For programs: stable, such as `HOST_UNREACHABLE`. New codes may appear.
    code: String,
    /// For people; names the cure. May change.
    message: String,
}

impl From<JobFailure> for JobError {
    fn from(failure: JobFailure) -> Self {
        Self { code: failure.code, message: failure.message }
    }
}

/// What a revocation has read back from the VPN host.
#[derive(SimpleObject)]
pub(crate) struct RevocationEvidence {
    /// What is proven.
    claim: RevocationClaim,
    /// What it rests on, for people: tells apart a client that was not connected, and an OpenVPN server that
    /// is stopped or that the host does not have. May change.
    detail: String,
    /// When it was read.
    proven_at: DateTime,
}

impl From<Proof> for RevocationEvidence {
    fn from(proof: Proof) -> Self {
        let proven_at = proof.at().into();
        Self { claim: proof.claim.into(), detail: proof.detail, proven_at }
    }
}

/// What a provision was asked for.
#[derive(SimpleObject)]
pub(crate) struct ProvisionTerms {
    /// How long the certificate is valid, in days.
    validity_days: i32,
    /// Whether a certificate signing request was given.
    csr: bool,
    /// The client's own address in the VPN; null when it gets any that is free.
    address: Option<String>,
    /// Networks that the client reaches through the tunnel, beside the VPN's own.
    routes: Vec<String>,
}

impl From<&ProvisionInput> for ProvisionTerms {
    fn from(input: &ProvisionInput) -> Self {
        Self {
            validity_days: input.validity_days.into(),
            csr: input.csr.is_some(),
            address: input.address.map(|address| address.to_string()),
            routes: input.routes.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Work done in the background for a client, asked for by a person.
#[Object]
impl Job {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// What it does.
    async fn kind(&self) -> JobKind {
        self.0.kind().into()
    }

    /// Where it is.
    async fn state(&self) -> JobState {
        self.0.state.into()
    }

    /// The step that the last attempt reached: `issue`, `acknowledge`; `publish-crl`, `disconnect`,
    /// `settle`. Null before the first attempt.
    async fn step(&self) -> Option<&str> {
        self.0.step.map(Step::as_str)
    }

    /// Whom it is for.
    async fn client(&self, ctx: &Context<'_>) -> Result<VpnClient, Error> {
        Scope::find(ctx, self.0.client_id).await.unwrap_or_else(|| Err(bug("a job without its client")))
    }

    /// On which terms the client is let in; null unless it provisions.
    async fn terms(&self) -> Option<ProvisionTerms> {
        match &self.0.input {
            JobInput::Provision(input) => Some(input.into()),
            JobInput::Revoke(_) => None,
        }
    }

    /// Who asked for it.
    async fn requested_by(&self) -> &str {
        &self.0.requested_by
    }

    /// The failed job that it repeats; null when it repeats none.
    async fn retry_of(&self, ctx: &Context<'_>) -> Nullable<Job> {
        Scope::find(ctx, self.0.retry_of?).await
    }

    /// How often it was tried.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    /// How often it may be tried.
    async fn max_attempts(&self) -> i32 {
        self.0.max_attempts
    }

    /// When the next attempt is due; null when none is.
    async fn next_attempt_at(&self) -> Option<DateTime> {
        (self.0.state == CoreState::Queued).then(|| self.0.run_after_at.into())
    }

    /// Why the last attempt failed; null when none did.
    async fn last_error(&self) -> Option<JobError> {
        self.0.failure.clone().map(JobError::from)
    }

    /// What the last attempt at a revocation has read back from the VPN host, in the order of its steps: each
    /// claim once when the job has succeeded. Empty for other jobs, and for those of earlier versions.
    async fn evidence(&self) -> Vec<RevocationEvidence> {
        self.0.proofs.iter().cloned().map(RevocationEvidence::from).collect()
    }

    /// When it was asked for.
    async fn queued_at(&self) -> DateTime {
        self.0.queued_at.into()
    }

    /// When the first attempt began; null before.
    async fn started_at(&self) -> Option<DateTime> {
        self.0.started_at.map(DateTime)
    }

    /// When it ended; null before.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.finished_at.map(DateTime)
    }
}

/// A job as it was at an event.
#[derive(SimpleObject)]
pub(crate) struct JobProgress {
    /// The job's global id: `node` has it as it is now.
    id: ID,
    /// What it does.
    kind: JobKind,
    /// Where it was.
    state: JobState,
    /// The step that the attempt had reached; null before the first attempt.
    step: Option<&'static str>,
    /// How often it had been tried.
    attempts: i32,
    /// Why the last attempt had failed; null when none had.
    last_error: Option<JobError>,
}

impl From<CoreProgress> for JobProgress {
    fn from(job: CoreProgress) -> Self {
        Self {
            id: ID(job.id.to_string()),
            kind: job.kind.into(),
            state: job.state.into(),
            step: job.step.map(Step::as_str),
            attempts: job.attempts,
            last_error: job.last_error.map(JobError::from),
        }
    }
}
