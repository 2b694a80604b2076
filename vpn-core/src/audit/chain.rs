//! The hash chain, and the check of it.

use sha2::{Digest as _, Sha256};

use super::{AuditEntry, Checkpoint, Tree};

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// The hash before the first entry.
pub const GENESIS: Hash = [0; 32];

/// The hash of the entry `seq`, which follows the entry with the hash `previous`.
///
/// The leading zero byte is RFC 6962's mark of a leaf.
#[must_use]
pub fn leaf_hash(seq: i64, previous: &Hash, canonical: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(seq.to_be_bytes())
        .chain_update(previous)
        .chain_update(canonical)
        .finalize()
        .into()
}

/// How far from its place an entry that was moved is looked for.
const REACH: i64 = 4096;

/// What is wrong with the log, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// An entry is missing, or there is one too many.
    #[error("entry {expected} is missing: {found} stands in its place")]
    Gap {
        /// The number that had to come.
        expected: i64,
        /// The number that came.
        found: i64,
    },
    /// The entry does not follow the one before it.
    #[error("entry {seq} does not continue entry {}: one of the two was changed", seq - 1)]
    Unlinked {
        /// Which.
        seq: i64,
    },
    /// The entry's bytes do not have its hash.
    #[error("entry {seq} was changed: its content does not have its hash")]
    Altered {
        /// Which.
        seq: i64,
    },
    /// The entry was written, but not here.
    #[error(
        "in the place of entry {seq} stands what was written as entry {was}: entries were swapped, moved or removed"
    )]
    Moved {
        /// Where it stands.
        seq: i64,
        /// Where it belongs.
        was: i64,
    },
    /// The entry tells of another log.
    #[error("entry {seq} belongs to another log")]
    Foreign {
        /// Which.
        seq: i64,
    },
    /// The chain is whole, but it is not the one that was signed.
    #[error(
        "the log was rewritten: its first {to} entries are not those that the checkpoint was signed for{}",
        if *.from > 1 { format!("; the first {} still are, so what was changed begins behind them", .from - 1) } else { String::new() }
    )]
    Rewritten {
        /// The first entry that may have been changed: behind the newest checkpoint that fits.
        from: u64,
        /// How many entries were signed for.
        to: u64,
    },
    /// Entries that were signed for are gone.
    #[error("the log ends at entry {found}, but a checkpoint was signed for {signed} entries: its tail was cut")]
    Truncated {
        /// How many there were.
        signed: u64,
        /// How many there are.
        found: u64,
    },
    /// The checkpoint is one of another log.
    #[error("the checkpoint is one of the log {theirs}, this is {ours}")]
    OtherLog {
        /// Of the checkpoint.
        theirs: String,
        /// Of the log that was read.
        ours: String,
    },
    /// A column that is kept for searching does not say what the entry says.
    #[error("entry {seq}: the column `{column}` does not say what the entry says")]
    Mislabelled {
        /// Which.
        seq: i64,
        /// The column.
        column: &'static str,
    },
    /// The end of the log is not where the head says.
    #[error("the log ends at entry {found}, the head says {expected}: the tail was cut or the head was changed")]
    Cut {
        /// What the head says.
        expected: i64,
        /// Where the log ends.
        found: i64,
    },
}

/// The whole log was checked and holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many entries there are.
    pub entries: i64,
    /// The hash of the last; [`GENESIS`] for an empty log.
    pub head: Hash,
    /// Which log it is; empty for an empty log.
    pub origin: String,
    /// The root of the Merkle tree over all entries.
    pub root: Hash,
    /// How many checkpoints it was compared with.
    pub checkpoints: usize,
}

impl Verified {
    /// What there is to sign.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size: self.entries.unsigned_abs(), root: self.root }
    }
}

/// Checks entries as they come, in constant memory, and compares with checkpoints on the way.
#[derive(Clone, Debug)]
pub struct Verifier {
    seq: i64,
    head: Hash,
    origin: Option<String>,
    tree: Tree,
    /// Those that lie ahead, the nearest last.
    ahead: Vec<Checkpoint>,
    /// How many were met, and the size of the last.
    met: usize,
    agreed: u64,
}

