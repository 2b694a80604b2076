//! Closed sets, each with its twin in the core.

use async_graphql::Enum;
use vpn_core::{domain, error::RejectionCode, service};

/// Where a client is in its life.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "domain::ClientStatus")]
pub(crate) enum ClientStatus {
    /// Recorded; it cannot connect yet.
    Pending,
    /// It may connect.
    Active,
    /// It may never connect again. Final.
    Revoked,
}

/// What may be done on a VPN host.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "domain::ServerState")]
pub(crate) enum ServerState {
    /// Its host key has not been confirmed: nothing is asked of it.
    Unconfirmed,
    /// Everything.
    Active,
    /// Nobody is let in there any more for now; what was accepted before is done, and revocations always.
    Disabled,
    /// Nothing, for good. All its clients are revoked.
    Retired,
}

/// Whether a VPN host's OpenVPN server runs.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "domain::OpenVpnState")]
pub(crate) enum OpenVpnState {
    /// It answered.
    Running,
    /// Its process is dead: nobody is connected.
    Stopped,
    /// The host is set up without one.
    Absent,
    /// It lives and does not answer: who is connected is not known.
    Unreachable,
}

/// What a job does.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "domain::JobKind")]
pub(crate) enum JobKind {
    /// Issues the certificate and lets the client connect.
    Provision,
    /// Takes the client's access away, for good.
    Revoke,
}

/// Where a job is.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "domain::JobState")]
pub(crate) enum JobState {
    /// It waits for its time or for a worker.
    Queued,
    /// A worker is at it.
    Running,
    /// Done. Final.
    Succeeded,
    /// Given up. Final; `retryJob` asks again, as a new job.
    Failed,
    /// Overtaken by a revocation before it ran. Final.
    Canceled,
}

/// What a revocation has to prove.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "domain::Claim")]
pub(crate) enum RevocationClaim {
    /// The CRL in force has the serial, and its signature is good.
    SerialInCrl,
    /// The user that OpenVPN runs as can read that CRL.
    CrlReadable,
    /// Sessions of the client were ended, or there were none.
    SessionsEnded,
    /// No session of the client is left, nor a handshake that began under an older CRL.
    NoSessionLeft,
    /// The configuration of the OpenVPN server has every new connection checked against that CRL.
    ReconnectRefused,
}

/// What the bearer of a token may do.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "domain::Role")]
pub(crate) enum Role {
    /// Sees clients, jobs and servers.
    Viewer,
    /// Runs the daily business: creates, provisions and revokes clients; sees the audit log, too.
    Operator,
    /// Sees everything, the audit log included; changes nothing.
    Auditor,
    /// May do everything.
    Admin,
}

/// What a token may be narrowed to: its bearer may do what the role includes and a scope reaches.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "domain::Scope")]
pub(crate) enum Scope {
    /// See clients, jobs, servers, health, and what waits for approval.
    Read,
    /// Create, provision and revoke clients, and take their profiles.
    Clients,
    /// See the audit log.
    Audit,
    /// Make VPN hosts known.
    Servers,
    /// See, make and revoke tokens.
    Tokens,
    /// Approve and deny what others asked for.
    Approvals,
}

/// A mutation that can need a second person.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "domain::Operation")]
pub(crate) enum TwoPersonOperation {
    /// `registerServer`
    RegisterServer,
    /// `pinHostKey`
    PinHostKey,
    /// `moveServer`
    MoveServer,
    /// `confirmConfiguration`
    ConfirmConfiguration,
    /// `disableServer`
    DisableServer,
    /// `enableServer`
    EnableServer,
    /// `retireServer`
    RetireServer,
    /// `createClient`
    CreateClient,
    /// `provisionClient`
    ProvisionClient,
    /// `revokeClient`
    RevokeClient,
    /// `retryJob`
    RetryJob,
    /// `createToken`
    CreateToken,
}

