//! Proofs about entries that were sealed. The server has no hashes of them any more; who has the segments makes the
//! same proofs from those and the rest of the log.

use std::{io::BufRead, ops::Range};

use super::verify::{VerifyError, follow_segments, read};
use crate::{
    audit::{AuditEntry, Hash, Tree, merkle},
    store::Store,
};

/// An entry, and what proves it to somebody who keeps a checkpoint.
#[derive(Clone, Debug)]
pub struct EntryProof {
    /// The entry, with what it says of people as far as that is not erased.
    pub entry: AuditEntry,
    /// That it is in the tree, as [`Platform::prove_inclusion`](crate::service::Platform::prove_inclusion) has it.
    pub inclusion: Vec<Hash>,
    /// That the tree continues an older one, if one was asked for.
    pub consistency: Option<Vec<Hash>>,
}

/// The subtrees whose roots a proof consists of, as they grow.
struct Parts(Vec<(Range<u64>, Tree)>);

impl Parts {
    fn of(ranges: Vec<Range<u64>>) -> Self {
        Self(ranges.into_iter().map(|range| (range, Tree::default())).collect())
    }

    fn take(&mut self, entry: &AuditEntry) {
        let leaf = entry.seq.unsigned_abs() - 1;
        for (_, tree) in self.0.iter_mut().filter(|(range, _)| range.contains(&leaf)) {
            tree.push(entry.hash);
        }
    }

    fn roots(self) -> Vec<Hash> {
        self.0.into_iter().map(|(_, tree)| tree.root()).collect()
    }
}

/// Proves that the entry `seq` is in the tree over the first `size` entries and, if asked, that this continues the
/// tree over the first `old_size`. All entries up to `size` are read and checked, from the segments of the sealed ones,
/// by name, the oldest first, and from the database, in memory for the commitments of one segment.
pub async fn prove_entry(
    store: &Store,
    segments: impl IntoIterator<Item = (String, impl BufRead)> + Send,
    seq: u64,
    size: u64,
    old_size: Option<u64>,
) -> Result<EntryProof, VerifyError> {
    let outside = || VerifyError::NotInTree { seq, size };
    let inclusion = seq.checked_sub(1).and_then(|leaf| merkle::inclusion(leaf, size)).ok_or_else(outside)?;
    let continued = |old| merkle::consistency(old, size).ok_or(VerifyError::NoOlderTree { old, size });
    let mut inclusion = Parts::of(inclusion);
    let mut consistency = old_size.map(continued).transpose()?.map(Parts::of);
    let last = i64::try_from(size).map_err(|_| outside())?;
    let mut wanted = None;
    let mut take = |entry: &AuditEntry| {
        inclusion.take(entry);
        if let Some(parts) = &mut consistency {
            parts.take(entry);
        }
        if entry.seq.unsigned_abs() == seq {
            wanted = Some(entry.clone());
        }
    };
    let mut reader = store.read().await?;
    let mut verifier = follow_segments(&mut reader, segments, [], &mut take).await?;
    read(&mut reader, &mut verifier, last, |entry| {
        take(entry);
        Ok(())
    })
    .await?;
    let mut entry = wanted.filter(|_| verifier.seq() >= last).ok_or_else(outside)?;
    entry.values = reader.audit_values(&entry.commitments()).await?;
    Ok(EntryProof { entry, inclusion: inclusion.roots(), consistency: consistency.map(Parts::roots) })
}
