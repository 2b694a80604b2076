//! The Merkle tree of RFC 6962 over the hashes of the entries, and which parts of it a proof consists of.
//!
//! A tree is kept as the roots of its perfect subtrees, of which there is one for each bit that is set in
//! its size: growing it, and its root, need no more than those.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::Hash;

/// Leaves of a tile: the perfect subtrees of which a server keeps the roots, to make proofs from.
pub const TILE: u64 = 1 << TILE_LEVEL;
/// The height of a tile.
pub const TILE_LEVEL: u32 = 8;

/// The node above two others. The leading one byte is RFC 6962's mark of an inner node.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// A tree that grows at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// Of perfect subtrees, the largest first.
    roots: Vec<Hash>,
}

impl Tree {
    /// From what [`Tree::size`] and [`Tree::roots`] gave; `None` when the two do not belong together.
    #[must_use]
    pub fn restore(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (usize::try_from(size.count_ones()) == Ok(roots.len())).then_some(Self { size, roots })
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its perfect subtrees, the largest first.
    #[must_use]
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// One more leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_subtree(0, leaf);
    }

    /// A perfect subtree of `2^level` leaves, all at once. What is there already must be a multiple of
    /// that many leaves.
    pub fn push_subtree(&mut self, level: u32, root: Hash) {
        debug_assert!(self.size.trailing_zeros() >= level, "a subtree begins at a multiple of its size");
        let (mut level, mut node) = (level, root);
        self.size += 1 << level;
        // As in adding one to a binary number, whose ones are the subtrees.
        while self.size & (1 << level) == 0 {
            let Some(left) = self.roots.pop() else { break };
            node = node_hash(&left, &node);
            level += 1;
        }
        self.roots.push(node);
    }

    /// The tree over the leaves of `range` as far as they are in this one. `None` when this one does not keep
    /// the roots that it would be made of.
    #[must_use]
    pub fn beginning(&self, range: &Range<u64>) -> Option<Self> {
        let (mut part, mut at) = (Self::default(), 0);
        let levels = (0..u64::BITS).rev().filter(|level| self.size & (1 << level) != 0);
        for (level, root) in levels.zip(&self.roots) {
            let end = at + (1 << level);
            if at >= range.start && end <= range.end {
                part.push_subtree(level, *root);
            }
            at = end;
        }
        (part.size == self.size.min(range.end).saturating_sub(range.start)).then_some(part)
    }

    /// RFC 6962's Merkle tree hash.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return Sha256::digest([]).into() };
        roots.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// The largest power of two below `leaves`, where a tree of more than one is divided.
const fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The subtrees whose roots prove that the leaf `index`, from 0, is in the tree of `size` leaves, in the
/// order of RFC 6962, section 2.1.1. `None` when it is not in there.
#[must_use]
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let (mut within, mut parts) = (0..size, Vec::new());
    while within.end - within.start > 1 {
        let middle = within.start + split(within.end - within.start);
        if index < middle {
            parts.push(middle..within.end);
            within.end = middle;
        } else {
            parts.push(within.start..middle);
            within.start = middle;
        }
    }
    parts.reverse();
    Some(parts)
}

/// The subtrees whose roots prove that the tree of `old` leaves is the beginning of the one of `new`, in
/// the order of RFC 6962, section 2.1.2. `None` unless 0 < `old` ≤ `new`.
#[must_use]
pub fn consistency(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old == 0 || old > new {
        return None;
    }
    let (mut within, mut parts) = (0..new, Vec::new());
    while within.end != old {
        let middle = within.start + split(within.end - within.start);
        if old <= middle {
            parts.push(middle..within.end);
            within.end = middle;
        } else {
            parts.push(within.start..middle);
            within.start = middle;
        }
    }
    // The verifier knows the root of the old tree, unless it is not a subtree of the new one.
    if within.start > 0 {
        parts.push(within);
    }
    parts.reverse();
    Some(parts)
}

#[cfg(test)]
mod tests {
    use ct_merkle::{
        ConsistencyProof, HashableLeaf, InclusionProof, RootHash, digest::Update, mem_backed_tree::MemoryBackedTree,
    };

