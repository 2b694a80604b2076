//! Seals: what is kept of entries that were exported and left the database.

use serde_json::Value;

use super::{Action, AuditEntry, ChainFault, Entry, Hash, Tree};

/// The first entries of the log, as they were exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The last of them.
    pub until: i64,
    /// Its hash.
    pub hash: Hash,
    /// The Merkle tree over all entries up to it.
    pub tree: Tree,
    /// The name of the file that this seal's entries were exported to, without its directory.
    pub file: String,
    /// The SHA-256 of the file.
    pub sha256: Hash,
}

impl Sealed {
    /// The entry that tells of it.
    #[must_use]
    pub fn told_in(&self, entry: Entry) -> Entry {
        self.facts().into_iter().fold(entry, |entry, (key, value)| entry.with(key, value))
    }

    fn facts(&self) -> [(&'static str, String); 5] {
        [
            ("lastEntry", self.until.to_string()),
            ("hash", hex::encode(self.hash)),
            ("root", hex::encode(self.tree.root())),
            ("file", self.file.clone()),
            ("sha256", hex::encode(self.sha256)),
        ]
    }
}

/// The record of it that the database has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// What was sealed.
    pub sealed: Sealed,
    /// The number of the entry that tells of it.
    pub told_by: i64,
}

impl Seal {
    /// The hash covers every word of the entry, so the record is as good as the log if the two agree. The
    /// root covers the tree's roots.
    fn is_told_by(&self, entry: &AuditEntry) -> bool {
        let detail = entry.detail();
        let says = |(key, value): (&str, String)| detail.get(key).and_then(Value::as_str) == Some(&*value);
        entry.columns.action == Action::AuditSealed.as_str() && self.sealed.facts().into_iter().all(says)
    }
}

/// The seals that a log has, the oldest first, to compare the entries with that come by.
#[derive(Clone, Debug)]
pub(super) struct Seals(pub(super) Vec<Seal>);

impl Seals {
    /// The entry just checked led to this tree: is that what was sealed, and what the entry tells?
    pub(super) fn compare(&self, entry: &AuditEntry, tree: &Tree) -> Result<(), ChainFault> {
        let false_one = |seal: &Seal| ChainFault::FalseSeal { until: seal.sealed.until };
        if let Some(seal) = self.0.iter().find(|seal| seal.sealed.until == entry.seq)
            && (seal.sealed.hash != entry.hash || seal.sealed.tree != *tree)
        {
            return Err(false_one(seal));
        }
        match self.0.iter().find(|seal| seal.told_by == entry.seq) {
            Some(seal) if !seal.is_told_by(entry) => Err(false_one(seal)),
            None if entry.columns.action == Action::AuditSealed.as_str() => {
                Err(ChainFault::SealLost { seq: entry.seq })
            }
            _ => Ok(()),
        }
    }

    /// At the end of the log, at this entry: does the log tell of each?
    pub(super) fn finish(&self, end: i64) -> Result<(), ChainFault> {
        match self.0.iter().find(|seal| seal.told_by > end || seal.told_by <= seal.sealed.until) {
            Some(seal) => Err(ChainFault::FalseSeal { until: seal.sealed.until }),
            None => Ok(()),
        }
    }
}
