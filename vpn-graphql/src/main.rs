//! The GraphQL server of the VPN management platform.

mod cli;

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    cli::Cli::parse().run()
}
