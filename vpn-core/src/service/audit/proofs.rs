//! Proofs for those who keep a checkpoint: that an entry is in the log, and that one state of the log
//! continues another. They are made from the hashes alone; whoever gets one checks it without us.

use std::ops::Range;

use tokio::sync::Mutex;

use crate::{
    audit::{
        Checkpoint, Hash, Tree,
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
        let origin = reader.audit_origin().await?;
        let root = self.tiles.root(&mut reader, 0..size).await?;
        Ok(AuditTree(Checkpoint { origin, size, root }))
    }

    /// The hashes that prove that the entry `seq` is in `tree`, as RFC 6962, section 2.1.1, has them; the
    /// leaf's index there is `seq` − 1.
    pub async fn prove_inclusion(&self, caller: &Caller, tree: &AuditTree, seq: u64) -> Result<Vec<Hash>, Error> {
        let size = tree.0.size;
        let parts = seq.checked_sub(1).and_then(|index| merkle::inclusion(index, size));
        let none = || Error::invalid("seq", format!("it is not in this tree: ask for an entry from 1 to {size}"));
        self.roots(caller, parts.ok_or_else(none)?).await
    }

    /// The hashes that prove that the tree over the first `old_size` entries is the beginning of `tree`,
    /// as RFC 6962, section 2.1.2, has them.
    pub async fn prove_consistency(
        &self,
        caller: &Caller,
        tree: &AuditTree,
        old_size: u64,
    ) -> Result<Vec<Hash>, Error> {
        let size = tree.0.size;
        let none = || Error::invalid("oldSize", format!("ask for a size from 1 to {size}"));
        self.roots(caller, merkle::consistency(old_size, size).ok_or_else(none)?).await
    }

    async fn roots(&self, caller: &Caller, parts: Vec<Range<u64>>) -> Result<Vec<Hash>, Error> {
        self.authorise(caller, Permission::ReadAudit).await?;
        let mut reader = self.store().read().await?;
        let mut roots = Vec::with_capacity(parts.len());
        for part in parts {
            roots.push(self.tiles.root(&mut reader, part).await?);
        }
        Ok(roots)
    }
}

/// The roots of tiles of 256 entries, from the first on: 32 bytes each, read from the log when they are
/// first needed. They never change, so neither do they grow old.
#[derive(Debug, Default)]
pub(in crate::service) struct Tiles {
    known: Mutex<Vec<Hash>>,
}

impl Tiles {
    /// The root over these leaves, counted from 0: a subtree of some tree, or a whole one.
    async fn root(&self, reader: &mut Reader, range: Range<u64>) -> Result<Hash, StoreError> {
        let mut tree = Tree::default();
        let mut from = range.start;
        // A subtree as large as a tile begins where a tile begins.
        if range.start.is_multiple_of(TILE) {
            let tiles = range.start / TILE..range.end / TILE;
            from = tiles.end * TILE;
            for root in self.of(reader, tiles).await? {
                tree.push_subtree(TILE_LEVEL, root);
            }
        }
        for leaf in leaves(reader, from..range.end).await? {
            tree.push(leaf);
        }
        Ok(tree.root())
    }

    async fn of(&self, reader: &mut Reader, tiles: Range<u64>) -> Result<Vec<Hash>, StoreError> {
        let mut known = self.known.lock().await;
        while (known.len() as u64) < tiles.end {
            let first = known.len() as u64 * TILE;
            let mut tile = Tree::default();
            leaves(reader, first..first + TILE).await?.into_iter().for_each(|leaf| tile.push(leaf));
            known.push(tile.root());
        }
        let index = |tile: u64| usize::try_from(tile).unwrap_or(usize::MAX);
        Ok(known.get(index(tiles.start)..index(tiles.end)).unwrap_or_default().to_vec())
    }
}

async fn leaves(reader: &mut Reader, range: Range<u64>) -> Result<Vec<Hash>, StoreError> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let seq = |leaf: u64| i64::try_from(leaf).unwrap_or(i64::MAX);
    let leaves = reader.audit_leaves(seq(range.start), seq(range.end)).await?;
    if leaves.len() as u64 != range.end - range.start {
        let what = format!("entries are missing between {} and {}", range.start + 1, range.end);
        return Err(StoreError::Damaged { table: "audit_log", what });
    }
    Ok(leaves)
}
