//! `audit erase`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use vpn_core::{
    clock::Ambient,
    config::Sources,
    domain::{ClientId, Reason},
    service::{Erasure, erase_values, local_caller, plan_erasure},
    store::StoredValue,
};

/// Needs the right to delete what stands beside the log: the owner of the tables has it, server and worker have not.
#[derive(Debug, Args)]
pub(in crate::cli) struct Erase {
    /// The name of a principal, as often as there are names
    #[arg(long, value_name = "NAME")]
    person: Vec<String>,
    /// What entries about this client say: its name, what was written about it, the output of programs; as often as
    /// there are clients
    #[arg(long, value_name = "ID")]
    client: Vec<ClientId>,
    /// Every name and text with this in it, in whichever letter case; as often as there are such words
    #[arg(long, value_name = "TEXT")]
    containing: Vec<String>,
    /// What was erased before, and came back with an older backup: a file with the commitments that `erase --apply`
    /// gave
    #[arg(long, value_name = "FILE")]
    again: Vec<PathBuf>,
    /// Leave this one, though it fits: a commitment from the list of what would be erased; as often as there are any
    #[arg(long, value_name = "COMMITMENT")]
    keep: Vec<String>,
    /// Why, for the entry that tells of it. Name nobody in it
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    /// Do it, and not only say what would be done. Prints the commitments of what was erased: keep them with your
    /// backups
    #[arg(long)]
    apply: bool,
}

impl Erase {
    pub(super) async fn run(self, sources: &Sources) -> Result<()> {
        let mut commitments = Vec::new();
        for file in &self.again {
            let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            commitments.extend(text.split_whitespace().map(str::to_owned));
        }
        let erasure = Erasure {
            people: self.person,
            clients: self.client,
            containing: self.containing,
            commitments,
            keep: self.keep,
        };
        ensure!(
            !(erasure.people.is_empty()
                && erasure.clients.is_empty()
                && erasure.containing.is_empty()
                && erasure.commitments.is_empty()),
            "say what to erase: --person, --client, --containing or --again"
        );
        ensure!(!erasure.containing.iter().any(String::is_empty), "--containing needs at least one character");
        let store = crate::cli::open(sources)?;
        let values = plan_erasure(&store, &erasure).await?;
        if self.apply {
            // Before: stopped half-way, they are all the more needed after a restore.
            for value in &values {
                println!("{}", value.commitment);
            }
            let told_by = erase_values(&store, &local_caller(&Ambient::system())?, &self.reason, &values).await?;
            let entries: Vec<String> = told_by.iter().map(ToString::to_string).collect();
            eprintln!("done: {} values are erased, entry {} of the log tells of it", values.len(), entries.join(", "));
        } else {
            for value in &values {
                tell(value);
            }
            eprintln!("{} values; nothing was done: say --apply to erase them", values.len());
        }
        store.close().await;
        Ok(())
    }
}

fn tell(stored: &StoredValue) {
    let StoredValue { commitment, kind, value, client_id } = stored;
    println!("{commitment}  {kind:<6}  {}  {}", client_id.as_deref().unwrap_or("-"), value.escape_debug());
}
