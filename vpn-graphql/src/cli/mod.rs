//! The command line.

mod audit;
mod backup;
#[cfg(feature = "dev")]
mod dev;
mod probe;
mod serve;
mod token;

use std::{io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use vpn_core::{
    config::{DatabaseConfig, Sources},
    store::{Opened, Store},
    telemetry,
};

/// The GraphQL server of the VPN management platform.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    configuration: Configuration,
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
struct Configuration {
    /// The configuration file (TOML); `VPN_CONFIG` names it too. Every key can also be a variable `VPN_…`
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API.
    Serve(serve::Serve),
    /// Set the database up, or bring it up to date.
    Migrate,
    /// Make, list and revoke access tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// Check the audit log, sign for it, take it elsewhere.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Take a backup of the database, while everything runs.
    Backup(backup::Backup),
    /// Restore a backup into an empty database.
    Restore(backup::Restore),
    /// Print the schema in GraphQL's own language, as in `schema.graphql`.
    Schema,
    /// Ask a running server whether it is ready; the exit code says so. For containers without curl.
    Probe(probe::Probe),
    /// The whole platform on this machine, to try and to develop: a private Redis, a VPN host with a
    /// real OpenVPN server, the worker, SQLite.
    #[cfg(feature = "dev")]
    Dev(dev::Dev),
}

impl Cli {
    /// Does what was asked.
    pub(crate) async fn run(self) -> Result<()> {
        let sources = Sources::system(self.configuration.config);
        match self.command {
            Command::Serve(serve) => serve.run(sources).await,
            Command::Migrate => migrate(&sources).await,
            Command::Token(token) => token.run(&sources).await,
            Command::Audit(audit) => audit.run(&sources).await,
            Command::Backup(backup) => backup.run(&sources).await,
            Command::Restore(restore) => restore.run(&sources).await,
            Command::Schema => Ok(std::io::stdout().write_all(vpn_graphql::sdl().as_bytes())?),
            Command::Probe(probe) => probe.run().await,
            #[cfg(feature = "dev")]
            Command::Dev(dev) => dev.run().await,
        }
    }
}

async fn migrate(sources: &Sources) -> Result<()> {
    let store = open(sources)?;
    store.migrate(Opened::Production).await.context("the database could not be set up")?;
    println!("the database is up to date");
    Ok(())
}

/// The database alone, for commands that need nothing else.
fn open(sources: &Sources) -> Result<Store> {
    let config = DatabaseConfig::load(sources)?;
    telemetry::start(&config.log, config.log_format)?;
    Ok(Store::connect_lazy(&config.store)?)
}

/// Cancelled at SIGTERM, and at Ctrl-C.
fn stopped_by_signal() -> Result<CancellationToken> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        stopping.cancel();
    });
    Ok(stop)
}
