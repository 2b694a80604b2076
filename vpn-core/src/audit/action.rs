//! The closed set of things that are audited. The strings are stable: they are stored and hashed.

use crate::domain::JobKind;

/// What happened to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobAct {
    /// A person asked for it.
    Requested,
    /// A worker claimed it: an attempt began.
    Started,
    /// Provision: the host issued; the profile is stored, sealed.
    Sealed,
    /// Revoke: tombstone and CRL are in place on the host.
    Published,
    /// Revoke: the open sessions were ended.
    Disconnected,
    /// It is done.
    Succeeded,
    /// An attempt failed; there will be another.
    Delayed,
    /// Its worker was lost; it waits for another.
    Requeued,
    /// A worker that had lost the job was kept from changing anything.
    Fenced,
    /// It is given up.
    Failed,
    /// A revocation overtook it before it ran.
    Canceled,
}

impl JobAct {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Requested,
        Self::Started,
        Self::Sealed,
        Self::Published,
        Self::Disconnected,
        Self::Succeeded,
        Self::Delayed,
        Self::Requeued,
        Self::Fenced,
        Self::Failed,
        Self::Canceled,
    ];
}

/// What was done, as `noun.verb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The database was set up: the log's first entry.
    LogOpened,
    /// The database was restored from a backup: what happened after the entry before this one, and was
    /// recorded by then, is lost to it.
    DatabaseRestored,
    /// A VPN host was made known.
    ServerRegistered,
    /// The database was brought level with what a VPN host says.
    ServerReconciled,
    /// What the database has of a client was brought level with what its VPN host says.
    ClientReconciled,
    /// A client was recorded.
    ClientCreated,
    /// Something happened to a job.
    Job(JobKind, JobAct),
    /// A profile was handed out; the platform no longer has it.
    ProfileDelivered,
    /// A token was made.
    TokenCreated,
    /// A token was ended.
    TokenRevoked,
    /// Somebody without, or with wrong, credentials was turned away.
    AuthenticationRefused,
    /// Somebody was turned away for lack of permission.
    PermissionRefused,
}

impl Action {
    /// As the log has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        use JobAct as A;
        use JobKind::{Provision, Revoke};
        match self {
            Self::LogOpened => "log.opened",
            Self::DatabaseRestored => "database.restored",
            Self::ServerRegistered => "server.registered",
            Self::ServerReconciled => "server.reconciled",
            Self::ClientReconciled => "client.reconciled",
            Self::ClientCreated => "client.created",
            Self::ProfileDelivered => "profile.delivered",
            Self::TokenCreated => "token.created",
            Self::TokenRevoked => "token.revoked",
            Self::AuthenticationRefused => "authentication.refused",
            Self::PermissionRefused => "permission.refused",
            Self::Job(Provision, act) => match act {
                A::Requested => "provision.requested",
                A::Started => "provision.started",
                A::Sealed => "provision.sealed",
                A::Published => "provision.published",
                A::Disconnected => "provision.disconnected",
                A::Succeeded => "provision.succeeded",
                A::Delayed => "provision.delayed",
                A::Requeued => "provision.requeued",
                A::Fenced => "provision.fenced",
                A::Failed => "provision.failed",
                A::Canceled => "provision.canceled",
            },
            Self::Job(Revoke, act) => match act {
                A::Requested => "revoke.requested",
                A::Started => "revoke.started",
                A::Sealed => "revoke.sealed",
                A::Published => "revoke.published",
                A::Disconnected => "revoke.disconnected",
                A::Succeeded => "revoke.succeeded",
                A::Delayed => "revoke.delayed",
                A::Requeued => "revoke.requeued",
                A::Fenced => "revoke.fenced",
                A::Failed => "revoke.failed",
                A::Canceled => "revoke.canceled",
            },
        }
    }

    /// How it went, as far as the action itself says.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::AuthenticationRefused | Self::PermissionRefused | Self::Job(_, JobAct::Fenced) => Outcome::Refused,
            Self::Job(_, JobAct::Failed | JobAct::Delayed | JobAct::Requeued) => Outcome::Failed,
            _ => Outcome::Ok,
        }
    }
}

/// How an action went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As asked.
    Ok,
    /// It was tried and did not work.
    Failed,
    /// It was not allowed.
    Refused,
}

impl Outcome {
    /// As the log has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}
