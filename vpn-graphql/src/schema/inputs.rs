//! What callers hand in. Texts are checked by the core, so that what is wrong with them is data.

use async_graphql::{Error, ID, InputObject};
use vpn_core::{
    domain::{self, Scopes},
    service, store,
};

use super::{
    cursor::filter_id,
    types::{ApprovalState, ClientStatus, DateTime, JobKind, JobState, Role, Scope, TwoPersonOperation},
};

/// Instants from one to another. What is left out has no limit.
#[derive(InputObject, Default)]
pub(super) struct TimeRange {
    /// At this instant or later.
    since: Option<DateTime>,
    /// Before this instant.
    until: Option<DateTime>,
}

impl From<TimeRange> for store::TimeRange {
    fn from(range: TimeRange) -> Self {
        Self { since: range.since.map(|at| at.0), until: range.until.map(|at| at.0) }
    }
}

/// Which clients. What is left out does not matter.
#[derive(InputObject, Default)]
pub(super) struct ClientFilter {
    /// With this status.
    status: Option<ClientStatus>,
    /// Of this server.
    server_id: Option<ID>,
    /// With exactly this name.
    name: Option<String>,
    /// Recorded when.
    created_at: Option<TimeRange>,
}

impl ClientFilter {
    pub(super) fn into_core(self) -> Result<store::ClientFilter, Error> {
        let server_id = filter_id("serverId", self.server_id.as_ref())?;
        let created_at = self.created_at.unwrap_or_default().into();
        Ok(store::ClientFilter { status: self.status.map(Into::into), server_id, name: self.name, created_at })
    }
}

/// Which jobs. What is left out does not matter.
#[derive(InputObject, Default)]
pub(super) struct JobFilter {
    /// For this client.
    client_id: Option<ID>,
    /// Of this kind.
    kind: Option<JobKind>,
    /// In this state.
    state: Option<JobState>,
    /// Asked for by this principal.
    requested_by: Option<String>,
    /// Asked for when.
    queued_at: Option<TimeRange>,
}

impl JobFilter {
    pub(super) fn into_core(self) -> Result<store::JobFilter, Error> {
        let client_id = filter_id("clientId", self.client_id.as_ref())?;
        Ok(store::JobFilter {
            client_id,
            kind: self.kind.map(Into::into),
            state: self.state.map(Into::into),
            requested_by: self.requested_by,
            queued_at: self.queued_at.unwrap_or_default().into(),
        })
    }
}

/// Which entries of the audit log. What is left out does not matter.
#[derive(InputObject, Default)]
pub(super) struct AuditFilter {
    /// About this client.
    client_id: Option<ID>,
    /// About this job.
    job_id: Option<ID>,
    /// Done by this principal; once the name was erased, as `actor` of an entry has it: `erased:…`.
    actor: Option<String>,
    /// Of this action, such as `client.created`.
    action: Option<String>,
    /// At this time or later. With a time, the list is in the order of time.
    since: Option<DateTime>,
    /// Before this time.
    until: Option<DateTime>,
}

impl AuditFilter {
    pub(super) fn into_core(self) -> Result<store::AuditFilter, Error> {
        Ok(store::AuditFilter {
            client_id: filter_id("clientId", self.client_id.as_ref())?,
            job_id: filter_id("jobId", self.job_id.as_ref())?,
            actor: self.actor,
            action: self.action,
            since: self.since.map(|at| at.0),
            until: self.until.map(|at| at.0),
        })
    }
}

/// Which access tokens. What is left out does not matter.
#[derive(InputObject, Default)]
pub(super) struct TokenFilter {
    /// Of this principal.
    principal: Option<String>,
    /// True: those that hold now. False: those that were revoked or have ended.
    active: Option<bool>,
}

impl From<TokenFilter> for store::TokenFilter {
    fn from(filter: TokenFilter) -> Self {
        Self { principal: filter.principal, active: filter.active }
    }
}

/// Which approvals. What is left out does not matter.
#[derive(InputObject, Default)]
pub(super) struct ApprovalFilter {
    /// In this state now.
    state: Option<ApprovalState>,
    /// Of this mutation.
    operation: Option<TwoPersonOperation>,
    /// Asked for by this principal.
    requested_by: Option<String>,
}

impl From<ApprovalFilter> for store::ApprovalFilter {
    fn from(filter: ApprovalFilter) -> Self {
        Self {
            state: filter.state.map(Into::into),
            operation: filter.operation.map(Into::into),
            requested_by: filter.requested_by,
        }
    }
}

