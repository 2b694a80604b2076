//! What can go wrong with a host: what it means for the job, and what a person can do about it.

use super::Evidence;
use crate::domain::Server;

/// A call to a host that did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("VPN host {server}: {kind}")]
pub struct HostError {
    /// Name and address of the host.
    pub(super) server: String,
    /// What happened.
    pub(super) kind: HostErrorKind,
    /// What ran, if anything did.
    pub(super) evidence: Option<Evidence>,
}

/// What happened. The texts name the cure.
#[derive(Debug, thiserror::Error)]
pub enum HostErrorKind {
    /// No connection; nothing was sent.
    #[error("cannot be reached ({0}): check that it runs, its address, and that its SSH port is open to this machine")]
    Unreachable(String),
    /// No answer in time; whether the request was run is unknown.
    #[error("did not answer within {0} s: it may be overloaded; the same request is safe to repeat")]
    Timeout(u64),
    /// The connection broke under a request; whether it was run is unknown.
    #[error("the connection broke ({0}); the same request is safe to repeat")]
    Interrupted(String),
    /// The login was refused; nothing was sent.
    #[error(
        "refused the login of `{0}`: put the platform's public key into that account's authorized keys (vpn-scripts/install.sh does it)"
    )]
    LoginRefused(String),
    /// It has another key than the pinned one; nothing was sent.
    #[error(
        "presents the host key {presented}, pinned is {pinned}: if the host was reinstalled, pin its new key; if not, somebody is in between"
    )]
    HostKeyMismatch {
        /// SHA-256 fingerprint of the pinned key.
        pinned: String,
        /// SHA-256 fingerprint of the key that was seen.
        presented: String,
        /// That key, as `known_hosts` has it; `None` when the host showed none of the pinned one's algorithm.
        key: Option<String>,
    },
    /// No key is pinned for it; nothing was sent.
    #[error("has no pinned host key, and presents {presented}: compare it with the host's own, then pin it")]
    HostKeyUnknown {
        /// SHA-256 fingerprint of the key that was seen.
        presented: String,
        /// That key, as `known_hosts` has it.
        key: Option<String>,
    },
    /// It did not understand the request.
    #[error(
        "refused the request ({0}); if it does not know what was asked, its scripts are of another version than this \
         worker: upgrade them with vpn-scripts/install.sh"
    )]
    BadRequest(String),
    /// Name or serial belong to another client.
    #[error(
        "holds something else under this name, address or serial ({0}): compare it with the platform, by `vpn-worker \
         reconcile --from-host` and the name of this host"
    )]
    Conflict(String),
    /// The serial is revoked there.
    #[error(
        "has this client revoked ({0}), which is final: create a new client; if the platform knows nothing of a \
         revocation, look at it with `vpn-worker reconcile --from-host` and the name of this host"
    )]
    Revoked(String),
    /// Its state directory is damaged.
    #[error("reports that its state is damaged ({0}): look at the host before anything else")]
    Damaged(String),
    /// It has trouble of its own: disk, OpenSSL, a lock.
    #[error("could not do it ({0}): check its disk space and load")]
    Trouble(String),
    /// It has seen a newer fencing token.
    #[error(
        "is ahead of the platform's database, and refuses to go back {0}; if the database was restored from a backup, \
         look at it with `vpn-worker reconcile --from-host` and the name of this host"
    )]
    StaleFence(String),
    /// It belongs to another platform.
    #[error("belongs to another platform ({0})")]
    OtherOwner(String),
    /// An OpenVPN server lives and does not answer.
    #[error("its OpenVPN server does not answer on the management socket: whether sessions are left is not proven")]
    SessionsUnproven,
    /// Sessions are still open.
    #[error("still has {0} open sessions of this client")]
    SessionsLeft(u32),
    /// It answered something that the contract does not know.
    #[error("answered what the contract does not know ({0})")]
    Unintelligible(String),
}

impl HostErrorKind {
    /// The code of [`Conflict`](Self::Conflict).
    pub const CONFLICT: &str = "HOST_CONFLICT";

    /// Stable, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "HOST_UNREACHABLE",
            Self::Timeout(_) => "HOST_TIMEOUT",
            Self::Interrupted(_) => "HOST_INTERRUPTED",
            Self::LoginRefused(_) => "HOST_LOGIN_REFUSED",
            Self::HostKeyMismatch { .. } => "HOST_KEY_MISMATCH",
            Self::HostKeyUnknown { .. } => "HOST_KEY_UNKNOWN",
            Self::BadRequest(_) => "HOST_BAD_REQUEST",
            Self::Conflict(_) => Self::CONFLICT,
            Self::Revoked(_) => "HOST_REVOKED",
            Self::Damaged(_) => "HOST_DAMAGED",
            Self::Trouble(_) => "HOST_TROUBLE",
            Self::StaleFence(_) => "HOST_AHEAD",
            Self::OtherOwner(_) => "HOST_OWNED",
            Self::SessionsUnproven => "SESSIONS_UNPROVEN",
            Self::SessionsLeft(_) => "SESSIONS_LEFT",
            Self::Unintelligible(_) => "HOST_UNINTELLIGIBLE",
        }
    }

    /// Whether the host was there and said something, though not what was hoped for.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Timeout(_) | Self::Interrupted(_))
    }

    /// Whether the same request may go through later without anybody's help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Timeout(_)
                | Self::Interrupted(_)
                | Self::Trouble(_)
                | Self::SessionsUnproven
                | Self::SessionsLeft(_)
        )
    }
}

impl HostError {
    pub(super) fn before_reply(server: &Server, kind: HostErrorKind) -> Self {
        Self::new(server, kind, None)
    }

    /// An error about what a host answered.
    #[must_use]
    pub fn new(server: &Server, kind: HostErrorKind, evidence: Option<Evidence>) -> Self {
        Self { server: format!("{} ({})", server.name, server.address), kind, evidence }
    }

    /// What happened.
    #[must_use]
    pub const fn kind(&self) -> &HostErrorKind {
        &self.kind
    }

    /// What ran, if anything did.
    #[must_use]
    pub const fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }
}
