//! Clients.

use async_graphql::{Context, Error, ID, Object, SimpleObject};
use vpn_core::domain::{Client, ClientState};

use super::{AuditEntryConnection, ClientStatus, DateTime, Job, JobConnection, VpnServer};
use crate::{
    error::bug,
    schema::{
        Nullable, Scope,
        cursor::{AuditId, Part, cost},
        loaders::{AuditOf, CurrentJobOf, JobsOf},
    },
};

pub(crate) struct VpnClient(pub(crate) Client);

impl From<Client> for VpnClient {
    fn from(client: Client) -> Self {
        Self(client)
    }
}

/// A certificate that was issued for a client.
#[derive(SimpleObject)]
pub(crate) struct Certificate {
    /// Its serial number: 32 hexadecimal digits.
    serial: String,
    /// SHA-256 of its DER encoding: 64 hexadecimal digits.
    sha256_fingerprint: String,
    /// Valid from.
    not_before: DateTime,
    /// Valid until.
    not_after: DateTime,
}

/// A device or person that may connect to the VPN.
#[Object]
impl VpnClient {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// The certificate's common name; unique on its server among clients that are not revoked.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Where it belongs.
    async fn server(&self, ctx: &Context<'_>) -> Result<VpnServer, Error> {
        Scope::find(ctx, self.0.server_id).await.unwrap_or_else(|| Err(bug("a client without its server")))
    }

    /// Where it is in its life.
    async fn status(&self) -> ClientStatus {
        self.0.status().into()
    }

    /// The job that is at work on it now; null when none is.
    async fn current_job(&self, ctx: &Context<'_>) -> Nullable<Job> {
        // No job is left, and none begins, once a client is revoked.
        if matches!(self.0.state, ClientState::Revoked { .. }) {
            return None;
        }
        Scope::find(ctx, CurrentJobOf(self.0.id)).await
    }

    /// Its certificate, the only one in its life; null before one is issued.
    async fn certificate(&self) -> Option<Certificate> {
        self.0.certificate().map(|certificate| Certificate {
            serial: self.0.serial.to_string(),
            sha256_fingerprint: certificate.sha256_fingerprint.clone(),
            not_before: certificate.not_before.into(),
            not_after: certificate.not_after.into(),
        })
    }

    /// Who recorded it.
    async fn created_by(&self) -> &str {
        &self.0.created_by
    }

    /// When it was recorded.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Since when it may connect; null when it never could.
    async fn activated_at(&self) -> Option<DateTime> {
        self.0.activated_at().map(DateTime)
    }

    /// When its end was asked for. From this instant nothing can activate it any more.
    async fn revoke_requested_at(&self) -> Option<DateTime> {
        self.0.revocation.as_ref().map(|request| request.at.into())
    }

    /// Why its end was asked for.
    async fn revoke_reason(&self) -> Option<&str> {
        self.0.revocation.as_ref().map(|request| request.reason.as_str())
    }

    /// When its access was taken away on the VPN host.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at().map(DateTime)
    }

    /// Its jobs, newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<JobConnection, Error> {
        let page = Part { first, after, last, before }.page()?;
        let jobs = Scope::page(ctx, JobsOf(self.0.id, page)).await?;
        Ok(JobConnection::new(jobs, |job| job.id))
    }

    /// What the audit log has about it, newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<AuditEntryConnection, Error> {
        let page = Part { first, after, last, before }.audit_page()?;
        let entries = Scope::page(ctx, AuditOf(self.0.id, page)).await?;
        Ok(AuditEntryConnection::new(entries, |entry| AuditId(entry.seq)))
    }
}
