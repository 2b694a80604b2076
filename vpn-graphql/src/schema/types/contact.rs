//! What was seen of VPN hosts.
#![expect(clippy::unused_async, reason = "async-graphql wants every resolver async")]

use async_graphql::{Context, Error, Object, SimpleObject};
use vpn_core::{
    clock::Timestamp,
    domain::{Contact, HostFacts, ServerId, Session},
};

use super::{
    DateTime, VpnClient,
    enums::{CrlRenewalState, OpenVpnState},
    job::JobError,
};
use crate::schema::{
    Nullable, Scope,
    cursor::{cost, size},
    loaders::NameOn,
};

/// How many sessions are given when `first` does not say so.
const SESSIONS: i32 = 100;

pub(crate) struct ServerContact {
    server: ServerId,
    contact: Contact,
}

impl From<(ServerId, Contact)> for ServerContact {
    fn from((server, contact): (ServerId, Contact)) -> Self {
        Self { server, contact }
    }
}

/// What a VPN host said of itself when a worker last looked, which is about once a minute. An observation:
/// no decision goes by it.
#[Object]
impl ServerContact {
    /// When a worker last looked.
    async fn looked_at(&self) -> DateTime {
        self.contact.looked_at.into()
    }

    /// When the host last answered; null when it never did.
    async fn answered_at(&self) -> Option<DateTime> {
        self.contact.answered_at.map(DateTime)
    }

    /// Why it did not answer, or not well, when it was last looked at; null when all was well.
    async fn error(&self) -> Option<JobError> {
        self.contact.failure.clone().map(JobError::from)
    }

    /// The host key that it shows where that is not the pinned one: `ssh-ed25519 AAAA…`; null otherwise.
    async fn presented_host_key(&self) -> Option<&str> {
        self.contact.presented_key.as_deref()
    }

    /// The SHA-256 fingerprint of that key, `SHA256:…`: what `pinHostKey` wants, once it was compared on the host.
    async fn presented_host_key_fingerprint(&self) -> Option<String> {
        self.contact.presented_fingerprint()
    }

    /// What it said of itself when it last answered; null when it never did.
    async fn facts(&self) -> Option<HostStatus> {
        self.contact.facts.clone().map(HostStatus::from)
    }

    /// What workers do about its CRL before that ends; null when none has said.
    async fn crl_renewal(&self) -> Option<CrlRenewalState> {
        self.contact.renewal.as_ref().map(CrlRenewalState::from)
    }

    /// The state of its OpenVPN server when it last answered; null when that is not known.
    async fn open_vpn(&self) -> Option<OpenVpnState> {
        self.contact.sessions.as_ref().map(|sessions| sessions.server.into())
    }

    /// How many clients were connected when it last answered; null when that is not known.
    async fn connected(&self) -> Option<i32> {
        let known = self.contact.sessions.as_ref().filter(|sessions| sessions.are_known());
        known.map(|sessions| i32::try_from(sessions.list.len()).unwrap_or(i32::MAX))
    }

    /// Who was connected when it last answered, the longest first: the first 100, or `first` of them, which
    /// is at most 100. With `name`, only the sessions of that common name.
    #[graphql(complexity = "cost(Some(first.unwrap_or(SESSIONS)), None, child_complexity)")]
    async fn sessions(&self, first: Option<i32>, name: Option<String>) -> Result<Vec<VpnSession>, Error> {
        let first = size("first", first.unwrap_or(SESSIONS))?;
        let server = self.server;
        let some = self.contact.sessions.iter().flat_map(|sessions| sessions.of(name.as_deref()));
        let shown = some.take(usize::try_from(first).unwrap_or(usize::MAX));
        Ok(shown.map(|session| VpnSession { server, session: session.clone() }).collect())
    }
}

/// What a VPN host says of itself.
#[derive(SimpleObject)]
pub(crate) struct HostStatus {
    /// The version of its protocol.
    protocol: i32,
    /// What its scripts can do: verbs, and what was added to them.
    capabilities: Vec<String>,
    /// The name of its state directory, made when it was set up.
    host_id: String,
    /// SHA-256 of the CA's certificate: 64 hexadecimal digits.
    ca_sha256_fingerprint: String,
    /// The number of the CRL in force.
    crl_number: String,
    /// When that CRL was made, by the host's clock; null when its number is no time.
    crl_made_at: Option<DateTime>,
    /// When that CRL ends, or 1970-01-01T00:00:00Z while it is not valid yet. OpenVPN refuses everybody from then on.
    crl_next_update: DateTime,
    /// When the CA's certificate ends; null when the host's scripts are too old to say.
    ca_not_after: Option<DateTime>,
    /// When the OpenVPN server's certificate ends; null when the host's scripts are too old to say.
    server_not_after: Option<DateTime>,
}

impl From<HostFacts> for HostStatus {
    fn from(facts: HostFacts) -> Self {
        let time = |seconds| DateTime(Timestamp::from_seconds(seconds));
        let crl = facts.crl();
        Self {
            protocol: i32::try_from(facts.version).unwrap_or(i32::MAX),
            capabilities: facts.capabilities,
            host_id: facts.host_id,
            ca_sha256_fingerprint: facts.ca_sha256,
            crl_number: facts.crl_number.to_string(),
            crl_made_at: crl.made_at.map(DateTime),
            crl_next_update: DateTime(crl.ends_at),
            ca_not_after: facts.ca_not_after.map(time),
            server_not_after: facts.server_not_after.map(time),
        }
    }
}

pub(crate) struct VpnSession {
    server: ServerId,
    session: Session,
}

/// A client that is connected to a VPN host.
#[Object]
impl VpnSession {
    /// The certificate's common name.
    async fn name(&self) -> &str {
        &self.session.name
    }

    /// The client that has this name now; null when none has, as when it was revoked since.
    async fn client(&self, ctx: &Context<'_>) -> Nullable<VpnClient> {
        Scope::find(ctx, NameOn(self.server, self.session.name.clone())).await
    }

    /// Where it comes from, as OpenVPN writes it: `198.51.100.7:50123`.
    async fn address(&self) -> &str {
        &self.session.address
    }

    /// Since when.
    async fn connected_at(&self) -> DateTime {
        Timestamp::from_seconds(self.session.since).into()
    }

    /// Bytes that came from the client, in decimal digits.
    async fn bytes_received(&self) -> String {
        self.session.bytes_in.to_string()
    }

    /// Bytes that went to the client, in decimal digits.
    async fn bytes_sent(&self) -> String {
        self.session.bytes_out.to_string()
    }
}
