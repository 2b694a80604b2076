//! Looks at every VPN host from time to time, and notes what it says of itself: its version, when its CRL
//! ends, who is connected.
//!
//! Every worker runs one. Who looks at a host is settled by a compare-and-set in SQL, so a host is
//! looked at once in a while however many workers there are; each look is two short requests on the
//! connection that jobs use. Hosts are looked at side by side: one that is slow delays no other. Nothing is
//! decided by what was seen here: it is shown, and warns. One thing is done: a CRL that ends soon is renewed.
//! [`DriftWatcher`] compares them with the database in the same way, and much less often.

mod drift;
mod renewal;
mod rounds;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    clock::Timestamp,
    domain::{Contact, CrlRenewal, HostFacts, JobFailure, Server, Warning, WarningCode},
    host::{HostError, HostErrorKind, Hosts},
    store::{Looked, Store, StoreError},
};

pub use drift::DriftWatcher;
use renewal::Renewal;
pub use renewal::{RenewalPolicy, Renewer};
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
    /// Renews CRLs; `None`: that is switched off.
    pub renewer: Option<Renewer>,
}

impl Watcher {
    /// Looks until it is told to stop. A look that is under way is given up, and made when it is due again.
    pub async fn run(self, stop: CancellationToken) {
        go_round(self, stop).await;
    }

    /// Looks at one host, unless somebody else just has.
    async fn try_look(&self, server: &Server) -> Result<(), StoreError> {
        let Some((begun, before)) = self.claim(server).await? else { return Ok(()) };
        let looked = self.ask(server, begun).await;
        if let Some(failure) = &looked.failure {
            tracing::warn!(server = %server.name, error.code = failure.code, "a VPN host: {}", failure.message);
        }
        let mut tx = self.store.begin().await?;
        if !tx.is_in_use(server.id).await? {
            return Ok(());
        }
        tx.note_look(server.id, begun, &looked).await?;
        let after = tx.contact(server.id).await?;
        tx.commit_bookkeeping().await?;
        self.warn(server, before.as_ref(), after.as_ref()).await
    }

    /// When the look begins, and what was known before; `None` when somebody else looks.
    async fn claim(&self, server: &Server) -> Result<Option<(Timestamp, Option<Contact>)>, StoreError> {
        let mut tx = self.store.begin().await?;
        let begun = tx.at();
        if !tx.claim_look(server.id, self.policy.every).await? {
            return Ok(None);
        }
        let before = tx.contact(server.id).await?;
        tx.commit_bookkeeping().await?;
        Ok(Some((begun, before)))
    }

    /// Logs what there is to warn of and was not at the look before: once, whoever looked then.
    async fn warn(&self, server: &Server, before: Option<&Contact>, after: Option<&Contact>) -> Result<(), StoreError> {
        let Some(now) = after.map(|contact| contact.looked_at) else { return Ok(()) };
        let then = before.map_or(server.created_at, |contact| contact.looked_at);
        let clients = self.store.read().await?.clients_ending_since(server.id, then, now).await?;
        let told: Vec<WarningCode> =
            Warning::about(server, before, None, then).into_iter().map(|warning| warning.code).collect();
        for warning in Warning::about(server, after, clients, now) {
            // That it did not answer, or a renewal failed, is said where that happens, with the reason.
            let is_said = matches!(warning.code, WarningCode::HostSilent | WarningCode::CrlRenewalFailed);
            if !is_said && !told.contains(&warning.code) {
                tracing::warn!(server = %server.name, "{}", warning.message);
            }
        }
        Ok(())
    }

    async fn ask(&self, server: &Server, now: Timestamp) -> Looked {
        let off = self.renewer.is_none().then_some(CrlRenewal::Off);
        let facts = match self.hosts.hello(server).await {
            Ok(facts) => facts,
            Err(error) => return Looked { renewal: off, ..unanswered(&error) },
        };
        let (facts, renewal) = self.keep_alive(server, facts, now).await;
        match self.hosts.sessions(server).await {
            Ok(sessions) => Looked { facts: Some(facts), sessions: Some(sessions), renewal, ..Looked::default() },
            Err(error) => Looked { facts: Some(facts), renewal, ..unanswered(&error) },
        }
    }

    /// Renews the host's CRL if it ends soon. Gives what the host says of itself then, and what is to be noted
    /// about renewals; an attempt has noted that itself.
    async fn keep_alive(&self, server: &Server, facts: HostFacts, now: Timestamp) -> (HostFacts, Option<CrlRenewal>) {
        let Some(renewer) = &self.renewer else { return (facts, Some(CrlRenewal::Off)) };
        if !renewal::is_due(server, &facts, now) {
            return (facts, Some(CrlRenewal::On));
        }
        let renewal = Renewal { renewer, store: &self.store, hosts: &self.hosts, server, facts: &facts };
        match renewal.run().await {
            Ok(new) => (new.unwrap_or(facts), None),
            Err(error) => {
                tracing::warn!(server = %server.name, error.code = error.code(), "a CRL that ends soon was not renewed, or that is not on record: {error}");
                (facts, None)
            }
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
