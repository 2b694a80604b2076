//! Certificates on a host that belong to clients of another server.
//!
//! There are none as long as each host is registered once, and has a state of its own. A host that is registered
//! under two servers shows both the same certificates, and a copy of a host's state those of the original.

use std::collections::HashMap;

use super::{Client, ClientId, ClientStatus, HostRecord, RecordState, Serial, ServerId, ServerName};

/// Clients of other servers, by what a certificate may be theirs by.
#[derive(Debug, Default)]
pub struct Elsewhere {
    clients: HashMap<ClientId, (Client, ServerName)>,
    ids: HashMap<Serial, ClientId>,
}

/// What such a client means for a certificate on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinship<'a> {
    /// It is this client's, which is revoked: so it has to be revoked on any host.
    Revoked(&'a Client),
    /// It has the serial or the id of this client, of that server. It is that server's business.
    Of(&'a Client, &'a ServerName),
}

impl Elsewhere {
    /// Than on this server: of these clients, each with the name of its server.
    #[must_use]
    pub fn than(server: ServerId, holders: &[(Client, ServerName)]) -> Self {
        let others = || holders.iter().filter(|(client, _)| client.server_id != server);
        Self {
            ids: others().map(|(client, _)| (client.serial.clone(), client.id)).collect(),
            clients: others().map(|(client, name)| (client.id, (client.clone(), name.clone()))).collect(),
        }
    }

    /// The one that has its serial, or else its id.
    #[must_use]
    pub fn find(&self, record: &HostRecord) -> Option<(&Client, &ServerName)> {
        let id = record.client_id();
        let (client, server) = self.clients.get(self.ids.get(&record.serial).or(id.as_ref())?)?;
        Some((client, server))
    }

    /// What there is to say of a record of the host. `None` for one that lets nobody in, unless its client is known
    /// to be revoked.
    #[must_use]
    pub fn kinship(&self, record: &HostRecord) -> Option<Kinship<'_>> {
        let (client, server) = self.find(record)?;
        let is_its_own = client.serial == record.serial && record.client_id() == Some(client.id);
        match record.state {
            _ if is_its_own && client.status() == ClientStatus::Revoked => Some(Kinship::Revoked(client)),
            RecordState::Revoked | RecordState::Seen => None,
            _ => Some(Kinship::Of(client, server)),
        }
    }
}
