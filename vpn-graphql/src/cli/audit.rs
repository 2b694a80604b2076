//! `audit verify`.

use anyhow::Result;
use clap::Subcommand;
use vpn_core::{config::Sources, service::verify_audit_log};

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Recompute the whole hash chain; says which entry is wrong. Needs only the right to read.
    Verify,
}

impl Audit {
    pub(super) async fn run(self, sources: &Sources) -> Result<()> {
        let store = super::open(sources)?;
        let verified = verify_audit_log(&store).await?;
        println!("{} entries, the chain is whole; the last hash is {}", verified.entries, hex::encode(verified.head));
        store.close().await;
        Ok(())
    }
}
