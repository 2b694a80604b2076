//! `audit checkpoint`: signs what continues what was signed before, and brings it out of reach.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tokio::{
    io::AsyncWriteExt as _,
    process::Command,
    time::{MissedTickBehavior, interval},
};
use vpn_core::{
    audit::note::{PublicKey, SigningKey},
    config::{CheckpointConfig, Sources},
    service::{Checkpointer, Rhythm},
    store::Store,
    telemetry,
};

/// How often a log that is watched is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(in crate::cli) struct Sign {
    /// Append checkpoints to this file, and sign nothing that does not continue those that are in it.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Hand each checkpoint to this command, on standard input, as one that puts it into a store where
    /// nothing is overwritten. Without it and without `--file` they go to standard output.
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true)]
    exec: Vec<String>,
    /// A key that signed earlier checkpoints in the file and does not any more; as often as there are keys.
    #[arg(long, value_name = "KEY")]
    public_key: Vec<PublicKey>,
    /// Go on until SIGTERM: a checkpoint after this time, in seconds, or after `--entries`.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
    /// With `--every`: a checkpoint after this many entries, if they come sooner.
    #[arg(long, default_value_t = Rhythm::default().entries, requires = "every", value_parser = clap::value_parser!(u64).range(1..))]
    entries: u64,
}

impl Sign {
    pub(super) async fn run(self, sources: &Sources) -> Result<()> {
        let config = CheckpointConfig::load(sources)?;
        telemetry::start(&config.database.log, config.database.log_format)?;
        let store = Store::connect_lazy(&config.database.store)?;
        let keys = SigningKey::read(&config.key).context("checkpoint_key")?;
        let mut trusted = self.public_key.clone();
        trusted.extend(keys.iter().map(|key| key.public().clone()));
        let earlier = match &self.file {
            Some(file) if file.exists() => super::checkpoints(file, &trusted)?,
            _ => Vec::new(),
        };
        let checkpointer = Checkpointer::new(store.clone(), keys, earlier);
        let done = match self.every {
            None => self.once(checkpointer).await,
            Some(seconds) => self.watch(checkpointer, Duration::from_secs(seconds)).await,
        };
        store.close().await;
        done
    }

    async fn once(&self, mut checkpointer: Checkpointer) -> Result<()> {
        if let Some(note) = checkpointer.next().await? {
            return self.deliver(&note).await;
        }
        eprintln!("nothing has been added since the last checkpoint");
        Ok(())
    }

    /// A database or a command that fails is tried again. A log that was tampered with is not: it ends this
    /// with an error, and nothing is signed any more.
    async fn watch(&self, mut checkpointer: Checkpointer, every: Duration) -> Result<()> {
        let stop = crate::cli::stopped_by_signal()?;
        let rhythm = Rhythm { entries: self.entries, every };
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut undelivered: Option<String> = None;
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            match checkpointer.next_due(rhythm).await {
                // A newer checkpoint says all that an older one did.
                Ok(note) => undelivered = note.or(undelivered),
                Err(error) if error.is_retryable() => tracing::warn!(%error, "no checkpoint: the database is away"),
                Err(fault) => return Err(fault).context("nothing is signed"),
            }
            if let Some(note) = &undelivered {
                match self.deliver(note).await {
                    Ok(()) => undelivered = None,
                    Err(error) => tracing::error!(error = format!("{error:#}"), "a checkpoint was not delivered"),
                }
            }
        }
        Ok(())
    }

    async fn deliver(&self, note: &str) -> Result<()> {
        if let Some(file) = &self.file {
            append(file, note).with_context(|| format!("appending to {}", file.display()))?;
        }
        if let Some((program, arguments)) = self.exec.split_first() {
            run(program, arguments, note).await.with_context(|| format!("running {program}"))?;
        }
        if self.file.is_none() && self.exec.is_empty() {
            let mut out = std::io::stdout();
            out.write_all(note.as_bytes())?;
            out.flush()?;
        }
        Ok(())
    }
}

/// On the disk before it counts as written.
fn append(file: &Path, note: &str) -> Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    file.write_all(note.as_bytes())?;
    Ok(file.sync_all()?)
}

async fn run(program: &str, arguments: &[String], note: &str) -> Result<()> {
    let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).kill_on_drop(true).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(note.as_bytes()).await?;
    }
    let status = child.wait().await?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}