    use super::*;

    /// A leaf of the other implementation, which puts the zero byte in front itself.
    #[derive(Clone)]
    struct Leaf(u64);

    impl HashableLeaf for Leaf {
        fn hash<H: Update>(&self, hasher: &mut H) {
            hasher.update(&self.0.to_be_bytes());
        }
    }

    fn leaf(number: u64) -> Hash {
        Sha256::new().chain_update([0]).chain_update(number.to_be_bytes()).finalize().into()
    }

    fn tree(range: Range<u64>) -> Tree {
        range.fold(Tree::default(), |mut tree, number| {
            tree.push(leaf(number));
            tree
        })
    }

    fn bytes(parts: Vec<Range<u64>>) -> Vec<u8> {
        parts.into_iter().flat_map(|part| tree(part).root()).collect()
    }

    #[test]
    fn roots_and_proofs_are_those_of_another_implementation() {
        let mut theirs = MemoryBackedTree::<Sha256, Leaf>::new();
        let mut roots: Vec<RootHash<Sha256>> = vec![theirs.root()];
        let mut ours = Tree::default();
        assert_eq!(ours.root().as_slice(), theirs.root().as_bytes().as_slice(), "an empty tree");
        for size in 1..=70 {
            theirs.push(Leaf(size - 1));
            ours.push(leaf(size - 1));
            let root = theirs.root();
            assert_eq!(ours.root().as_slice(), root.as_bytes().as_slice(), "{size} leaves");
            for index in 0..size {
                let proof = bytes(inclusion(index, size).expect("it is in there"));
                let proof = InclusionProof::try_from_bytes(proof).expect("a proof");
                root.verify_inclusion(&Leaf(index), index, &proof).expect("it is proven");
            }
            roots.push(root);
            let root = &roots[roots.len() - 1];
            for (old, older) in (1..=size).zip(&roots[1..]) {
                let proof = bytes(consistency(old, size).expect("an older tree"));
                let proof = ConsistencyProof::try_from_bytes(proof).expect("a proof");
                root.verify_consistency(older, &proof).expect("it is proven");
            }
        }
    }

    #[test]
    fn a_tree_grows_by_subtrees_and_by_leaves_to_the_same_root() {
        let mut tiles = Tree::default();
        for tile in 0..3 {
            tiles.push_subtree(TILE_LEVEL, tree(tile * TILE..(tile + 1) * TILE).root());
        }
        tiles.push(leaf(3 * TILE));
        assert_eq!(tiles, tree(0..3 * TILE + 1));
        assert_eq!(Tree::restore(tiles.size(), tiles.roots().to_vec()), Some(tiles));
        assert_eq!(Tree::restore(3, vec![leaf(1)]), None);
    }

    /// What a sealed log keeps is enough to prove everything that is behind it.
    #[test]
    fn the_roots_at_a_size_are_enough_for_all_proofs_from_there_on() {
        for sealed in 1..=20 {
            let kept = tree(0..sealed);
            for size in sealed..=40 {
                let later = (sealed..size).flat_map(|index| inclusion(index, size).expect("it is in there"));
                let older = (sealed..=size).flat_map(|old| consistency(old, size).expect("an older tree"));
                for part in later.chain(older).chain(std::iter::once(0..size)) {
                    let mut whole = kept.beginning(&part).expect("its roots are kept");
                    (part.start.max(sealed)..part.end).for_each(|index| whole.push(leaf(index)));
                    assert_eq!(whole.root(), tree(part.clone()).root(), "{sealed} of {size}: {part:?}");
                }
            }
        }
        assert_eq!(tree(0..4).beginning(&(0..2)), None);
    }

    #[test]
    fn there_is_no_proof_of_what_is_not_in_the_tree() {
        assert_eq!(inclusion(5, 5), None);
        assert_eq!(consistency(0, 5), None);
        assert_eq!(consistency(6, 5), None);
        assert_eq!(inclusion(0, 1), Some(vec![]));
        assert_eq!(consistency(5, 5), Some(vec![]));
    }
}
