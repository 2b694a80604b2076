//! The command line.

use std::io::Write as _;

use clap::{Parser, Subcommand};

/// The GraphQL server of the VPN management platform.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the schema in GraphQL's own language, as in `schema.graphql`.
    Schema,
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Schema => Ok(std::io::stdout().write_all(vpn_graphql::sdl().as_bytes())?),
        }
    }
}
