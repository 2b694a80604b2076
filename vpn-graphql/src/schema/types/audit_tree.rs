//! The Merkle tree over the audit log, and proofs from it.

use async_graphql::{Context, Error, Object};
use vpn_core::{audit::Hash, service};

use crate::{
    error::told,
    schema::{Scope, cursor::count},
};

pub(crate) struct AuditTree(pub(crate) service::AuditTree);

/// The Merkle tree (RFC 6962) over the first entries of the audit log; each entry's `hash` is a leaf of
/// it. Not signed: compare it with a checkpoint that was kept elsewhere.
#[Object]
impl AuditTree {
    /// Which log this is; the first line of its checkpoints.
    async fn origin(&self) -> &str {
        &self.0.0.origin
    }

    /// Over how many entries. A string, because it may outgrow `Int`.
    async fn size(&self) -> String {
        self.0.0.size.to_string()
    }

    /// The root: SHA-256, 64 hexadecimal digits.
    async fn root_hash(&self) -> String {
        hex::encode(self.0.0.root)
    }

    /// Proves that the entry `seq` is in this tree: RFC 6962, section 2.1.1, for the leaf `seq` − 1.
    async fn inclusion_proof(&self, ctx: &Context<'_>, seq: String) -> Result<Vec<String>, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let proof = platform.prove_inclusion(caller, &self.0, count("seq", &seq)?).await;
        Ok(texts(&proof.map_err(told)?))
    }

    /// Proves that the tree over the first `oldSize` entries is the beginning of this one: RFC 6962,
    /// section 2.1.2.
    async fn consistency_proof(&self, ctx: &Context<'_>, old_size: String) -> Result<Vec<String>, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let proof = platform.prove_consistency(caller, &self.0, count("oldSize", &old_size)?).await;
        Ok(texts(&proof.map_err(told)?))
    }
}

fn texts(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(hex::encode).collect()
}
