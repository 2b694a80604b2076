//! The hash chain, and the check of it.

use sha2::{Digest as _, Sha256};

use super::AuditEntry;

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

/// The whole chain was checked and holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many entries there are.
    pub entries: i64,
    /// The hash of the last; [`GENESIS`] for an empty log.
    pub head: Hash,
}

/// Checks entries as they come, in constant memory.
#[derive(Debug)]
pub struct Verifier {
    seq: i64,
    head: Hash,
}

impl Default for Verifier {
    fn default() -> Self {
        Self { seq: 0, head: GENESIS }
    }
}

impl Verifier {
    /// Takes the next entry.
    pub fn take(&mut self, entry: &AuditEntry) -> Result<(), ChainFault> {
        let expected = self.seq + 1;
        if entry.seq != expected {
            return Err(ChainFault::Gap { expected, found: entry.seq });
        }
        let seq = entry.seq;
        if entry.previous_hash != self.head {
            return Err(ChainFault::Unlinked { seq });
        }
        if leaf_hash(seq, &entry.previous_hash, &entry.canonical) != entry.hash {
            return Err(ChainFault::Altered { seq });
        }
        if let Some(column) = entry.mislabelled() {
            return Err(ChainFault::Mislabelled { seq, column });
        }
        self.seq = seq;
        self.head = entry.hash;
        Ok(())
    }

    /// After the last entry: does the log end where the head row says?
    pub fn finish(self, head_seq: i64, head: &Hash) -> Result<Verified, ChainFault> {
        if self.seq != head_seq || self.head != *head {
            return Err(ChainFault::Cut { expected: head_seq, found: self.seq });
        }
        Ok(Verified { entries: self.seq, head: self.head })
    }
}
