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

impl JobAct {
    /// Whether it can happen to a job of this kind.
    const fn befalls(self, kind: JobKind) -> bool {
        match self {
            Self::Sealed | Self::Canceled => matches!(kind, JobKind::Provision),
            Self::Published | Self::Disconnected => matches!(kind, JobKind::Revoke),
            _ => true,
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Requested => "a person asked for it, or for another try",
            Self::Started => "a worker claimed the job: an attempt began",
            Self::Sealed => "the host issued the certificate; the profile is stored, sealed",
            Self::Published => "the host has a tombstone and a CRL that names the certificate",
            Self::Disconnected => "open sessions were ended",
            Self::Succeeded => "the job is done",
            Self::Delayed => "an attempt failed; there will be another",
            Self::Requeued => "the worker was lost; the job waits for another",
            Self::Fenced => "a worker that had lost the job was kept from changing anything",
            Self::Failed => "the job was given up",
            Self::Canceled => "a revocation overtook it before it ran",
        }
    }
}

/// What was done, as `noun.verb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The database was set up: the log's first entry.
    LogOpened,
    /// The database was restored from a backup: what happened after the entry before this one, and was
    /// recorded by then, is lost to it.
    DatabaseRestored,
    /// The oldest entries were exported, and are removed from the database from then on.
    AuditSealed,
    /// What the log said of somebody was erased: names, words, addresses.
    AuditErased,
    /// A VPN host was made known.
    ServerRegistered,
    /// The host key that a VPN host has to show was confirmed, or changed.
    HostKeyPinned,
    /// A VPN host is reached at another address.
    ServerMoved,
    /// From now on nobody is let in on a VPN host.
    ServerDisabled,
    /// Clients may be let in there again.
    ServerEnabled,
    /// A VPN host is gone, for good.
    ServerRetired,
    /// The database was brought level with what a VPN host says.
    ServerReconciled,
    /// What the database has of a client was brought level with what its VPN host says.
    ClientReconciled,
    /// The platform itself is about to renew the CRL of a VPN host, which ends soon.
    CrlRenewalStarted,
    /// It has: the same serials, a later end.
    CrlRenewed,
    /// It could not.
    CrlRenewalFailed,
    /// The configuration that OpenVPN has on a VPN host was confirmed.
    ConfigurationConfirmed,
    /// A client was recorded.
    ClientCreated,
    /// Something happened to a job.
    Job(JobKind, JobAct),
    /// A profile was handed out; the platform no longer has it.
    ProfileDelivered,
    /// A link to a profile was made.
    LinkCreated,
    /// A link to a profile was tried that opens nothing.
    LinkRefused,
    /// A token was made.
    TokenCreated,
    /// A token was ended.
    TokenRevoked,
    /// Something was asked for that needs a second person.
    ApprovalRequested,
    /// A second person approved it, and it was done.
    ApprovalApproved,
    /// A second person denied it.
    ApprovalDenied,
    /// Nobody decided in time.
    ApprovalExpired,
    /// Somebody without, or with wrong, credentials was turned away.
    AuthenticationRefused,
    /// Somebody was turned away for lack of permission.
    PermissionRefused,
}

impl Action {
    /// Whether values that stood beside the log may be gone behind an entry of this action.
    pub(crate) const fn forgets(self) -> bool {
        matches!(self, Self::AuditErased | Self::DatabaseRestored)
    }

    /// All that can happen.
    pub fn all() -> impl Iterator<Item = Self> {
        let jobs = [JobKind::Provision, JobKind::Revoke].into_iter().flat_map(|kind| {
            JobAct::ALL.into_iter().filter(move |act| act.befalls(kind)).map(move |act| Self::Job(kind, act))
        });
        [
            Self::LogOpened,
            Self::DatabaseRestored,
            Self::AuditSealed,
            Self::AuditErased,
            Self::ServerRegistered,
            Self::HostKeyPinned,
            Self::ServerMoved,
            Self::ServerDisabled,
            Self::ServerEnabled,
            Self::ServerRetired,
            Self::ServerReconciled,
            Self::ClientReconciled,
            Self::CrlRenewalStarted,
            Self::CrlRenewed,
            Self::CrlRenewalFailed,
            Self::ConfigurationConfirmed,
            Self::ClientCreated,
            Self::ProfileDelivered,
            Self::LinkCreated,
            Self::LinkRefused,
            Self::TokenCreated,
            Self::TokenRevoked,
            Self::ApprovalRequested,
            Self::ApprovalApproved,
            Self::ApprovalDenied,
            Self::ApprovalExpired,
            Self::AuthenticationRefused,
            Self::PermissionRefused,
        ]
        .into_iter()
        .chain(jobs)
    }

