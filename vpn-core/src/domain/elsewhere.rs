//! Certificates on a host that belong to clients of another server.
//!
//! There are none as long as each host is registered once, and has a state of its own. A host that is registered
//! under two servers shows both the same certificates, and a copy of a host's state those of the original: the same
//! serials, of the same clients, by the same CA. Anything less is no reason to leave a certificate alone.

use std::collections::HashMap;

use super::{Client, ClientId, ClientStatus, HostRecord, RecordState, Serial, ServerId, ServerName};

/// A client that a certificate may be of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The client.
    pub client: Client,
    /// The name of its server.
    pub server: ServerName,
    /// SHA-256 of the CA's certificate on that host; `None` when nobody has seen it yet.
    pub ca_sha256: Option<String>,
}

/// Clients of other servers that may have their certificates on a host, too.
#[derive(Debug, Default)]
pub struct Elsewhere {
    holders: HashMap<ClientId, Holder>,
}

/// What such a client means for its certificate on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kinship<'a> {
    /// The client is revoked: so its certificate has to be revoked on any host. It has the name that this host knows
    /// it by, and is asked by.
    Revoked(Box<Client>),
    /// It is that server's business.
    Of(&'a Holder),
    /// The same, and here it lets nobody in.
    Harmless,
}

impl Elsewhere {
    /// Than on this server, whose host has this CA, as far as that is known. Another CA means another certificate.
    #[must_use]
    pub fn than(server: ServerId, ca_sha256: Option<&str>, holders: Vec<Holder>) -> Self {
        let is_other_ca =
            |holder: &Holder| ca_sha256.zip(holder.ca_sha256.as_deref()).is_some_and(|(here, there)| here != there);
        let others = holders.into_iter().filter(|it| it.client.server_id != server && !is_other_ca(it));
        Self { holders: others.map(|it| (it.client.id, it)).collect() }
    }

    /// The one of these whose certificate it is: by its serial and its client.
    #[must_use]
    pub fn find(&self, serial: &Serial, client: ClientId) -> Option<&Holder> {
        self.holders.get(&client).filter(|holder| holder.client.serial == *serial)
    }

    /// What there is to say of a record of the host; `None` for a stranger's.
    #[must_use]
    pub fn kinship(&self, record: &HostRecord) -> Option<Kinship<'_>> {
        let (name, id) = record.owner.as_ref()?;
        let holder = self.find(&record.serial, *id)?;
        Some(match record.state {
            _ if holder.client.status() == ClientStatus::Revoked => {
                Kinship::Revoked(Box::new(Client { name: name.clone(), ..holder.client.clone() }))
            }
            RecordState::Revoked | RecordState::Seen => Kinship::Harmless,
            _ => Kinship::Of(holder),
        })
    }

    /// Those who are not revoked.
    pub fn living(&self) -> impl Iterator<Item = &Client> {
        self.holders.values().map(|holder| &holder.client).filter(|client| client.status() != ClientStatus::Revoked)
    }
}
