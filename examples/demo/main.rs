//! The platform's main job, for real, in one go: a client is created, let in, connects through a real
//! OpenVPN tunnel, is revoked, and is refused.
//!
//! `make demo` builds and runs it. It starts a sandbox (a private Redis, a VPN host with a real sshd,
//! PKI and OpenVPN server in network namespaces of its own), `vpn-graphql serve` and `vpn-worker` as
//! programs, and does the rest through the public GraphQL API, as anybody would. A worker that dies is
//! replaced, as a service manager would do it; `--kill-worker` kills one in the middle of its work.
//! All of it is gone afterwards; the exit code tells the truth.

mod network;
mod openssl;
mod platform;
mod report;
mod story;

use std::process::ExitCode;

use clap::Parser;
use vpn_core::sandbox::{Options, Sandbox};

use crate::{report::Report, story::Story};

/// Creates a VPN client, lets it in, revokes it, and shows that it is out.
#[derive(Clone, Copy, Debug, Parser)]
struct Cli {
    /// Kills the worker (SIGKILL) while it provisions the client.
    #[arg(long)]
    kill_worker: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let report = Report::begin();
    match run(cli, &report).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.failed(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli, report: &Report) -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Options::everything()).await?;
    let told = tokio::select! {
        told = Story::tell(&sandbox, report, cli.kill_worker) => told,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    let directory = sandbox.directory().to_owned();
    sandbox.stop().await?;
    anyhow::ensure!(!directory.exists(), "{} is still there", directory.display());
    told?;
    report.step("gone", "every process, network namespace and file that this started");
    report.done();
    Ok(())
}
