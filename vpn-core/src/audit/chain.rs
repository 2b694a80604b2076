//! The hash chain, and the check of it.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::{Action, AuditEntry, Checkpoint, Erasable, Seal, Tree, seal::Seals};

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
    /// Entries that were signed for are gone, and the log tells why.
    #[error(
        "the log was rolled back: entry {seq} tells that the database was restored from a backup, so what stood behind \
         entry {} is lost of the {signed} entries that a checkpoint was signed for; if nobody restored it, the log was \
         rewritten",
        seq - 1
    )]
    RolledBack {
        /// The entry that tells of it.
        seq: i64,
        /// How many entries were signed for.
        signed: u64,
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
    /// A value beside the log is not the one that the entry was written with.
    #[error("entry {seq}: a name or text that stands beside it is not the one that it was written with")]
    ValueChanged {
        /// Which.
        seq: i64,
    },
    /// A value that stood beside the log is gone.
    #[error("entry {seq}: a name or text that stood beside it is gone, and no entry tells that it was erased")]
    ValueLost {
        /// Which.
        seq: i64,
    },
    /// The database says of the log's beginning what the log does not say.
    #[error(
        "the record that the first {until} entries were sealed is not what the log tells: it is forged, or they were \
         changed before they were exported"
    )]
    FalseSeal {
        /// How many entries, by the record.
        until: i64,
    },
    /// The log tells of a sealing that the database does not know.
    #[error("entry {seq} tells that entries were sealed, but the record of it is gone")]
    SealLost {
        /// Which.
        seq: i64,
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
    /// How many were of a time before this began, and could not be compared with.
    pub too_old: usize,
    /// How many of the entries were sealed, and taken as their record has them.
    pub sealed: i64,
    /// How many names and texts were erased, as the log tells.
    pub erased: usize,
    /// How often a name or text was not in a file that was checked without its database.
    pub left_out: usize,
}

impl Verified {
    /// What there is to sign.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size: self.entries.unsigned_abs(), root: self.root }
    }
}

/// Checks entries as they come, and compares with checkpoints on the way, in constant memory but for the values that
/// were erased: 40 bytes for each.
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
    /// The first entry behind that one that tells of a restore from a backup.
    restored: Option<i64>,
    /// How many lie behind where this began.
    too_old: usize,
    /// Where it began, if behind a seal.
    sealed: i64,
    /// Those of the database, if this reads one.
    seals: Option<Seals>,
    values: Values,
}

/// The names and texts that entries have commitments to.
#[derive(Clone, Debug, Default)]
struct Values {
    /// Whether each has to be there, or be erased as the log tells.
    wanted: bool,
    /// Those that were not there, and the first entry that has them.
    missing: HashMap<Hash, i64>,
    left_out: usize,
    erased: usize,
}

impl Values {
    fn take(&mut self, entry: &AuditEntry) -> Result<(), ChainFault> {
        for commitment in entry.commitments() {
            match entry.values.get(&commitment) {
                Some(value) if value.commitment() != commitment => {
                    return Err(ChainFault::ValueChanged { seq: entry.seq });
                }
                Some(_) => {}
                None if self.wanted => {
                    self.missing.entry(commitment).or_insert(entry.seq);
                }
                None => self.left_out += 1,
            }
        }
        self.told(entry);
        Ok(())
    }

    fn told(&mut self, entry: &AuditEntry) {
        self.erased += entry.erased().iter().filter(|commitment| self.missing.remove(*commitment).is_some()).count();
    }
}

impl Default for Verifier {
    fn default() -> Self {
        Self::from(0, GENESIS, Tree::default())
    }
}

impl Verifier {
    /// Begins behind the entry `seq` with the hash `head`, the last of those in `tree`.
    #[must_use]
    pub fn from(seq: i64, head: Hash, tree: Tree) -> Self {
        Self {
            seq,
            head,
            origin: None,
            tree,
            ahead: Vec::new(),
            met: 0,
            agreed: 0,
            restored: None,
            too_old: 0,
            sealed: 0,
            seals: None,
            values: Values::default(),
        }
    }

