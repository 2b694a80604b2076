//! Compares every VPN host with the database from time to time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    WatchPolicy,
    rounds::{Rounds, go_round},
};
use crate::{
    domain::Server,
    drift::{InspectError, Inspector},
};

/// Compares the hosts.
#[derive(Clone)]
pub struct DriftWatcher {
    /// Compares one.
    pub inspector: Inspector,
    /// How often.
    pub policy: WatchPolicy,
}

impl DriftWatcher {
    /// How often when nothing else is said: it reads all that a host knows.
    pub const EVERY: Duration = Duration::from_hours(1);

    /// Compares until it is told to stop. A comparison that is under way is given up, and made when it is due again.
    pub async fn run(self, stop: CancellationToken) {
        go_round(self, stop).await;
    }

    async fn try_compare(&self, server: &Server) -> Result<(), InspectError> {
        let mut tx = self.inspector.store.begin().await?;
        if !tx.claim_comparison(server.id, self.policy.every).await? {
            return Ok(());
        }
        tx.commit_bookkeeping().await?;
        let report = self.inspector.inspect(server).await?;
        if report.total > 0 {
            tracing::warn!(server = %server.name, drift.total = report.total, "a VPN host and the database differ");
        }
        Ok(())
    }
}

impl Rounds for DriftWatcher {
    const AT_ONCE: usize = 4;

    fn every(&self) -> Duration {
        self.policy.every
    }

    async fn due(&self) -> Vec<Server> {
        let due = async { self.inspector.store.read().await?.servers_to_compare(self.policy.every).await };
        due.await.unwrap_or_else(|error| {
            tracing::debug!(error.code = error.code(), "no host is compared: the database is away");
            Vec::new()
        })
    }

    async fn see_to(self, server: Server) {
        if let Err(error) = self.try_compare(&server).await {
            tracing::warn!(server = %server.name, %error, "a VPN host was not compared with the database");
        }
    }
}
