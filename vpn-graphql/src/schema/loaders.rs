//! Look-ups that many resolvers of one request make at once: collected, then made as one.
//!
//! Nothing is cached: a mutation in the same request may change what was looked up before it.

use std::collections::HashMap;

use async_graphql::{Error, dataloader::Loader};
use vpn_core::{
    domain::{Caller, Client, ClientId, Job, JobId, Server, ServerId},
    service::Platform,
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