    /// What an entry of this action tells, as the documentation has it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::LogOpened => "the database was set up",
            Self::DatabaseRestored => "the database was restored from a backup; what was recorded since is lost to it",
            Self::AuditSealed => "the oldest entries were exported to this file, and leave the database",
            Self::AuditErased => "values were erased that stood beside the log; their commitments stay in it",
            Self::ServerRegistered => "a VPN host was made known, with this host key",
            Self::HostKeyPinned => "the key that a VPN host has to show was confirmed, or changed",
            Self::ServerMoved => "a VPN host is reached at another address; it has to show the same host key",
            Self::ServerDisabled => "nobody is let in on this VPN host any more, for now",
            Self::ServerEnabled => "clients may be let in there again",
            Self::ServerRetired => "a VPN host is gone, for good",
            Self::ServerReconciled => "the database was brought level with what a VPN host says",
            Self::ClientReconciled => "so was what it has of this client",
            Self::CrlRenewalStarted => "a worker is about to renew the CRL of a VPN host, which ends soon",
            Self::CrlRenewed => "it did: the same serials, a later end; nobody's access changes",
            Self::CrlRenewalFailed => "it could not; the old list stays in force, and a worker tries again",
            Self::ConfigurationConfirmed => "the configuration that OpenVPN has on a VPN host was confirmed",
            Self::ClientCreated => "a client was recorded",
            Self::ProfileDelivered => "a profile was handed out; the platform no longer has it",
            Self::LinkCreated => "a link to a profile was made; with it, it can be taken without a token",
            Self::LinkRefused => {
                "somebody tried a link that opens nothing: unknown, used, expired, a token of who made it was revoked \
                 since, or its profile is gone"
            }
            Self::TokenCreated => "a token was made",
            Self::TokenRevoked => "a token was ended",
            Self::ApprovalRequested => "something was asked for that needs a second person",
            Self::ApprovalApproved => "a second person approved it; what was done stands beside it",
            Self::ApprovalDenied => "a second person denied it",
            Self::ApprovalExpired => "nobody decided in time; it is only noted, and changes nobody's access",
            Self::AuthenticationRefused => "somebody without, or with wrong, credentials was turned away",
            Self::PermissionRefused => "somebody was turned away whose role does not include it",
            Self::Job(_, act) => act.meaning(),
        }
    }

    /// As the log has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        use JobAct as A;
        use JobKind::{Provision, Revoke};
        match self {
            Self::LogOpened => "log.opened",
            Self::DatabaseRestored => "database.restored",
            Self::AuditSealed => "audit.sealed",
            Self::AuditErased => "audit.erased",
            Self::ServerRegistered => "server.registered",
            Self::HostKeyPinned => "server.key_pinned",
            Self::ServerMoved => "server.moved",
            Self::ServerDisabled => "server.disabled",
            Self::ServerEnabled => "server.enabled",
            Self::ServerRetired => "server.retired",
            Self::ServerReconciled => "server.reconciled",
            Self::ClientReconciled => "client.reconciled",
            Self::CrlRenewalStarted => "crl.renewal_started",
            Self::CrlRenewed => "crl.renewed",
            Self::CrlRenewalFailed => "crl.renewal_failed",
            Self::ConfigurationConfirmed => "server.configuration_confirmed",
            Self::ClientCreated => "client.created",
            Self::ProfileDelivered => "profile.delivered",
            Self::LinkCreated => "link.created",
            Self::LinkRefused => "link.refused",
            Self::TokenCreated => "token.created",
            Self::TokenRevoked => "token.revoked",
            Self::ApprovalRequested => "approval.requested",
            Self::ApprovalApproved => "approval.approved",
            Self::ApprovalDenied => "approval.denied",
            Self::ApprovalExpired => "approval.expired",
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
            Self::AuthenticationRefused
            | Self::PermissionRefused
            | Self::LinkRefused
            | Self::Job(_, JobAct::Fenced) => Outcome::Refused,
            Self::CrlRenewalFailed | Self::Job(_, JobAct::Failed | JobAct::Delayed | JobAct::Requeued) => {
                Outcome::Failed
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the table of actions in the documentation has to be.
    fn table() -> String {
        let rows = Action::all().map(|action| {
            format!("| `{}` | {} | {} |\n", action.as_str(), action.outcome().as_str(), action.meaning())
        });
        std::iter::once("| action | outcome | what happened |\n| --- | --- | --- |\n".to_owned()).chain(rows).collect()
    }

    #[test]
    fn the_documentation_names_every_action() {
        let page =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/audit/README.md")).expect("the page");
        let (_, rest) = page.split_once("<!-- actions: kept true by a test -->\n").expect("the table begins");
        let (told, _) = rest.split_once("<!-- /actions -->").expect("the table ends");
        assert_eq!(told, table(), "src/audit/README.md: put this table there:\n{}", table());
    }
}
