//! The command line: what can be asked, and where to.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    api::Api,
    commands::{approval, client, completion, context, health, job, logs, server, status, token},
    context::Place,
    failure::{EXIT_CODES, Failure},
    output::Output,
};

/// The VPN management platform from the command line.
///
/// A context says which server to ask, and in which file your token is: `vpnctl context add` makes one. The
/// token is read from its file for each command, and never taken from the command line, where others could
/// see it.
#[derive(Debug, Parser)]
#[command(name = "vpnctl", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: Place,
    /// How to print: tables for people, JSON for programs. Whoever follows live gets one JSON value a line.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Which servers there are to ask, and as whom.
    #[command(subcommand)]
    Context(context::Context),
    /// The VPN hosts that the platform works on.
    #[command(subcommand)]
    Server(server::Server),
    /// The clients: devices and people that may connect.
    #[command(subcommand)]
    Client(client::Client),
    /// Show a client's status, or follow it live.
    Status(status::Status),
    /// The jobs: what is done on the VPN hosts.
    #[command(subcommand)]
    Job(job::Job),
    /// The audit log: who did what, oldest first.
    Logs(logs::Logs),
    /// The access tokens: one's own; everybody's, and new ones, need the role admin.
    #[command(subcommand)]
    Token(token::Token),
    /// What somebody asked for and a second person has to approve.
    #[command(subcommand)]
    Approval(approval::Approval),
    /// Whether the platform can do its work right now. Exit code 1 when something is not well.
    Health,
    /// Who the server takes you for, and what you may do.
    Whoami,
    /// Print a script that completes commands in your shell: `source <(vpnctl completion bash)`.
    Completion(completion::Completion),
}

/// Of commands that change something.
#[derive(Debug, Args)]
pub(crate) struct Key {
    /// Makes a repeat safe: the same key gives the first result again, for 24 hours. A new one for each
    /// command when it is left out; it is shown when an answer is lost.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// Of commands that end in a job.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Wait until the job has ended, and show its progress; the exit code is its outcome. Ctrl-C ends the
    /// waiting, not the job.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait this many seconds at most; then the exit code is 4, and the job goes on.
    #[arg(long, value_name = "SECONDS", requires = "wait", default_value = "600",
        value_parser = |text: &str| text.parse().map(Duration::from_secs))]
    pub(crate) timeout: Duration,
}

/// Of commands that list.
#[derive(Debug, Args)]
pub(crate) struct Limit {
    /// How many at most, the newest of them.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "NUMBER")]
    limit: u32,
}

impl Limit {
    /// How many rows to show, at most; one at least.
    pub(crate) fn most(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
}

impl Cli {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (output, place) = (Output::new(self.output), self.place);
        let api = || Api::open(&place.find()?);
        match self.command {
            Command::Context(context) => context.run(&place, &output),
            Command::Completion(completion) => completion.run(),
            Command::Server(server) => server.run(&api()?, &output).await,
            Command::Client(client) => client.run(&api()?, &output).await,
            Command::Status(status) => status.run(&api()?, &output).await,
            Command::Job(job) => job.run(&api()?, &output).await,
            Command::Logs(logs) => logs.run(&api()?, &output).await,
            Command::Token(token) => token.run(&api()?, &output).await,
            Command::Approval(approval) => approval.run(&api()?, &output).await,
            Command::Health => health::health(&api()?, &output).await,
            Command::Whoami => health::whoami(&api()?, &output).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_option_takes_a_token() {
        let mut help = String::new();
        let mut commands = vec![Cli::command()];
        while let Some(mut command) = commands.pop() {
            help += &command.render_long_help().to_string();
            commands.extend(command.get_subcommands().cloned());
        }
        assert!(help.contains("--token-file <FILE>") && !help.contains("--token "), "{help}");
    }
}
