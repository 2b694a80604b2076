//! Renews the CRL of a host before it ends: the platform's one maintenance job. OpenVPN refuses everybody once
//! the list has ended, and nobody has to ask for what changes nobody's access: the new list has the serials of
//! the old one. The host renews it every day by itself; this is for when it does not.

use std::{sync::OnceLock, time::Duration};

use serde_json::{Value, json};

use crate::{
    audit::{Action, Entry},
    clock::Timestamp,
    domain::{CrlRenewal, Expiry, Fence, HostFacts, JobFailure, Server, ServerState, Stage},
    events::Events,
    host::{Evidence, HostError, HostErrorKind, Hosts, NewCrl},
    lock::{Lease, LockError, Locks},
    store::{Store, StoreError},
};

/// When CRLs are renewed. (From when on, [`Perishable::notice`](crate::domain::Perishable::notice) says.)
#[derive(Clone, Copy, Debug)]
pub struct RenewalPolicy {
    /// Between two attempts on one host.
    pub again: Duration,
}

impl Default for RenewalPolicy {
    fn default() -> Self {
        Self { again: Duration::from_mins(15) }
    }
}

/// Renews CRLs, as `system:crl`.
#[derive(Clone)]
pub struct Renewer {
    /// So that one worker at a time is at a host's list.
    pub locks: Locks,
    /// Announces what is on record.
    pub events: Events,
    /// When.
    pub policy: RenewalPolicy,
    /// What an attempt needs of its lease before it begins.
    pub needed: Duration,
}

/// One host whose list is to be renewed.
pub(super) struct Renewal<'a> {
    pub(super) renewer: &'a Renewer,
    pub(super) store: &'a Store,
    pub(super) hosts: &'a Hosts,
    pub(super) server: &'a Server,
    /// What the host has just said.
    pub(super) facts: &'a HostFacts,
}

/// Whether the list of this host is to be renewed now. A disabled server lets those in whom it knows, so its
/// list is kept alive as well. A host whose clock is behind makes no good one: once the clock is right, the list
/// that it has is.
pub(super) fn is_due(server: &Server, facts: &HostFacts, now: Timestamp) -> bool {
    let crl = facts.crl();
    matches!(server.state, ServerState::Active | ServerState::Disabled)
        && crl.stage(now) != Stage::Fresh
        && !crl.is_by_a_late_clock(now)
}

