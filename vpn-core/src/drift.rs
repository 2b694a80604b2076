//! Compares VPN hosts with the database, and notes where they differ.
//!
//! Workers do it once an hour, whoever is first; a person does it at once with `vpn-worker drift`. It changes nothing
//! on the host and no client: what is to be done about a difference, it says with it. See
//! [`Comparison`] for what is compared.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    domain::{Caller, ClientId, Comparison, Drift, DriftReport, JobFailure, Permission, Server, ServerId},
    error::Error,
    host::{HostError, Hosts},
    service::Platform,
    store::{ClientFilter, PageRequest, Store, StoreError},
};

/// Why a server could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The database.
    #[error("the database failed: {0}")]
    Store(#[from] StoreError),
    /// The platform refused.
    #[error(transparent)]
    Refused(#[from] Error),
}

/// Compares.
#[derive(Clone)]
pub struct Inspector {
    /// The truth, and where it is noted.
    pub store: Store,
    /// The VPN hosts.
    pub hosts: Hosts,
}

impl Inspector {
    /// Compares the server with this name, on behalf of this caller.
    pub async fn inspect_named(
        &self,
        platform: &Platform,
        caller: &Caller,
        name: &str,
    ) -> Result<(Server, Drift), InspectError> {
        let server = platform.server_named(caller, Permission::ReadDrift, name).await?;
        server.is_in_use().map_err(Error::wrong_state)?;
        let mut tx = self.store.begin().await?;
        // Nobody else has to, for a while.
        tx.claim_comparison(server.id, Duration::ZERO).await?;
        tx.commit_bookkeeping().await?;
        self.inspect(&server).await?;
        let noted = self.store.read().await?.drifts(&[server.id]).await?.pop();
        let (_, drift) = noted.ok_or_else(|| Error::not_found("server", "comparison"))?;
        Ok((server, drift))
    }

    /// Compares, and notes what came of it: a failure, too. Somebody has to have claimed it.
    pub async fn inspect(&self, server: &Server) -> Result<DriftReport, InspectError> {
        let begun = self.store.begin().await?.at();
        let came = self.compare(server, begun).await;
        let noted = match &came {
            Ok(report) => Ok(report.clone()),
            Err(InspectError::Host(error)) => {
                Err(JobFailure { code: error.kind().code().to_owned(), message: error.to_string() })
            }
            Err(_) => return came,
        };
        let mut tx = self.store.begin().await?;
        if tx.is_in_use(server.id).await? {
            tx.note_comparison(server.id, begun, &noted).await?;
            tx.commit_bookkeeping().await?;
        }
        came
    }

    /// The host is asked first: what happens meanwhile is then newer in the database.
    async fn compare(&self, server: &Server, begun: Timestamp) -> Result<DriftReport, InspectError> {
        let mut comparison = Comparison::of(self.hosts.view(server).await?, begun);
        let mut page = PageRequest::first(PageRequest::<ClientId>::MAX);
        while self.compare_page(&mut comparison, server.id, &mut page).await? {}
        let mut reader = self.store.read().await?;
        let holders = reader.holders(&comparison.unclaimed()).await?;
        let elsewhere = reader.elsewhere(server.id, holders).await?;
        comparison.elsewhere(&elsewhere);
        let confirmed = reader.drifts(&[server.id]).await?.pop().and_then(|(_, it)| it.confirmed);
        Ok(comparison.end(confirmed.as_deref()))
    }

    /// Whether there is another page.
    async fn compare_page(
        &self,
        comparison: &mut Comparison,
        server: ServerId,
        page: &mut PageRequest<ClientId>,
    ) -> Result<bool, StoreError> {
        let mut reader = self.store.read().await?;
        let filter = ClientFilter { server_id: Some(server), ..ClientFilter::default() };
        let listed = reader.clients(&filter, page).await?;
        let ids: Vec<ClientId> = listed.items.iter().map(|client| client.id).collect();
        // First the jobs, then what they have changed: a job that ends in between is no difference.
        let open = reader.open_jobs(&ids).await?;
        for client in &reader.clients_by_id(&ids).await? {
            comparison.client(client, open.iter().any(|job| job.client_id == client.id));
        }
        page.after = ids.last().copied();
        Ok(listed.has_next)
    }
}
