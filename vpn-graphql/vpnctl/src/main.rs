//! `vpnctl`: the platform from the command line, for people and for scripts.
//!
//! It speaks the public API and nothing else: what it can do, every program can. It is a crate of its own
//! because a binary of `vpn-graphql` would be built and linked with all that the server needs, SQL and
//! Redis included; this one builds in a fraction of that and can be given to people who may not see the
//! server. Its types come from the committed schema, so that a change there that it does not follow does
//! not compile.

mod api;
mod cli;
mod commands;
mod context;
mod failure;
mod follow;
mod input;
mod operations;
mod output;
mod page;
mod private;
mod sse;
mod wait;

use std::process::ExitCode;

use clap::Parser as _;

use self::{cli::Cli, failure::Failure};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::NobodyReads) {
                output::complain(&failure);
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