impl Renewal<'_> {
    /// Renews the list, unless another worker is at it or has just tried. Gives what the host says of itself
    /// then.
    pub(super) async fn run(self) -> Result<Option<HostFacts>, StoreError> {
        let floor = self.store.read().await?.renewal_fence(self.server.id).await?;
        let resource = Server::resource(self.server.id);
        let begun = OnceLock::new();
        let held = self.renewer.locks.with(&resource, floor, async |lease| self.attempt(&lease, &begun).await).await;
        let made = match held {
            Ok(made) => made?,
            Err(LockError::Held(_)) => None,
            Err(lost @ LockError::Lost) => Some(Err(lock_lost(&lost))),
            Err(error) => {
                tracing::warn!(server = %self.server.name, "a CRL that ends soon is not renewed: {error}");
                None
            }
        };
        // An attempt has an outcome on record even when its lock is gone: the database looks at its token.
        match (begun.get(), made) {
            (Some(fence), Some(made)) => self.end(fence, made.and_then(|made| self.believed(made))).await,
            _ => Ok(None),
        }
    }

    /// `None` when somebody else has just tried.
    async fn attempt(&self, lease: &Lease, begun: &OnceLock<Fence>) -> Result<Option<Made>, StoreError> {
        if !self.begin(begun.get_or_init(|| lease.fence().clone())).await? {
            return Ok(None);
        }
        Ok(Some(match lease.ensure(self.renewer.needed) {
            Ok(fence) => self.hosts.renew_crl(self.server, fence).await.map_err(Failed::from),
            Err(lost) => Err(lock_lost(&lost)),
        }))
    }

    /// What the host has now, if it is newer than what it had, and lasts.
    fn believed(&self, crl: NewCrl) -> Result<(NewCrl, HostFacts), Failed> {
        let facts = HostFacts {
            crl_number: crl.number,
            crl_this_update: crl.this_update,
            crl_next_update: crl.next_update,
            ..self.facts.clone()
        };
        let Expiry { made_at, ends_at, .. } = facts.crl();
        if crl.number > self.facts.crl_number && made_at.is_some_and(|at| facts.crl().stage(at) == Stage::Fresh) {
            return Ok((crl, facts));
        }
        let what = format!("the CRL that it calls new has the number {} and ends at {ends_at}", crl.number);
        Err(Failed::from(HostError::new(self.server, HostErrorKind::Unintelligible(what), Some(crl.evidence))))
    }

    /// Takes the attempt on itself, on record before anything is done. `false` when somebody else has, a
    /// moment ago.
    async fn begin(&self, fence: &Fence) -> Result<bool, StoreError> {
        let mut tx = self.store.begin().await?;
        if !tx.begin_renewal(self.server.id, fence, self.renewer.policy.again).await? {
            return Ok(false);
        }
        tx.commit(self.entry(Action::CrlRenewalStarted), []).await?;
        self.renewer.events.announce();
        Ok(true)
    }

    async fn end(
        &self,
        fence: &Fence,
        made: Result<(NewCrl, HostFacts), Failed>,
    ) -> Result<Option<HostFacts>, StoreError> {
        match made {
            Ok((crl, facts)) => {
                let entry =
                    self.entry(Action::CrlRenewed).with("after", told(&facts)).with("run", crl.evidence.to_json());
                self.note(fence, &CrlRenewal::On, &facts, entry).await?;
                tracing::info!(server = %self.server.name, "the CRL was renewed: it ends at {}", facts.crl().ends_at);
                Ok(Some(facts))
            }
            Err(Failed { failure, evidence }) => {
                let mut entry = self.entry(Action::CrlRenewalFailed).failed(&failure);
                if let Some(evidence) = evidence {
                    entry = entry.with("run", evidence.to_json());
                }
                tracing::warn!(server = %self.server.name, error.code = failure.code, "the CRL was not renewed, or is not known to be: {}", failure.message);
                self.note(fence, &CrlRenewal::Failed(failure), self.facts, entry).await?;
                Ok(None)
            }
        }
    }

    async fn note(
        &self,
        fence: &Fence,
        outcome: &CrlRenewal,
        facts: &HostFacts,
        entry: Entry,
    ) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        tx.end_renewal(self.server.id, fence, outcome, facts).await?;
        tx.commit(entry.with("fence", fence.token().to_string()), []).await?;
        self.renewer.events.announce();
        Ok(())
    }

    fn entry(&self, action: Action) -> Entry {
        Entry::by_system("crl", action).server(self.server.id).with("before", told(self.facts))
    }
}

/// What came of asking the host.
type Made = Result<NewCrl, Failed>;

/// Why a list was not renewed, or is not known to be.
struct Failed {
    failure: JobFailure,
    evidence: Option<Box<Evidence>>,
}

impl From<HostError> for Failed {
    fn from(error: HostError) -> Self {
        Self {
            failure: failure(error.kind().code(), &error.to_string()),
            evidence: error.evidence().cloned().map(Box::new),
        }
    }
}

fn lock_lost(why: &impl std::fmt::Display) -> Failed {
    Failed { failure: failure("LOCK_LOST", &why.to_string()), evidence: None }
}

fn failure(code: &str, message: &str) -> JobFailure {
    JobFailure { code: code.to_owned(), message: message.to_owned() }
}

/// A list, as the audit log has it.
fn told(facts: &HostFacts) -> Value {
    json!({ "crlNumber": facts.crl_number.to_string(), "crlNextUpdate": facts.crl().ends_at.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Ambient,
        domain::{ServerAddress, ServerId},
    };

    #[test]
    fn a_list_is_due_near_its_end_and_not_by_a_late_clock() {
        let server = Server {
            id: ServerId::generate(&Ambient::system()),
            name: "vpn1".parse().expect("a name"),
            address: ServerAddress::new("vpn.example.org", 22, "vpn-host").expect("an address"),
            host_key: None,
            state: ServerState::Active,
            created_by: "ada".to_owned(),
            created_at: Timestamp::from_seconds(0),
        };
        let day = 86_400;
        let due = |begins: i64, ends: i64| {
            let facts = HostFacts { crl_number: begins.unsigned_abs(), crl_next_update: ends, ..HostFacts::default() };
            is_due(&server, &facts, Timestamp::from_seconds(40 * day))
        };
        assert!(!due(39 * day, 69 * day) && due(11 * day, 41 * day) && due(9 * day, 39 * day));
        assert!(due(41 * day, 0), "it was made by a clock that was ahead");
        assert!(!due(39 * day, 0), "the clock is behind now: a new list would begin, and end, too early");
    }
}
