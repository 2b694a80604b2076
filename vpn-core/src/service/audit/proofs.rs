//! Proofs for those who keep a checkpoint: that an entry is in the log, and that one state of the log
//! continues another. They are made from the hashes alone; whoever gets one checks it without us.

use std::{collections::HashMap, ops::Range};

use tokio::sync::Mutex;

use crate::{
    audit::{
        Checkpoint, Hash, Seal, Tree,
        merkle::{self, TILE, TILE_LEVEL},
    },
    domain::{Caller, Permission},
    error::Error,
    service::Platform,
    store::{Reader, StoreError},
};

/// The Merkle tree over the first entries of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditTree(pub Checkpoint);

impl Platform {
    /// The tree over the first `size` entries; over all there are, if no size is given.
    pub async fn audit_tree(&self, caller: &Caller, size: Option<u64>) -> Result<AuditTree, Error> {
        self.authorise(caller, Permission::ReadAudit).await?;
        let mut reader = self.store().read().await?;
        let head = reader.audit_head().await?.seq.unsigned_abs();
        let size = size.unwrap_or(head);
        if size == 0 || size > head {
            return Err(Error::invalid("size", format!("the log has {head} entries: ask for a size from 1 to {head}")));
        }
        kept(&mut reader, "size", size).await?;
        let origin = reader.audit_origin().await?;
        let root = self.tiles.root(&mut reader, 0..size).await?;
        Ok(AuditTree(Checkpoint { origin, size, root }))
    }

    /// The hashes that prove that the entry `seq` is in `tree`, as RFC 6962, section 2.1.1, has them; the
    /// leaf's index there is `seq` − 1.
    pub async fn prove_inclusion(&self, caller: &Caller, tree: &AuditTree, seq: u64) -> Result<Vec<Hash>, Error> {
        self.authorise(caller, Permission::ReadAudit).await?;
        let size = tree.0.size;
        let parts = seq.checked_sub(1).and_then(|index| merkle::inclusion(index, size));
        let none = || Error::invalid("seq", format!("it is not in this tree: ask for an entry from 1 to {size}"));
        let parts = parts.ok_or_else(none)?;
        kept(&mut self.store().read().await?, "seq", seq.saturating_sub(1)).await?;
        self.roots(parts).await
    }

    /// The hashes that prove that the tree over the first `old_size` entries is the beginning of `tree`,
    /// as RFC 6962, section 2.1.2, has them.
    pub async fn prove_consistency(
        &self,
        caller: &Caller,
        tree: &AuditTree,
        old_size: u64,
    ) -> Result<Vec<Hash>, Error> {
        self.authorise(caller, Permission::ReadAudit).await?;
        let size = tree.0.size;
        let none = || Error::invalid("oldSize", format!("ask for a size from 1 to {size}"));
        let parts = merkle::consistency(old_size, size).ok_or_else(none)?;
        kept(&mut self.store().read().await?, "oldSize", old_size).await?;
        self.roots(parts).await
    }

    async fn roots(&self, parts: Vec<Range<u64>>) -> Result<Vec<Hash>, Error> {
        let mut reader = self.store().read().await?;
        let mut roots = Vec::with_capacity(parts.len());
        for part in parts {
            roots.push(self.tiles.root(&mut reader, part).await?);
        }
        Ok(roots)
    }
}

/// What the proof is about must lie at the end of the sealed entries, or behind it.
async fn kept(reader: &mut Reader, argument: &'static str, size: u64) -> Result<(), Error> {
    let seals = reader.audit_seals().await?;
    let Some(holds) = seals.iter().find(|seal| size < seal.sealed.until.unsigned_abs()) else { return Ok(()) };
    let file = &holds.sealed.file;
    let (until, newest) = (holds.sealed.until, seals.last().map_or(0, |seal| seal.sealed.until));
    Err(Error::invalid(
        argument,
        format!(
            "this is about entries that were sealed: take the segment {file}, which ends with entry {until} and proves \
             itself, or run `vpn-graphql audit prove` with the segments, or ask about what is behind entry {newest}"
        ),
    ))
}

/// The roots of tiles of 256 entries: 32 bytes each, read from the log when they are first needed. They never
/// change, so neither do they grow old.
#[derive(Debug, Default)]
pub(in crate::service) struct Tiles {
    known: Mutex<HashMap<u64, Hash>>,
}

impl Tiles {
    /// The root over these leaves, counted from 0: a subtree of some tree, or a whole one. Of those that
    /// were sealed, the roots are in the seal.
    async fn root(&self, reader: &mut Reader, range: Range<u64>) -> Result<Hash, StoreError> {
        let mut tree = Tree::default();
        let mut from = range.start;
        if let Some(Seal { sealed, .. }) = reader.audit_seals().await?.pop() {
            tree = sealed.tree.beginning(&range).ok_or_else(|| missing(&range))?;
            from += tree.size();
        }
        // A subtree as large as a tile begins where a tile begins.
        let whole = from.next_multiple_of(TILE)..range.end / TILE * TILE;
        if range.start.is_multiple_of(TILE) && !whole.is_empty() {
            leaves(reader, from..whole.start).await?.into_iter().for_each(|leaf| tree.push(leaf));
            for tile in whole.start / TILE..whole.end / TILE {
                tree.push_subtree(TILE_LEVEL, self.tile(reader, tile).await?);
            }
            from = whole.end;
        }
        leaves(reader, from..range.end).await?.into_iter().for_each(|leaf| tree.push(leaf));
        Ok(tree.root())
    }

    async fn tile(&self, reader: &mut Reader, number: u64) -> Result<Hash, StoreError> {
        let mut known = self.known.lock().await;
        if let Some(root) = known.get(&number) {
            return Ok(*root);
        }
        let mut tile = Tree::default();
        leaves(reader, number * TILE..(number + 1) * TILE).await?.into_iter().for_each(|leaf| tile.push(leaf));
        known.insert(number, tile.root());
        Ok(tile.root())
    }
}

async fn leaves(reader: &mut Reader, range: Range<u64>) -> Result<Vec<Hash>, StoreError> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let seq = |leaf: u64| i64::try_from(leaf).unwrap_or(i64::MAX);
    let leaves = reader.audit_leaves(seq(range.start), seq(range.end)).await?;
    if leaves.len() as u64 != range.end - range.start {
        return Err(missing(&range));
    }
    Ok(leaves)
}

fn missing(range: &Range<u64>) -> StoreError {
    let what = format!("entries are missing between {} and {}", range.start + 1, range.end);
    StoreError::Damaged { table: "audit_log", what }
}