/// On what a VPN host and the platform differ, the worst first. New kinds may appear.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "domain::DriftKind")]
pub(crate) enum DriftKind {
    /// A revoked client is connected.
    RevokedSession,
    /// A revoked client is not in the CRL in force: OpenVPN lets it in.
    NotInCrl,
    /// A revoked client is in the CRL in force, but the host has no record of its revocation.
    NotRevokedOnHost,
    /// Somebody is connected under a name that no active client has.
    UnknownSession,
    /// The host has issued a certificate that the platform does not know.
    UnknownCertificate,
    /// The host lets a certificate in that it took over from another PKI, and that can be no client.
    ForeignCertificate,
    /// The host lets in clients of another server: it is registered twice, or has a copy of another one's state.
    SharedHost,
    /// The host has a client revoked that the platform has not.
    RevokedOnHost,
    /// The host has no certificate of an active client.
    CertificateMissing,
    /// The host has issued the certificate of a pending client, and no job is at work on it.
    NotActivated,
    /// The host has seen a newer fencing token of a client: it refuses the platform there.
    HostAhead,
    /// OpenVPN does not answer: who is connected is not known.
    SessionsUnknown,
    /// OpenVPN's configuration is not the one that was confirmed.
    ConfigurationChanged,
}

/// Where a request for approval is. All but `PENDING` are final.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "domain::ApprovalState")]
pub(crate) enum ApprovalState {
    /// It waits for a second person.
    Pending,
    /// It was approved, and done in the same instant.
    Approved,
    /// A second person said no.
    Denied,
    /// Nobody decided in time.
    Expired,
}

/// How a part of the service is, or the whole.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "service::HealthStatus")]
pub(crate) enum HealthStatus {
    /// It works.
    Ok,
    /// Requests are accepted, and may be done later; or something has to be looked at before it keeps people out.
    Degraded,
    /// Requests are refused.
    Down,
}

/// What workers do about a host's CRL before it ends.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrlRenewalState {
    /// They renew it.
    On,
    /// It is switched off.
    Off,
    /// They could not, when they last tried; `health` and the audit log tell why.
    Failed,
}

impl From<&domain::CrlRenewal> for CrlRenewalState {
    fn from(renewal: &domain::CrlRenewal) -> Self {
        match renewal {
            domain::CrlRenewal::On => Self::On,
            domain::CrlRenewal::Off => Self::Off,
            domain::CrlRenewal::Failed(_) => Self::Failed,
        }
    }
}

/// What there is to warn of. New codes may appear.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "domain::WarningCode")]
pub(crate) enum HealthWarningCode {
    /// The CRL in force ends soon.
    CrlEndsSoon,
    /// It has ended, or is not valid yet: OpenVPN refuses everybody.
    CrlEnded,
    /// Workers could not renew the CRL, when they last tried.
    CrlRenewalFailed,
    /// Workers do not renew the CRL: it is switched off. It does not degrade the whole.
    CrlRenewalOff,
    /// The CA's certificate ends soon.
    CaEndsSoon,
    /// It has ended: OpenVPN refuses everybody.
    CaEnded,
    /// The certificate of the OpenVPN server ends soon.
    ServerCertificateEndsSoon,
    /// It has ended: clients refuse the server.
    ServerCertificateEnded,
    /// Certificates of clients end soon. It does not degrade the whole.
    ClientCertificatesEndSoon,
    /// The host did not answer, or not well, when it was last looked at.
    HostSilent,
    /// Nobody looks at the host.
    HostUnwatched,
    /// Revocations were asked for and given up: their clients may still get in.
    RevocationsGivenUp,
}

/// For programs. New codes may appear.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "RejectionCode")]
pub(crate) enum UserErrorCode {
    /// A value breaks a rule.
    Invalid,
    /// There is nothing with this id.
    NotFound,
    /// Another one has this name.
    NameTaken,
    /// It cannot be done to something in this state.
    WrongState,
    /// The profile was delivered or destroyed.
    ProfileGone,
    /// The idempotency key was used for something else.
    IdempotencyKeyReused,
    /// A second person has to do it.
    SamePerson,
}
