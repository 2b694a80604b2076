//! Where VPN hosts and the platform differ.
#![expect(clippy::unused_async, reason = "async-graphql wants every resolver async")]

use async_graphql::{Context, Error, Object};
use vpn_core::domain::{Difference, Drift, ServerName};

use super::{DateTime, VpnClient, enums::DriftKind, job::JobError};
use crate::schema::{
    Nullable, Scope,
    cursor::{cost, size},
};

/// How many differences are given when `first` does not say so.
const DIFFERENCES: i32 = 100;

pub(crate) struct ServerDrift {
    server: ServerName,
    drift: Drift,
}

impl ServerDrift {
    pub(super) const fn of(server: ServerName, drift: Drift) -> Self {
        Self { server, drift }
    }
}

/// Where a VPN host and the platform differed when a worker last compared them, which is about once an hour:
/// clients, certificates, the CRL in force, sessions, and OpenVPN's configuration. An observation: no decision goes
/// by it.
#[Object]
impl ServerDrift {
    /// When they were last compared; null when they never could be.
    async fn checked_at(&self) -> Option<DateTime> {
        self.drift.checked_at.map(DateTime)
    }

    /// Why they could not be compared when that was last tried; null when they could.
    async fn error(&self) -> Option<JobError> {
        self.drift.failure.clone().map(JobError::from)
    }

    /// How many differences there are; null when they never could be compared, and of a retired server.
    async fn total(&self) -> Option<i32> {
        self.drift.report.as_ref().map(|report| i32::try_from(report.total).unwrap_or(i32::MAX))
    }

    /// The differences, the worst first: the first 100, or `first` of them, which is at most 100.
    #[graphql(complexity = "cost(Some(first.unwrap_or(DIFFERENCES)), None, child_complexity)")]
    async fn differences(&self, first: Option<i32>) -> Result<Vec<ServerDifference>, Error> {
        let first = usize::try_from(size("first", first.unwrap_or(DIFFERENCES))?).unwrap_or(usize::MAX);
        let all = self.drift.report.iter().flat_map(|report| &report.differences);
        let shown = all.take(first).cloned();
        Ok(shown.map(|difference| ServerDifference { server: self.server.clone(), difference }).collect())
    }

    /// SHA-256 of OpenVPN's configuration as it was found: 64 hexadecimal digits, or `missing`; null when they never
    /// could be compared, and of a retired server.
    async fn configuration(&self) -> Option<&str> {
        self.drift.report.as_ref().map(|report| report.configuration.as_str())
    }

    /// SHA-256 of the configuration that somebody has confirmed, or that was seen first; null before that.
    async fn confirmed_configuration(&self) -> Option<&str> {
        self.drift.confirmed.as_deref()
    }
}

pub(crate) struct ServerDifference {
    server: ServerName,
    difference: Difference,
}

/// Something on which a VPN host and the platform differ.
#[Object]
impl ServerDifference {
    /// What kind of difference it is.
    async fn kind(&self) -> DriftKind {
        self.difference.kind().into()
    }

    /// What it is about, for people: a common name, a serial, or a part of the host.
    async fn subject(&self) -> String {
        self.difference.subject()
    }

    /// The serial of the certificate that it is about: 32 hexadecimal digits; null where none is known.
    async fn serial(&self) -> Option<&str> {
        self.difference.certificate().map(|of| of.serial.as_str())
    }

    /// The client that it is about; null where there is none.
    async fn client(&self, ctx: &Context<'_>) -> Nullable<VpnClient> {
        let id = self.difference.certificate().and_then(|of| of.client_id)?;
        Scope::find(ctx, id).await
    }

    /// What differs, in a sentence.
    async fn message(&self) -> String {
        self.difference.message()
    }

    /// What puts it right.
    async fn cure(&self) -> String {
        self.difference.cure(&self.server)
    }
}
