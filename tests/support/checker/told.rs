//! What callers were told, to be held against what is.

use std::collections::{BTreeMap, BTreeSet};

use vpn_core::domain::{ClientId, ClientStatus, JobId, JobKind};

/// The answers that callers got.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Operations that callers asked for, each once however often it was repeated.
    pub asked: usize,
    /// Clients that were recorded.
    pub clients: BTreeSet<ClientId>,
    /// Jobs that were accepted.
    pub jobs: BTreeMap<JobId, (ClientId, JobKind)>,
    /// Operations that were refused, by the code of the refusal.
    pub refused: BTreeMap<String, usize>,
    /// Operations that never got an answer: they may have been accepted or not.
    pub unanswered: usize,
    /// Profiles that were handed out.
    pub delivered: BTreeMap<ClientId, usize>,
    /// The last status that was seen of a client.
    pub seen: BTreeMap<ClientId, ClientStatus>,
    /// Answers that contradict each other.
    pub contradictions: Vec<String>,
}

impl Told {
    /// A job was accepted.
    pub fn accepted(&mut self, job: JobId, client: ClientId, kind: JobKind) {
        self.asked += 1;
        if let Some(before) = self.jobs.insert(job, (client, kind))
            && before != (client, kind)
        {
            self.contradictions.push(format!("{job} was told of as {before:?} and as {:?}", (client, kind)));
        }
    }

    /// A client was seen. It never goes back in its life.
    pub fn saw(&mut self, client: ClientId, status: ClientStatus) {
        let rank = |status| match status {
            ClientStatus::Pending => 0,
            ClientStatus::Active => 1,
            ClientStatus::Revoked => 2,
        };
        let before = self.seen.insert(client, status);
        if let Some(before) = before.filter(|before| rank(*before) > rank(status)) {
            self.contradictions.push(format!("{client} was seen {} and then {}", before.as_str(), status.as_str()));
        }
    }

    /// How many operations were accepted.
    #[must_use]
    pub fn accepted_count(&self) -> usize {
        self.asked - self.refused.values().sum::<usize>() - self.unanswered
    }

    /// Takes in what another caller was told.
    pub fn merge(&mut self, other: Self) {
        self.asked += other.asked;
        self.unanswered += other.unanswered;
        self.clients.extend(other.clients);
        self.jobs.extend(other.jobs);
        for (code, times) in other.refused {
            *self.refused.entry(code).or_default() += times;
        }
        for (client, times) in other.delivered {
            *self.delivered.entry(client).or_default() += times;
        }
        self.seen.extend(other.seen);
        self.contradictions.extend(other.contradictions);
    }
}