/// A VPN host that is to be made known.
#[derive(InputObject)]
pub(super) struct RegisterServerInput {
    /// What people call it: 1 to 64 letters, digits, `-` or `_`; unique.
    name: String,
    /// The DNS name or IP address of its SSH server.
    host: String,
    /// The TCP port of its SSH server.
    #[graphql(default_with = "Some(22)")]
    port: Option<i32>,
    /// The account of the forced command.
    #[graphql(default_with = "Some(String::from(\"vpn-host\"))")]
    user: Option<String>,
    /// The host's public key, `ssh-ed25519 AAAA…`, as the installer of the host scripts prints it. Without it, the
    /// server is `UNCONFIRMED` until `pinHostKey` confirms the key that the host shows.
    host_key: Option<String>,
    /// A repeat with the same key gives the first result again, for 24 hours.
    idempotency_key: Option<String>,
}

impl From<RegisterServerInput> for service::RegisterServer {
    fn from(input: RegisterServerInput) -> Self {
        Self {
            name: input.name,
            host: input.host,
            port: input.port.unwrap_or(22),
            user: input.user.unwrap_or_else(|| "vpn-host".to_owned()),
            host_key: input.host_key,
            idempotency_key: input.idempotency_key,
        }
    }
}

/// A host key that somebody has compared.
#[derive(InputObject)]
pub(super) struct PinHostKeyInput {
    /// Whose.
    pub(super) server_id: ID,
    /// Its SHA-256 fingerprint, `SHA256:…`: what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on the host
    /// itself. The server's `contact` tells the key that the platform is shown.
    pub(super) fingerprint: String,
}

/// A VPN host that is reached at another address. What is left out stays as it is.
#[derive(InputObject)]
pub(super) struct MoveServerInput {
    /// Which server.
    server_id: ID,
    /// The DNS name or IP address of its SSH server.
    host: Option<String>,
    /// The TCP port of its SSH server.
    port: Option<i32>,
    /// The account of the forced command.
    user: Option<String>,
}

impl From<MoveServerInput> for service::MoveServer {
    fn from(input: MoveServerInput) -> Self {
        Self { server_id: input.server_id.to_string(), host: input.host, port: input.port, user: input.user }
    }
}

/// A configuration of OpenVPN that somebody has looked at.
#[derive(InputObject)]
pub(super) struct ConfirmConfigurationInput {
    /// Whose.
    pub(super) server_id: ID,
    /// Its SHA-256, 64 hexadecimal digits: what `sha256sum server/openvpn.conf` prints in the host's state directory. The
    /// server's `drift` tells which one the platform has found.
    pub(super) sha256: String,
}

/// A server whose clients are to wait.
#[derive(InputObject)]
pub(super) struct DisableServerInput {
    /// Which.
    pub(super) server_id: ID,
}

/// A server that was disabled.
#[derive(InputObject)]
pub(super) struct EnableServerInput {
    /// Which.
    pub(super) server_id: ID,
}

/// A server that is to be given up.
#[derive(InputObject)]
pub(super) struct RetireServerInput {
    /// Which.
    pub(super) server_id: ID,
}

/// A client that is to be recorded.
#[derive(InputObject)]
pub(super) struct CreateClientInput {
    /// The certificate's common name: 1 to 64 letters, digits, `-` or `_`; not `DEFAULT`, `UNDEF` or `server`.
    name: String,
    /// The server that it will connect to.
    server_id: ID,
    /// A repeat with the same key gives the first result again, for 24 hours.
    idempotency_key: Option<String>,
}

impl From<CreateClientInput> for service::CreateClient {
    fn from(input: CreateClientInput) -> Self {
        Self { name: input.name, server_id: input.server_id.0, idempotency_key: input.idempotency_key }
    }
}

/// A client that is to be let in.
#[derive(InputObject)]
pub(super) struct ProvisionClientInput {
    /// Which.
    client_id: ID,
    /// A certificate signing request, PEM. With it the private key never leaves its owner; without it
    /// the VPN host makes one.
    csr: Option<String>,
    /// How long the certificate is valid, in days: from 1 to what the platform's policy allows, at most
    /// 3650. A client that was asked for before stays with what was asked first.
    #[graphql(default_with = "Some(DEFAULT_VALIDITY)")]
    validity_days: Option<i32>,
    /// The client's own address in the VPN, IPv4: one of those that the VPN host keeps for this, and that
    /// no other client has. Without one it gets any that is free.
    address: Option<String>,
    /// IPv4 networks that the client reaches through the tunnel, beside the VPN's own: at most 16, such as
    /// `10.20.0.0/16`, each of at least /8.
    routes: Option<Vec<String>>,
    /// A repeat with the same key gives the first result again, for 24 hours.
    idempotency_key: Option<String>,
}

