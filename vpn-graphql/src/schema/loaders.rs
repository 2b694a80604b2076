//! Look-ups that many resolvers of one request make at once: collected, then made as one.
//!
//! Nothing is cached: a mutation in the same request may change what was looked up before it.

use std::{collections::HashMap, hash::Hash};

use async_graphql::{Error, dataloader::Loader};
use vpn_core::{
    audit::AuditEntry,
    domain::{Caller, Client, ClientId, CommonName, Contact, Drift, Job, JobId, Server, ServerId},
    service::Platform,
    store::{Page, PageRequest},
};

use crate::error;

/// The look-ups of one request.
pub(crate) struct Batches {
    platform: Platform,
    caller: Caller,
}

impl Batches {
    pub(super) fn new(platform: Platform, caller: Caller) -> Self {
        Self { platform, caller }
    }
}

/// The job that is at work on this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CurrentJobOf(pub(super) ClientId);

impl Loader<ClientId> for Batches {
    type Value = Client;
    type Error = Error;

    async fn load(&self, ids: &[ClientId]) -> Result<HashMap<ClientId, Client>, Error> {
        self.platform.clients_by_id(&self.caller, ids).await.map_err(error::told)
    }
}

impl Loader<ServerId> for Batches {
    type Value = Server;
    type Error = Error;

    async fn load(&self, ids: &[ServerId]) -> Result<HashMap<ServerId, Server>, Error> {
        self.platform.servers_by_id(&self.caller, ids).await.map_err(error::told)
    }
}

impl Loader<JobId> for Batches {
    type Value = Job;
    type Error = Error;

    async fn load(&self, ids: &[JobId]) -> Result<HashMap<JobId, Job>, Error> {
        self.platform.jobs_by_id(&self.caller, ids).await.map_err(error::told)
    }
}

impl Loader<CurrentJobOf> for Batches {
    type Value = Job;
    type Error = Error;

    async fn load(&self, keys: &[CurrentJobOf]) -> Result<HashMap<CurrentJobOf, Job>, Error> {
        let ids: Vec<ClientId> = keys.iter().map(|key| key.0).collect();
        let jobs = self.platform.current_jobs(&self.caller, &ids).await.map_err(error::told)?;
        Ok(jobs.into_iter().map(|(id, job)| (CurrentJobOf(id), job)).collect())
    }
}

/// What was seen of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ContactOf(pub(super) ServerId);

/// The client that has this name on that server now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct NameOn(pub(super) ServerId, pub(super) String);

impl Loader<ContactOf> for Batches {
    type Value = (ServerId, Contact);
    type Error = Error;

    async fn load(&self, keys: &[ContactOf]) -> Result<HashMap<ContactOf, (ServerId, Contact)>, Error> {
        let ids: Vec<ServerId> = keys.iter().map(|key| key.0).collect();
        let found = self.platform.contacts(&self.caller, &ids).await.map_err(error::told)?;
        Ok(found.into_iter().map(|(id, contact)| (ContactOf(id), (id, contact))).collect())
    }
}

/// Where this server and the platform differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DriftOf(pub(super) ServerId);

impl Loader<DriftOf> for Batches {
    type Value = Drift;
    type Error = Error;

    async fn load(&self, keys: &[DriftOf]) -> Result<HashMap<DriftOf, Drift>, Error> {
        let ids: Vec<ServerId> = keys.iter().map(|key| key.0).collect();
        let found = self.platform.drifts(&self.caller, &ids).await.map_err(error::told)?;
        Ok(found.into_iter().map(|(id, drift)| (DriftOf(id), drift)).collect())
    }
}

impl Loader<NameOn> for Batches {
    type Value = Client;
    type Error = Error;

    async fn load(&self, keys: &[NameOn]) -> Result<HashMap<NameOn, Client>, Error> {
        let mut servers: HashMap<ServerId, Vec<CommonName>> = HashMap::new();
        for NameOn(server, name) in keys {
            // What is no common name is nobody's.
            servers.entry(*server).or_default().extend(name.parse().ok());
        }
        let mut found = HashMap::new();
        for (server, names) in servers {
            let clients = self.platform.clients_by_name(&self.caller, server, &names).await.map_err(error::told)?;
            found.extend(clients.into_iter().map(|(name, client)| (NameOn(server, name.to_string()), client)));
        }
        Ok(found)
    }
}

/// A page of this client's jobs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct JobsOf(pub(super) ClientId, pub(super) PageRequest<JobId>);

/// A page of what the audit log has about this client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AuditOf(pub(super) ClientId, pub(super) PageRequest<i64>);

/// A page of this server's clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientsOf(pub(super) ServerId, pub(super) PageRequest<ClientId>);

/// Who wants which page: nearly always all the same one. Aliases can ask for others, each once.
fn by_page<O, K: Clone + Eq + Hash>(
    wanted: impl Iterator<Item = (O, PageRequest<K>)>,
) -> HashMap<PageRequest<K>, Vec<O>> {
    let mut groups: HashMap<PageRequest<K>, Vec<O>> = HashMap::new();
    for (owner, page) in wanted {
        groups.entry(page).or_default().push(owner);
    }
    groups
}

macro_rules! pages {
    ($key:ident, $item:ty, $ask:ident) => {
        impl Loader<$key> for Batches {
            type Value = Page<$item>;
            type Error = Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, Page<$item>>, Error> {
                let mut found = HashMap::new();
                for (page, owners) in by_page(keys.iter().map(|key| (key.0, key.1.clone()))) {
                    let pages = self.platform.$ask(&self.caller, &owners, &page).await.map_err(error::told)?;
                    found.extend(pages.into_iter().map(|(owner, items)| ($key(owner, page.clone()), items)));
                }
                Ok(found)
            }
        }
    };
}

pages!(JobsOf, Job, jobs_of_clients);
pages!(AuditOf, AuditEntry, audit_of_clients);
pages!(ClientsOf, Client, clients_of_servers);
