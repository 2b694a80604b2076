//! `completion`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{cli::Cli, failure::Failure, output};

#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// For which shell.
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "vpnctl", &mut script);
        output::print(&String::from_utf8_lossy(&script))
    }
}
