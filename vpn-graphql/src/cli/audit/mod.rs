//! `audit verify | checkpoint | export | prove | seal | erase | keygen`. `verify`, `export` and `prove` need only the right to read the
//! database, `checkpoint` needs that and the key; `seal` needs the right to delete from the log, `erase` from what
//! stands beside it.

mod checkpoint;
mod erase;
mod export;
mod keygen;
mod prove;
mod seal;
mod verify;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Subcommand;
use vpn_core::{
    audit::{Checkpoint, note::PublicKey},
    config::Sources,
};

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Recompute the whole log and say which entry is wrong, if one is. Needs only the right to read.
    Verify(verify::Verify),
    /// Check the log and sign for it. Needs `checkpoint_key`, which server and worker should not have.
    Checkpoint(checkpoint::Sign),
    /// Write the log as JSON Lines that `audit verify --file` checks without a database.
    Export(export::Export),
    /// Prove that an entry is in the log that a checkpoint was signed for, also one that was sealed. Gives what
    /// `examples/verify_entry.rs` checks.
    Prove(prove::Prove),
    /// Export the oldest entries to a file and remove them from the database. Shows what it would do, unless
    /// told to do it.
    Seal(seal::SealOldest),
    /// Erase names and texts about somebody that stand beside the log; no entry changes. Shows what it would erase,
    /// unless told to do it.
    Erase(erase::Erase),
    /// Make a key for checkpoints: the private one on standard output, the public one on standard error.
    Keygen(keygen::Keygen),
}

impl Audit {
    pub(super) async fn run(self, sources: &Sources) -> Result<()> {
        match self {
            Self::Verify(verify) => verify.run(sources).await,
            Self::Checkpoint(sign) => sign.run(sources).await,
            Self::Export(export) => export.run(sources).await,
            Self::Prove(prove) => prove.run(sources).await,
            Self::Seal(seal) => seal.run(sources).await,
            Self::Erase(erase) => erase.run(sources).await,
            Self::Keygen(keygen) => keygen.run(sources).await,
        }
    }
}

/// The checkpoints in a file, each signed by one of these keys.
fn checkpoints(file: &Path, keys: &[PublicKey]) -> Result<Vec<Checkpoint>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    Checkpoint::open_all(&text, keys).with_context(|| format!("the checkpoints in {}", file.display()))
}

/// Those in several files.
fn all_checkpoints(files: &[PathBuf], keys: &[PublicKey]) -> Result<Vec<Checkpoint>> {
    let read: Vec<_> = files.iter().map(|file| checkpoints(file, keys)).collect::<Result<_>>()?;
    Ok(read.into_iter().flatten().collect())
}
