//! Looking things up.

use std::collections::HashMap;

use super::Platform;
use crate::{
    domain::{Caller, Client, ClientId, CommonName, Contact, Drift, Job, JobId, Permission, Server, ServerId},
    error::{Error, RejectionCode},
    store::{ClientFilter, JobFilter, Page, PageRequest},
};

impl Platform {
    /// The client with this id.
    pub async fn client(&self, caller: &Caller, id: ClientId) -> Result<Option<Client>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        Ok(self.store().read().await?.client(id).await?)
    }

    /// A page of clients, newest first.
    pub async fn clients(
        &self,
        caller: &Caller,
        filter: &ClientFilter,
        page: &PageRequest<ClientId>,
    ) -> Result<Page<Client>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        Ok(self.store().read().await?.clients(filter, page).await?)
    }

    /// These clients; unknown ids are left out.
    pub async fn clients_by_id(&self, caller: &Caller, ids: &[ClientId]) -> Result<HashMap<ClientId, Client>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        let found = self.store().read().await?.clients_by_id(ids).await?;
        Ok(found.into_iter().map(|client| (client.id, client)).collect())
    }

    /// The job with this id.
    pub async fn job(&self, caller: &Caller, id: JobId) -> Result<Option<Job>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        Ok(self.store().read().await?.job(id).await?)
    }

    /// A page of jobs, newest first.
    pub async fn jobs(
        &self,
        caller: &Caller,
        filter: &JobFilter,
        page: &PageRequest<JobId>,
    ) -> Result<Page<Job>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        Ok(self.store().read().await?.jobs(filter, page).await?)
    }

    /// These jobs; unknown ids are left out.
    pub async fn jobs_by_id(&self, caller: &Caller, ids: &[JobId]) -> Result<HashMap<JobId, Job>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        let found = self.store().read().await?.jobs_by_id(ids).await?;
        Ok(found.into_iter().map(|job| (job.id, job)).collect())
    }

    /// The jobs that are at work on these clients. Where a revocation waits for a provision that still
    /// runs, it is the revocation.
    pub async fn current_jobs(&self, caller: &Caller, ids: &[ClientId]) -> Result<HashMap<ClientId, Job>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        let open = self.store().read().await?.open_jobs(ids).await?;
        // Oldest first, so the newest of a client is the one that stays in the map.
        Ok(open.into_iter().map(|job| (job.client_id, job)).collect())
    }

    /// This page of each client's jobs.
    pub async fn jobs_of_clients(
        &self,
        caller: &Caller,
        ids: &[ClientId],
        page: &PageRequest<JobId>,
    ) -> Result<HashMap<ClientId, Page<Job>>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        Ok(self.store().read().await?.jobs_of_clients(ids, page).await?)
    }

    /// This page of each server's clients.
    pub async fn clients_of_servers(
        &self,
        caller: &Caller,
        ids: &[ServerId],
        page: &PageRequest<ClientId>,
    ) -> Result<HashMap<ServerId, Page<Client>>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        Ok(self.store().read().await?.clients_of_servers(ids, page).await?)
    }

    /// The server with this id.
    pub async fn server(&self, caller: &Caller, id: ServerId) -> Result<Option<Server>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        Ok(self.store().read().await?.server(id).await?)
    }

    /// All servers, by name.
    pub async fn servers(&self, caller: &Caller) -> Result<Vec<Server>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        Ok(self.store().read().await?.servers().await?)
    }

    /// What is known of the differences of these servers; those that were never compared are left out.
    pub async fn drifts(&self, caller: &Caller, ids: &[ServerId]) -> Result<HashMap<ServerId, Drift>, Error> {
        self.authorise(caller, Permission::ReadDrift).await?;
        Ok(self.store().read().await?.drifts(ids).await?.into_iter().collect())
    }

    /// The server with this name, for who has this permission. The error names those that there are.
    pub async fn server_named(&self, caller: &Caller, permission: Permission, name: &str) -> Result<Server, Error> {
        self.authorise(caller, permission).await?;
        let servers = self.store().read().await?.servers().await?;
        let known = servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>().join(", ");
        let unknown = || format!("no server is called `{name}`; there are: {known}");
        let found = servers.into_iter().find(|server| server.name.as_str() == name);
        found.ok_or_else(|| Error::rejected(RejectionCode::NotFound, None, unknown()))
    }

    /// These servers; unknown ids are left out.
    pub async fn servers_by_id(&self, caller: &Caller, ids: &[ServerId]) -> Result<HashMap<ServerId, Server>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        let found = self.store().read().await?.servers_by_id(ids).await?;
        Ok(found.into_iter().map(|server| (server.id, server)).collect())
    }

    /// What is known of these servers from looking at them; those that nobody has looked at are left out.
    pub async fn contacts(&self, caller: &Caller, ids: &[ServerId]) -> Result<HashMap<ServerId, Contact>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        Ok(self.store().read().await?.contacts(ids).await?.into_iter().collect())
    }

    /// The clients of a server that have these common names now. A revoked client has none any more.
    pub async fn clients_by_name(
        &self,
        caller: &Caller,
        server: ServerId,
        names: &[CommonName],
    ) -> Result<HashMap<CommonName, Client>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        let found = self.store().read().await?.clients_by_name(server, names).await?;
        Ok(found.into_iter().map(|client| (client.name.clone(), client)).collect())
    }
}
