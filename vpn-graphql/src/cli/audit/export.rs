//! `audit export`.

use std::io::{BufWriter, stdout};

use anyhow::Result;
use clap::Args;
use vpn_core::{audit::Naming, config::Sources, service::export_audit_log};

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// Only what comes behind this entry; the file leads to the same roots all the same. Without it, all
    /// that was not sealed.
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
    /// Only up to this entry, and with it.
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(1..))]
    until: Option<i64>,
    /// Without what entries say of people: then nothing will ever have to be erased from the file, and it proves the
    /// same.
    #[arg(long)]
    nameless: bool,
}

impl Export {
    pub(super) async fn run(self, sources: &Sources) -> Result<()> {
        let store = crate::cli::open(sources)?;
        let naming = if self.nameless { Naming::Nameless } else { Naming::Named };
        let verified = export_audit_log(&store, self.after, self.until, naming, BufWriter::new(stdout())).await?;
        eprintln!("exported up to entry {} of {}", verified.entries, verified.origin);
        store.close().await;
        Ok(())
    }
}