impl Default for Verifier {
    fn default() -> Self {
        Self::from(0, GENESIS, Tree::default())
    }
}

impl Verifier {
    /// Begins behind the entry `seq` with the hash `head`, the last of those in `tree`.
    #[must_use]
    pub const fn from(seq: i64, head: Hash, tree: Tree) -> Self {
        Self { seq, head, origin: None, tree, ahead: Vec::new(), met: 0, agreed: 0 }
    }

    /// Of this log, and no other.
    #[must_use]
    pub fn of_log(mut self, origin: String) -> Self {
        self.origin = Some(origin);
        self
    }

    /// The log has to agree with these, too.
    pub fn expect(&mut self, checkpoints: impl IntoIterator<Item = Checkpoint>) -> Result<(), ChainFault> {
        self.ahead.extend(checkpoints);
        self.ahead.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.size));
        self.compare()
    }

    /// Takes the next entry.
    pub fn take(&mut self, entry: &AuditEntry) -> Result<(), ChainFault> {
        let expected = self.seq + 1;
        if entry.seq != expected {
            return Err(ChainFault::Gap { expected, found: entry.seq });
        }
        let seq = entry.seq;
        let is_hash = |seq: &i64| leaf_hash(*seq, &entry.previous_hash, &entry.canonical) == entry.hash;
        let whole = is_hash(&seq);
        if !whole && let Some(was) = (seq - REACH..=seq + REACH).find(is_hash) {
            return Err(ChainFault::Moved { seq, was });
        }
        if entry.previous_hash != self.head {
            return Err(ChainFault::Unlinked { seq });
        }
        if !whole {
            return Err(ChainFault::Altered { seq });
        }
        let origin = entry.origin().map_err(|column| ChainFault::Mislabelled { seq, column })?;
        if *self.origin.get_or_insert_with(|| origin.clone()) != origin {
            return Err(ChainFault::Foreign { seq });
        }
        self.seq = seq;
        self.head = entry.hash;
        self.tree.push(entry.hash);
        self.compare()
    }

    /// Compares with the checkpoints of this size.
    fn compare(&mut self) -> Result<(), ChainFault> {
        let size = self.tree.size();
        while let Some(checkpoint) = self.ahead.pop_if(|checkpoint| checkpoint.size <= size) {
            let ours = self.origin.clone().unwrap_or_default();
            if checkpoint.size > 0 && checkpoint.origin != ours {
                return Err(ChainFault::OtherLog { theirs: checkpoint.origin, ours });
            }
            // Of the time before this began, only the present can be compared with.
            if checkpoint.size == size && checkpoint.root != self.tree.root() {
                return Err(ChainFault::Rewritten { from: self.agreed + 1, to: size });
            }
            self.agreed = checkpoint.size;
            self.met += 1;
        }
        Ok(())
    }

    /// Up to which entry the log was checked.
    #[must_use]
    pub const fn seq(&self) -> i64 {
        self.seq
    }

    /// The hash of that entry.
    #[must_use]
    pub const fn head(&self) -> &Hash {
        &self.head
    }

    /// The tree over what was checked.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// After the last entry: does the log end where the head row says, and where the checkpoints say?
    pub fn finish(&self, head_seq: i64, head: &Hash) -> Result<Verified, ChainFault> {
        if self.seq != head_seq || self.head != *head {
            return Err(ChainFault::Cut { expected: head_seq, found: self.seq });
        }
        let origin = self.origin.clone().unwrap_or_default();
        if let Some(checkpoint) = self.ahead.first() {
            return Err(if checkpoint.origin == origin {
                ChainFault::Truncated { signed: checkpoint.size, found: self.tree.size() }
            } else {
                ChainFault::OtherLog { theirs: checkpoint.origin.clone(), ours: origin }
            });
        }
        Ok(Verified { entries: self.seq, head: self.head, origin, root: self.tree.root(), checkpoints: self.met })
    }
}
