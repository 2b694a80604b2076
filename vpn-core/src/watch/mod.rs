//! Looks at every VPN host from time to time, and notes what it says of itself: its version, when its CRL
//! ends, who is connected.
//!
//! Every worker runs one. Who looks at a host is settled by a compare-and-set in SQL, so a host is
//! looked at once in a while however many workers there are; each look is two short requests on the
//! connection that jobs use. Hosts are looked at side by side: one that is slow delays no other. Nothing is
//! decided by what was seen here: it is shown, and warns. [`DriftWatcher`] compares them with the database in the same way,
//! and much less often.

mod drift;
mod rounds;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    clock::Timestamp,
    domain::{JobFailure, Server},
    host::{HostError, HostErrorKind, Hosts},
    store::{Looked, Store, StoreError},
};

pub use drift::DriftWatcher;
use rounds::{Rounds, go_round};

/// How often the hosts are looked at.
#[derive(Clone, Copy, Debug)]
pub struct WatchPolicy {
    /// Between two looks at one host.
    pub every: Duration,
}

impl Default for WatchPolicy {
    fn default() -> Self {
        Self { every: Duration::from_mins(1) }
    }
}

/// Looks at the hosts.
#[derive(Clone)]
pub struct Watcher {
    /// Where what was seen is noted.
    pub store: Store,
    /// The VPN hosts.
    pub hosts: Hosts,
    /// How often.
    pub policy: WatchPolicy,
}

impl Watcher {
    /// Looks until it is told to stop. A look that is under way is given up: another worker makes it.
    pub async fn run(self, stop: CancellationToken) {
        go_round(self, stop).await;
    }

    /// Looks at one host, unless somebody else just has.
    async fn try_look(&self, server: &Server) -> Result<(), StoreError> {
        let Some(begun) = self.claim(server).await? else { return Ok(()) };
        let looked = self.ask(server).await;
        if let Some(failure) = &looked.failure {
            tracing::warn!(server = %server.name, error.code = failure.code, "a VPN host: {}", failure.message);
        }
        let mut tx = self.store.begin().await?;
        tx.note_look(server.id, begun, &looked).await?;
        tx.commit_bookkeeping().await
    }

    async fn claim(&self, server: &Server) -> Result<Option<Timestamp>, StoreError> {
        let mut tx = self.store.begin().await?;
        let begun = tx.at();
        if !tx.claim_look(server.id, self.policy.every).await? {
            return Ok(None);
        }
        tx.commit_bookkeeping().await?;
        Ok(Some(begun))
    }

    async fn ask(&self, server: &Server) -> Looked {
        let facts = match self.hosts.hello(server).await {
            Ok(facts) => facts,
            Err(error) => return unanswered(&error),
        };
        match self.hosts.sessions(server).await {
            Ok(sessions) => Looked { facts: Some(facts), sessions: Some(sessions), ..Looked::default() },
            Err(error) => Looked { facts: Some(facts), ..unanswered(&error) },
        }
    }
}

impl Rounds for Watcher {
    const AT_ONCE: usize = 16;

    fn every(&self) -> Duration {
        self.policy.every
    }

    async fn due(&self) -> Vec<Server> {
        let due = async { self.store.read().await?.servers_to_look_at(self.policy.every).await };
        due.await.unwrap_or_else(|error| {
            tracing::debug!(error.code = error.code(), "no host is looked at: the database is away");
            Vec::new()
        })
    }

    async fn see_to(self, server: Server) {
        if let Err(error) = self.try_look(&server).await {
            tracing::debug!(server = %server.name, error.code = error.code(), "what was seen of a host is not noted");
        }
    }
}

fn unanswered(error: &HostError) -> Looked {
    let presented_key = match error.kind() {
        HostErrorKind::HostKeyMismatch { key, .. } | HostErrorKind::HostKeyUnknown { key, .. } => key.clone(),
        _ => None,
    };
    let failure = JobFailure { code: error.kind().code().to_owned(), message: error.to_string() };
    Looked { failure: Some(failure), presented_key, ..Looked::default() }
}
