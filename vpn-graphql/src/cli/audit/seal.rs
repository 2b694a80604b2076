//! `audit seal`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use vpn_core::{
    audit::note::PublicKey,
    clock::{Ambient, Timestamp},
    config::Sources,
    service::{SealError, SealPlan, SealUpTo, finish_sealing, local_caller, plan_seal, seal_audit_log},
};

/// Needs the right to delete from the log and to write seals: the owner of the tables has it, server and
/// worker have not.
#[derive(Debug, Args)]
pub(in crate::cli) struct SealOldest {
    /// Seal the entries before the first one of this time or later: `2026-01-01T00:00:00Z`
    #[arg(long, value_name = "TIME", required_unless_present = "size", conflicts_with = "size")]
    before: Option<Timestamp>,
    /// Seal this many entries, counted from the log's first
    #[arg(long, value_name = "ENTRIES", value_parser = clap::value_parser!(i64).range(1..))]
    size: Option<i64>,
    /// The segment: a file that is not there yet. Keep it, and copies of it, for as long as the log matters
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// A file of checkpoints that was kept elsewhere: the log has to agree with them, and one has to cover
    /// all that is to be sealed; as often as there are files
    #[arg(long, value_name = "FILE", requires = "public_key")]
    checkpoint: Vec<PathBuf>,
    /// A key that checkpoints are signed with, `NAME+ID+KEY`; as often as there are keys
    #[arg(long, value_name = "KEY")]
    public_key: Vec<PublicKey>,
    /// Do it, and not only say what would be done
    #[arg(long)]
    apply: bool,
}

impl SealOldest {
    pub(super) async fn run(self, sources: &Sources) -> Result<()> {
        let checkpoints = super::all_checkpoints(&self.checkpoint, &self.public_key)?;
        ensure!(self.checkpoint.is_empty() || !checkpoints.is_empty(), "there is no checkpoint in those files");
        let store = crate::cli::open(sources)?;
        let left = if self.apply { finish_sealing(&store).await? } else { 0 };
        if left > 0 {
            println!("removed {left} entries that an earlier sealing had left");
        }
        let up_to = match (self.size, self.before) {
            (Some(size), _) => SealUpTo::Size(size),
            (None, Some(time)) => SealUpTo::Before(time),
            (None, None) => anyhow::bail!("say --before or --size"),
        };
        let plan = match plan_seal(&store, up_to, &self.to, checkpoints).await {
            // That was the sealing which is now done.
            Err(SealError::Nothing { .. }) if left > 0 => {
                store.close().await;
                return Ok(());
            }
            other => other?,
        };
        tell(&plan);
        if self.apply {
            let caller = local_caller(&Ambient::system())?;
            let seal = seal_audit_log(&store, &caller, &plan).await?;
            println!("done: entry {} of the log tells of it; the sha256 of the segment is", seal.told_by);
            println!("{}", hex::encode(seal.sealed.sha256));
        } else {
            println!("nothing was done: say --apply to do it");
        }
        store.close().await;
        Ok(())
    }
}

fn tell(plan: &SealPlan) {
    println!("the log is whole: {} entries, of which {} are sealed", plan.entries, plan.after);
    println!("entries {} to {} go to {}, and leave the database", plan.after + 1, plan.until, plan.file.display());
    if plan.signed == 0 {
        println!(
            "no checkpoint was given: whoever can write both the database and that file could forge them together"
        );
    } else {
        println!("a checkpoint covers them: it was signed for {} entries", plan.signed);
    }
}
