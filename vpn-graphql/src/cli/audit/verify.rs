//! `audit verify`.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use vpn_core::{
    audit::{Verified, note::PublicKey, verify_export},
    config::Sources,
    service::{verify_audit_log_against, verify_audit_log_with_segments},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// A file of checkpoints that was kept where nobody who can write the log can write; as often as
    /// there are files. Without one, neither a cut tail nor a log rewritten whole can be noticed.
    #[arg(long, value_name = "FILE", requires = "public_key")]
    checkpoint: Vec<PathBuf>,
    /// A key that checkpoints are signed with, `NAME+ID+KEY`; as often as there are keys.
    #[arg(long, value_name = "KEY")]
    public_key: Vec<PublicKey>,
    /// Check an export instead of the database.
    #[arg(long, value_name = "EXPORT")]
    file: Option<PathBuf>,
    /// The segments that sealed entries were exported to, the oldest first: the whole log is checked, not
    /// only what is behind them.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "file")]
    segment: Vec<PathBuf>,
}

impl Verify {
    pub(super) async fn run(self, sources: &Sources) -> Result<()> {
        let checkpoints = super::all_checkpoints(&self.checkpoint, &self.public_key)?;
        let verified = if let Some(path) = self.file {
            verify_export(opened(&path)?.1, checkpoints)?
        } else {
            let store = crate::cli::open(sources)?;
            let verified = if self.segment.is_empty() {
                verify_audit_log_against(&store, checkpoints).await?
            } else {
                let segments: Vec<_> = self.segment.iter().map(|path| opened(path)).collect::<Result<_>>()?;
                verify_audit_log_with_segments(&store, segments, checkpoints).await?
            };
            store.close().await;
            verified
        };
        tell(&verified);
        Ok(())
    }
}

pub(super) fn opened(path: &Path) -> Result<(String, BufReader<File>)> {
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    Ok((path.display().to_string(), BufReader::new(file)))
}

fn tell(verified: &Verified) {
    println!("{} entries, the chain is whole; the last hash is {}", verified.entries, hex::encode(verified.head));
    if verified.sealed > 0 {
        println!(
            "the first {} of them were sealed, and are taken as the log tells of them: to check them too, give",
            verified.sealed
        );
        println!("all segments with --segment");
    }
    println!("the log is {}, its Merkle root {}", verified.origin, hex::encode(verified.root));
    if verified.erased > 0 {
        println!("{} names and texts that stood beside it were erased, as the log tells", verified.erased);
    }
    if verified.left_out > 0 {
        println!("in {} places a name or text is not in the file: erased, or left out", verified.left_out);
    }
    match verified.checkpoints {
        0 => println!("compared with no checkpoint: a cut tail, or a log rewritten whole, would not be noticed"),
        1 => println!("it continues the checkpoint"),
        several => println!("it continues all {several} checkpoints"),
    }
    if verified.too_old > 0 {
        println!(
            "{} older checkpoints are of entries that were not read, and were not compared with",
            verified.too_old
        );
    }
}