    /// Begins behind the newest of these seals, and finds out whether they are what the log tells.
    #[must_use]
    pub fn behind(seals: Vec<Seal>) -> Self {
        let mut begun = seals.last().map_or_else(Self::default, |seal| {
            Self::from(seal.sealed.until, seal.sealed.hash, seal.sealed.tree.clone())
        });
        begun.sealed = begun.seq;
        begun.knowing(seals)
    }

    /// Finds out whether these seals are what the log tells.
    #[must_use]
    pub fn knowing(mut self, seals: Vec<Seal>) -> Self {
        self.know(seals);
        self
    }

    /// The same, when there may be more seals than before.
    pub fn know(&mut self, seals: Vec<Seal>) {
        self.seals = Some(Seals(seals));
    }

    /// All names and texts have to be there, or be erased as the log tells.
    #[must_use]
    pub const fn wanting_values(mut self) -> Self {
        self.values.wanted = true;
        self
    }

    /// The commitments whose values were not there, and that no entry told of so far.
    #[must_use]
    pub fn missing_values(&self) -> Vec<Hash> {
        self.values.missing.keys().copied().collect()
    }

    /// These were there after all.
    pub fn found_values(&mut self, found: &HashMap<Hash, Erasable>) -> Result<(), ChainFault> {
        for (commitment, value) in found {
            if let Some(seq) = self.values.missing.remove(commitment)
                && value.commitment() != *commitment
            {
                return Err(ChainFault::ValueChanged { seq });
            }
        }
        Ok(())
    }

    /// An entry that lies ahead tells of these erasures: it was written while this read.
    pub fn told_of_erasure(&mut self, entry: &AuditEntry) {
        self.values.told(entry);
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
        self.values.take(entry)?;
        if entry.columns.action == Action::DatabaseRestored.as_str() {
            self.restored.get_or_insert(seq);
        }
        self.seq = seq;
        self.head = entry.hash;
        self.tree.push(entry.hash);
        if let Some(seals) = &self.seals {
            seals.compare(entry, &self.tree)?;
        }
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
            if checkpoint.size < size {
                self.too_old += 1;
                continue;
            }
            if checkpoint.root != self.tree.root() {
                return Err(self
                    .rolled_back(size)
                    .unwrap_or(ChainFault::Rewritten { from: self.agreed + 1, to: size }));
            }
            self.agreed = checkpoint.size;
            self.restored = None;
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

    /// Why the log is not the one that was signed for at this size, if it says so itself.
    fn rolled_back(&self, signed: u64) -> Option<ChainFault> {
        self.restored.map(|seq| ChainFault::RolledBack { seq, signed })
    }

    /// After the last entry: does the log end where the head row says, and where the checkpoints say?
    pub fn finish(&self, head_seq: i64, head: &Hash) -> Result<Verified, ChainFault> {
        self.ends_at(head_seq, head)?;
        if let Some(seals) = &self.seals {
            seals.finish(head_seq)?;
        }
        if let Some(seq) = self.values.missing.values().copied().min() {
            return Err(ChainFault::ValueLost { seq });
        }
        let origin = self.origin.clone().unwrap_or_default();
        if let Some(checkpoint) = self.ahead.first() {
            return Err(if checkpoint.origin == origin {
                let cut = ChainFault::Truncated { signed: checkpoint.size, found: self.tree.size() };
                self.rolled_back(checkpoint.size).unwrap_or(cut)
            } else {
                ChainFault::OtherLog { theirs: checkpoint.origin.clone(), ours: origin }
            });
        }
        Ok(self.verified())
    }

    /// Whether this is where it should be.
    pub(super) fn ends_at(&self, seq: i64, head: &Hash) -> Result<(), ChainFault> {
        if self.seq == seq && self.head == *head {
            return Ok(());
        }
        Err(ChainFault::Cut { expected: seq, found: self.seq })
    }

    /// What was checked so far.
    #[must_use]
    pub fn verified(&self) -> Verified {
        Verified {
            entries: self.seq,
            head: self.head,
            origin: self.origin.clone().unwrap_or_default(),
            root: self.tree.root(),
            checkpoints: self.met,
            too_old: self.too_old,
            sealed: self.sealed,
            erased: self.values.erased,
            left_out: self.values.left_out,
        }
    }
}
