//! Jobs: work on a VPN host that a person asked for.

use std::{net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{ClientId, FencingToken, Invalid, JobId, Proof, RequestId, Route};
use crate::clock::Timestamp;

/// What a job does. The strings are stable: they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Issues the certificate and lets the client connect.
    Provision,
    /// Takes the client's access away, for good.
    Revoke,
}

impl JobKind {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Provision, Self::Revoke];

    /// As SQL, audit and logs have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Revoke => "revoke",
        }
    }
}

impl FromStr for JobKind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == text);
        found.ok_or_else(|| Invalid::new("a job's kind is provision or revoke"))
    }
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waits for its time or a worker.
    Queued,
    /// A worker is at it.
    Running,
    /// Done. Final.
    Succeeded,
    /// Given up. Final; a person may ask again, as a new job.
    Failed,
    /// Overtaken by a revocation before it ran. Final.
    Canceled,
}

impl JobState {
    /// As SQL, audit and logs have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether nothing can change it any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

impl FromStr for JobState {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Canceled]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Invalid::new("a job is queued, running, succeeded, failed or canceled"))
    }
}

/// The step that a running job has reached. The strings are stable: they are stored and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Provision: the host makes, or hands out again, key and certificate.
    Issue,
    /// Provision: the profile is stored, sealed; the host is told to forget the private key.
    Acknowledge,
    /// Revoke: tombstone and CRL on the host.
    PublishCrl,
    /// Revoke: open sessions are ended.
    Disconnect,
    /// Revoke: sessions of handshakes that were under way are ended; none is left.
    Settle,
}

impl Step {
    /// As SQL, audit and logs have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Acknowledge => "acknowledge",
            Self::PublishCrl => "publish-crl",
            Self::Disconnect => "disconnect",
            Self::Settle => "settle",
        }
    }
}

impl FromStr for Step {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Issue, Self::Acknowledge, Self::PublishCrl, Self::Disconnect, Self::Settle]
            .into_iter()
            .find(|step| step.as_str() == text)
            .ok_or_else(|| Invalid::new("no such step"))
    }
}

/// What a provision job was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionInput {
    /// How long the certificate is valid, in days.
    pub validity_days: u16,
    /// A certificate signing request in PEM; without one the host makes the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csr: Option<String>,
    /// The client's address in the VPN; without one it gets any that is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// Networks that the client reaches through the tunnel, beside the VPN's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

impl ProvisionInput {
    /// A certificate for this many days, with a key that the host makes, and nothing special.
    #[must_use]
    pub const fn for_days(validity_days: u16) -> Self {
        Self { validity_days, csr: None, address: None, routes: Vec::new() }
    }
}

/// What a revoke job was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeInput {
    /// Why.
    pub reason: String,
}

/// What a job was asked for; stored as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum JobInput {
    /// For [`JobKind::Provision`].
    Provision(ProvisionInput),
    /// For [`JobKind::Revoke`].
    Revoke(RevokeInput),
}

impl JobInput {
    /// The kind of job that takes it.
    #[must_use]
    pub const fn kind(&self) -> JobKind {
        match self {
            Self::Provision(_) => JobKind::Provision,
            Self::Revoke(_) => JobKind::Revoke,
        }
    }
}

/// Why the last attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFailure {
    /// Stable, for programs: `HOST_UNREACHABLE`.
    pub code: String,
    /// For people; names the cure.
    pub message: String,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whom it is for.
    pub client_id: ClientId,
    /// What it was asked for.
    pub input: JobInput,
    /// Where it is.
    pub state: JobState,
    /// How far the last attempt came.
    pub step: Option<Step>,
    /// How often it was claimed.
    pub attempts: i32,
    /// How often it may be.
    pub max_attempts: i32,
    /// The fencing token of the last attempt.
    pub fence: FencingToken,
    /// Counts the times it was rung, so that each push to the queue has its own key.
    pub generation: i64,
    /// Who asked.
    pub requested_by: String,
    /// In which request.
    pub request_id: Option<RequestId>,
    /// The failed job that this one repeats.
    pub retry_of: Option<JobId>,
    /// When it was asked.
    pub queued_at: Timestamp,
    /// Not to be claimed before.
    pub run_after_at: Timestamp,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub failure: Option<JobFailure>,
    /// What the last attempt at a revocation has proven. All that the host's scripts can look at once it has
    /// succeeded, unless it did so before proofs were kept.
    pub proofs: Vec<Proof>,
}

impl Job {
    /// What it does.
    #[must_use]
    pub const fn kind(&self) -> JobKind {
        self.input.kind()
    }
}
