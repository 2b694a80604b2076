//! `audit prove`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use vpn_core::{
    audit::Hash,
    config::Sources,
    service::{EntryProof, prove_entry},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Prove {
    /// The number of the entry
    #[arg(value_name = "SEQ")]
    seq: u64,
    /// The size of the checkpoint that the proof is to lead to
    #[arg(long, value_name = "ENTRIES")]
    size: u64,
    /// The size of an older checkpoint, to prove as well that the other continues it
    #[arg(long, value_name = "ENTRIES")]
    old_size: Option<u64>,
    /// The segments that sealed entries were exported to, the oldest first
    #[arg(long, value_name = "FILE", num_args = 1..)]
    segment: Vec<PathBuf>,
}

impl Prove {
    pub(super) async fn run(self, sources: &Sources) -> Result<()> {
        let segments: Vec<_> = self.segment.iter().map(|path| super::verify::opened(path)).collect::<Result<_>>()?;
        let store = crate::cli::open(sources)?;
        let proof = prove_entry(&store, segments, self.seq, self.size, self.old_size).await?;
        store.close().await;
        println!("{}", answer(&proof));
        Ok(())
    }
}

/// As the API answers the query that `examples/verify_entry.rs` tells.
fn answer(proof: &EntryProof) -> Value {
    let texts = |hashes: &[Hash]| hashes.iter().map(hex::encode).collect::<Vec<_>>();
    let entry = &proof.entry;
    let value = |commitment: &Hash| {
        let known = entry.values.get(commitment);
        json!({
            "commitment": hex::encode(commitment),
            "salt": known.map(|known| hex::encode(known.salt)),
            "value": known.map(|known| known.value.as_str()),
        })
    };
    json!({ "data": {
        "node": {
            "seq": entry.seq.to_string(),
            "previousHash": hex::encode(entry.previous_hash),
            "canonical": String::from_utf8_lossy(&entry.canonical),
            "values": entry.commitments().iter().map(value).collect::<Vec<_>>(),
        },
        "auditTree": {
            "inclusionProof": texts(&proof.inclusion),
            "consistencyProof": proof.consistency.as_deref().map(texts),
        },
    } })
}
