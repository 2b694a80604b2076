//! What the platform is about, free of SQL, Redis, SSH and queues: ids, states, and the only
//! transitions between them.

mod approval;
mod certificate;
mod client;
mod contact;
mod drift;
mod elsewhere;
mod expiry;
mod fence;
mod id;
mod job;
mod name;
mod network;
mod permission;
mod principal;
mod proof;
mod record;
mod server;
mod warning;

pub use approval::{Approval, ApprovalState, Operation};
pub use certificate::{Certificate, Serial};
pub use client::{Client, ClientState, ClientStatus, RevocationRequest};
pub use contact::{Contact, CrlRenewal, HostFacts, OpenVpnState, Session, Sessions};
pub use drift::{Comparison, Difference, Drift, DriftKind, DriftReport, HostView, NO_CONFIGURATION, Subject};
pub use elsewhere::{Elsewhere, Holder, Kinship};
pub use expiry::{Expiry, Perishable, Stage};
pub use fence::{AttemptId, Fence, FencingToken};
pub use id::{ApprovalId, ClientId, JobId, LinkId, RequestId, ServerId, TokenId};
pub use job::{Job, JobFailure, JobInput, JobKind, JobState, ProvisionInput, RevokeInput, Step};
pub use name::{CommonName, Reason, ServerName};
pub use network::Route;
pub use permission::{Grant, Permission, Role, Scope, Scopes, TABLE as PERMISSIONS};
pub use principal::{Caller, Credential, JwtId, Principal};
pub use proof::{Claim, Proof};
pub use record::{HostRecord, RecordState};
pub(crate) use server::HostKeyLine;
pub use server::{BadAddress, Server, ServerAddress, ServerState};
pub use warning::{ClientEnds, EndingSoon, GivenUp, Warning, WarningCode};

/// A value that breaks a rule of the domain. The message says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