const DEFAULT_VALIDITY: i32 = 365;

impl From<ProvisionClientInput> for service::ProvisionClient {
    fn from(input: ProvisionClientInput) -> Self {
        Self {
            client_id: input.client_id.0,
            csr: input.csr,
            validity_days: input.validity_days.unwrap_or(DEFAULT_VALIDITY),
            address: input.address,
            routes: input.routes.unwrap_or_default(),
            idempotency_key: input.idempotency_key,
        }
    }
}

/// A client whose access is to end.
#[derive(InputObject)]
pub(super) struct RevokeClientInput {
    /// Which.
    client_id: ID,
    /// Why: 1 to 500 characters, one line. It goes into the audit log.
    reason: String,
    /// A repeat with the same key gives the first result again, for 24 hours.
    idempotency_key: Option<String>,
}

impl From<RevokeClientInput> for service::RevokeClient {
    fn from(input: RevokeClientInput) -> Self {
        Self { client_id: input.client_id.0, reason: input.reason, idempotency_key: input.idempotency_key }
    }
}

/// A failed job that is to be repeated.
#[derive(InputObject)]
pub(super) struct RetryJobInput {
    /// Which.
    job_id: ID,
    /// A repeat with the same key gives the first result again, for 24 hours.
    idempotency_key: Option<String>,
}

impl From<RetryJobInput> for service::RetryJob {
    fn from(input: RetryJobInput) -> Self {
        Self { job_id: input.job_id.0, idempotency_key: input.idempotency_key }
    }
}

/// A client whose profile is to be handed out.
#[derive(InputObject)]
pub(super) struct DeliverProfileInput {
    /// Which.
    pub(super) client_id: ID,
}

/// A token that is to be made.
#[derive(InputObject)]
pub(super) struct CreateTokenInput {
    /// Whose: 1 to 64 letters, digits, `.`, `_`, `@`, `-` or `+`.
    principal: String,
    /// What its bearer may be.
    role: Role,
    /// What of it the token may be used for; left out: for all of it. A token may do no more than its maker.
    scopes: Option<Vec<Scope>>,
    /// How long it is valid, in days, from 1 to 366.
    valid_for_days: i32,
}

impl From<CreateTokenInput> for service::CreateToken {
    fn from(input: CreateTokenInput) -> Self {
        // What is negative is out of bounds as zero is, and the core says so.
        let valid_for_days = u32::try_from(input.valid_for_days).unwrap_or(0);
        let scopes = input.scopes.map_or(Scopes::ALL, |scopes| scopes.into_iter().map(domain::Scope::from).collect());
        Self { principal: input.principal, role: input.role.into(), scopes, valid_for_days }
    }
}

/// A token that is to be ended.
#[derive(InputObject)]
pub(super) struct RevokeTokenInput {
    /// Which.
    pub(super) token_id: ID,
}

/// What somebody else asked for, and is to be done.
#[derive(InputObject)]
pub(super) struct ApproveRequestInput {
    /// Which.
    pub(super) approval_id: ID,
}

/// What somebody else asked for, and is not to be done.
#[derive(InputObject)]
pub(super) struct DenyRequestInput {
    /// Which.
    pub(super) approval_id: ID,
    /// Why: 1 to 500 characters, one line. It goes into the audit log.
    pub(super) reason: String,
}

/// A link to a profile that is to be made.
#[derive(InputObject)]
pub(super) struct CreateProfileLinkInput {
    /// To the profile of which client. It must wait for its delivery.
    client_id: ID,
    /// How long the link is good, in minutes, from 1 to 1440.
    #[graphql(default_with = "Some(DEFAULT_MINUTES)")]
    valid_for_minutes: Option<i32>,
}

const DEFAULT_MINUTES: i32 = 60;

impl From<CreateProfileLinkInput> for service::CreateProfileLink {
    fn from(input: CreateProfileLinkInput) -> Self {
        Self { client_id: input.client_id.0, valid_for_minutes: input.valid_for_minutes.unwrap_or(DEFAULT_MINUTES) }
    }
}
