//! What a test asks of a fleet, and what it reads of it: past the proxies, in this process.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use vpn_core::{
    domain::{Client, ClientId, Job, JobId, JobKind, JobState},
    sandbox::random_hex,
    service::{CreateClient, ProvisionClient, RevokeClient},
    store::{AuditFilter, JobFilter, PageRequest},
};

use super::Fleet;
use crate::{
    checker::{Places, Report, Told, check},
    eventually,
};

impl Fleet {
    /// A new client, `pending`.
    pub async fn client(&self) -> Result<Client> {
        let name = format!("laptop-{}", random_hex(6)?);
        let input = CreateClient { name, server_id: self.server.id.to_string(), idempotency_key: None };
        Ok(self.platform.create_client(&self.admin, input).await?)
    }

    /// Asks for a provision.
    pub async fn provision(&self, id: ClientId) -> Result<Job> {
        let input = ProvisionClient {
            client_id: id.to_string(),
            csr: None,
            validity_days: 30,
            address: None,
            routes: Vec::new(),
            idempotency_key: None,
        };
        Ok(self.platform.provision_client(&self.admin, input).await?.job)
    }

    /// Asks for a revocation.
    pub async fn revoke(&self, id: ClientId) -> Result<Job> {
        let input = RevokeClient { client_id: id.to_string(), reason: "lost".into(), idempotency_key: None };
        Ok(self.platform.revoke_client(&self.admin, input).await?.job)
    }

    /// The client as it is.
    pub async fn reload(&self, id: ClientId) -> Result<Client> {
        self.db.store.read().await?.client(id).await?.context("the client is stored")
    }

    /// The job as it is.
    pub async fn job(&self, id: JobId) -> Result<Job> {
        self.db.store.read().await?.job(id).await?.context("the job is stored")
    }

    /// Waits until the job has ended, and gives it.
    pub async fn finished(&self, id: JobId) -> Result<Job> {
        let ended = async || Ok(self.job(id).await.is_ok_and(|job| job.state.is_final()));
        let waited = eventually("the job has ended", ended).await;
        let job = self.job(id).await?;
        waited.with_context(|| format!("{job:?}"))?;
        Ok(job)
    }

    /// The same, for a job that must succeed.
    pub async fn succeeded(&self, id: JobId) -> Result<Job> {
        let job = self.finished(id).await?;
        ensure!(job.state == JobState::Succeeded, "{id} is {}: {:?}", job.state.as_str(), job.failure);
        Ok(job)
    }

    /// What the audit log tells of a client, oldest first.
    pub async fn actions(&self, id: ClientId) -> Result<Vec<String>> {
        let filter = AuditFilter { client_id: Some(id), ..AuditFilter::default() };
        let page = self.db.store.read().await?.audit_page(&filter, &PageRequest::first(100)).await?;
        Ok(page.items.into_iter().rev().map(|entry| entry.columns.action).collect())
    }

    /// Waits until the log tells this of a client.
    pub async fn told(&self, id: ClientId, action: &str) -> Result<()> {
        let tells = async || Ok(self.actions(id).await?.iter().any(|told| told == action));
        eventually(action, tells).await
    }

    /// Holds all sources against each other once locks that nobody gave back have expired; an error
    /// unless every invariant holds. The host may be shared.
    pub async fn check(&self, host: &Path) -> Result<Report> {
        let url = self.sandbox.redis()?.url();
        let places = Places { store: &self.db.store, host, shared_host: true, redis: &url };
        let told = self.everything().await?;
        let free = async || Ok(check(&places, &told).await?.locks.is_empty());
        eventually("no lock is left", free).await?;
        check(&places, &told).await?.clean()
    }

    /// All jobs there are, as if each had been told of: for tests whose every call was answered.
    async fn everything(&self) -> Result<Told> {
        let mut told = Told::default();
        let jobs = self.db.store.read().await?.jobs(&JobFilter::default(), &PageRequest::first(100)).await?;
        for job in jobs.items {
            let kind: JobKind = job.kind();
            told.accepted(job.id, job.client_id, kind);
        }
        Ok(told)
    }
}
