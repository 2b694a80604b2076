//! The GraphQL server of the VPN management platform.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vpn-graphql: {error:#}");
            ExitCode::FAILURE
        }
    }
}
