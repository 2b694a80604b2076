//! What the checker has found, for people.

use std::{collections::BTreeMap, fmt};

use anyhow::{Result, ensure};

/// Numbers, and what must not be.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Operations that callers asked for.
    pub asked: usize,
    /// Of these, accepted.
    pub accepted: usize,
    /// Of these, refused, by code.
    pub refused: BTreeMap<String, usize>,
    /// Of these, without an answer.
    pub unanswered: usize,
    /// Jobs that succeeded, failed, were canceled.
    pub jobs: [usize; 3],
    /// Attempts at all jobs.
    pub attempts: i64,
    /// Jobs in SQL that have not ended.
    pub open: usize,
    /// Clients that are pending, active, revoked.
    pub clients: [usize; 3],
    /// Entries of the audit log.
    pub entries: i64,
    /// How often a worker that had lost its job was stopped by the fence.
    pub fenced: usize,
    /// How often a job was taken from a lost worker.
    pub requeued: usize,
    /// Live certificates on the host.
    pub certificates: usize,
    /// The most live certificates of one client.
    pub most_live: usize,
    /// Live certificates of revoked clients.
    pub revived: usize,
    /// Accepted jobs that have not ended.
    pub unended: usize,
    /// Transitions in the history that are illegal.
    pub illegal: Vec<String>,
    /// Audit entries that are missing or doubled.
    pub unlogged: Vec<String>,
    /// Locks that are left.
    pub locks: Vec<String>,
    /// Whatever else contradicts itself.
    pub wrongs: Vec<String>,
}

impl Report {
    pub(super) fn wrong(&mut self, what: impl IntoIterator<Item = String>) {
        self.wrongs.extend(what);
    }

    /// Something else that should not be.
    pub fn note(&mut self, what: Vec<String>) {
        self.wrongs.extend(what);
    }

    pub(super) fn missing(&mut self, what: String) {
        self.unlogged.push(what);
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let counts = [self.open, self.unended, self.revived, self.most_live.saturating_sub(1)];
        let lists = [&self.illegal, &self.unlogged, &self.locks, &self.wrongs];
        counts == [0; 4] && lists.iter().all(|list| list.is_empty())
    }

    /// An error with the whole report, unless nothing is wrong.
    pub fn clean(self) -> Result<Self> {
        ensure!(self.is_clean(), "the invariants do not hold:\n{self}");
        Ok(self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [succeeded, failed, canceled] = self.jobs;
        let [pending, active, revoked] = self.clients;
        let refusals: Vec<String> = self.refused.iter().map(|(code, times)| format!("{times} {code}")).collect();
        writeln!(
            f,
            "operations   asked {}, accepted {}, refused {} ({}), without an answer {}",
            self.asked,
            self.accepted,
            self.refused.values().sum::<usize>(),
            refusals.join(", "),
            self.unanswered
        )?;
        writeln!(
            f,
            "jobs         succeeded {succeeded}, failed {failed}, canceled {canceled}, not ended {}",
            self.open
        )?;
        writeln!(
            f,
            "attempts     {}, of which a lost worker's {}, stopped by the fence {}",
            self.attempts, self.requeued, self.fenced
        )?;
        writeln!(f, "clients      pending {pending}, active {active}, revoked {revoked}")?;
        writeln!(f, "audit log    {} entries, the chain is whole", self.entries)?;
        writeln!(f, "certificates {} live on the host; of one client at most {}", self.certificates, self.most_live)?;
        let verdicts = [
            ("live certificates of revoked clients", self.revived),
            ("accepted requests not ended", self.unended),
            ("illegal transitions in the history", self.illegal.len()),
            ("audit entries missing or doubled", self.unlogged.len()),
            ("locks left", self.locks.len()),
            ("other contradictions", self.wrongs.len()),
        ];
        for (what, count) in verdicts {
            writeln!(f, "{} {what}: {count}", if count == 0 { "ok  " } else { "FAIL" })?;
        }
        for line in self.illegal.iter().chain(&self.unlogged).chain(&self.locks).chain(&self.wrongs).take(40) {
            writeln!(f, "     {line}")?;
        }
        Ok(())
    }
}
