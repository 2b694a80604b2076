//! What is known of the VPN hosts, all together: for health and for metrics.

use std::{collections::HashMap, time::Duration};

use super::Platform;
use crate::{
    clock::Timestamp,
    domain::{ClientEnds, Contact, GivenUp, Server, ServerId, ServerState, Warning},
    error::Error,
    store::{JobTally, StoreError},
};

/// A VPN host, and what was seen of it.
#[derive(Clone, Debug)]
pub struct KnownHost {
    /// The server.
    pub server: Server,
    /// What was last seen of it; `None` when nobody has looked yet.
    pub contact: Option<Contact>,
    /// When certificates of its clients end; `None` when it has no active ones.
    pub clients: Option<ClientEnds>,
    /// Revocations there that were given up; `None` when there are none.
    pub given_up: Option<GivenUp>,
}

/// What the platform's metrics are made of.
#[derive(Clone, Debug)]
pub struct Tallies {
    /// Jobs, by kind and state.
    pub jobs: Vec<JobTally>,
    /// How long the job that is due and has waited longest has waited.
    pub oldest_due: Duration,
    /// The hosts that are not retired, by name.
    pub hosts: Vec<KnownHost>,
}

impl KnownHost {
    pub(super) fn warnings(&self, now: Timestamp) -> Vec<Warning> {
        let soon = self.clients.and_then(|ends| ends.soon);
        let mut warnings = Warning::about(&self.server, self.contact.as_ref(), soon, now);
        warnings.extend(self.given_up.map(|given_up| Warning::given_up(&self.server, given_up)));
        warnings
    }
}

impl Platform {
    /// What the metrics are made of. There are no permissions on it: who may ask is for the embedding
    /// service to decide. It holds names of servers and nothing of any client.
    pub async fn tallies(&self) -> Result<Tallies, Error> {
        let hosts = self.known_hosts().await?.1;
        let mut reader = self.store().read().await?;
        let (jobs, oldest_due) = (reader.job_tallies().await?, reader.oldest_due().await?);
        Ok(Tallies { jobs, oldest_due, hosts })
    }

    /// The hosts that are not retired, by name, and the time at which this is so.
    pub(super) async fn known_hosts(&self) -> Result<(Timestamp, Vec<KnownHost>), StoreError> {
        let mut reader = self.store().read().await?;
        let (now, mut servers) = (reader.now().await?, reader.servers().await?);
        servers.retain(|server| server.state != ServerState::Retired);
        let ids: Vec<ServerId> = servers.iter().map(|server| server.id).collect();
        let mut contacts: HashMap<_, _> = reader.contacts(&ids).await?.into_iter().collect();
        let mut clients: HashMap<_, _> = reader.client_ends(now).await?.into_iter().collect();
        let mut given_up: HashMap<_, _> = reader.revocations_given_up().await?.into_iter().collect();
        let known = |server: Server| KnownHost {
            contact: contacts.remove(&server.id),
            clients: clients.remove(&server.id),
            given_up: given_up.remove(&server.id),
            server,
        };
        Ok((now, servers.into_iter().map(known).collect()))
    }
}
