//! Runs the jobs: configuration, parts, [`worker::run`]. And `reconcile`, because the workers are who has
//! the key to the VPN hosts.

mod reconcile;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use vpn_core::{
    clock::Ambient,
    config::{Sources, WorkerConfig},
    host::{Hosts, SshOptions, SshTransport},
    jobs::{JobPolicy, RetryPolicy},
    store::Store,
    telemetry,
    vault::Vault,
    watch::{RenewalPolicy, WatchPolicy},
    worker,
};

/// Runs the jobs of the VPN management platform.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// The configuration file (TOML); `VPN_CONFIG` names it too. Every key can also be a variable `VPN_…`
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Bring the database level with a VPN host that is ahead of it, after a restore. Without `--apply`
    /// it only says what it would do.
    Reconcile(reconcile::Reconcile),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("vpn-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let config = WorkerConfig::load(&Sources::system(cli.config))?;
    telemetry::start(&config.shared.log, config.shared.log_format)?;
    let mut ssh = SshOptions::new(config.ssh_key.clone());
    ssh.command_timeout = config.ssh_timeout;
    let deps = worker::Deps {
        store: Store::connect_lazy(&config.shared.store_options())?,
        redis_url: config.shared.redis_url.clone(),
        hosts: Hosts::over(Arc::new(SshTransport::new(ssh)?)),
        vault: Vault::new(&config.shared.profile_key)?,
        ambient: Ambient::system(),
    };
    let retry = RetryPolicy { base: config.retry_base, cap: config.retry_cap };
    let options = worker::Options {
        concurrency: config.concurrency,
        drain: config.drain,
        jobs: JobPolicy { retry, ..JobPolicy::default() },
        watch: config.watch.map(|every| WatchPolicy { every }),
        crl_renewal: config.crl_renewal.then(RenewalPolicy::default),
        ..worker::Options::default()
    };
    #[cfg(all(feature = "crash-points", debug_assertions))]
    let options = options.hurried_if_wanted();
    match cli.command {
        None => {
            worker::run(deps, options, stopped_by_signal()?).await?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Reconcile(what)) => what.run(&config, deps, options).await,
    }
}

/// Cancelled at SIGTERM, and at Ctrl-C.
fn stopped_by_signal() -> std::io::Result<CancellationToken> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        stopping.cancel();
    });
    Ok(stop)
}
