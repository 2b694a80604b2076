//! `vpnctl`, against the programs that are shipped.

mod day;
mod manners;
mod trouble;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use tokio::{io::AsyncWriteExt as _, process::Command};
use vpn_core::domain::Role;
use vpn_tests::{Database, Db, Fleet, fleet::Pace, hosts, programs::built, soon};

/// A fleet with the host that tests share.
async fn fleet(pace: Pace) -> Result<Fleet> {
    Fleet::on(Db::migrated(Database::Sqlite).await?, hosts::with_server().await?, pace).await
}

/// A person at a terminal, with a home of their own.
struct Person {
    home: PathBuf,
}

/// How a command ended, and what it said.
#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Person {
    fn new(fleet: &Fleet, name: &str) -> Result<Self> {
        let home = fleet.file(name);
        std::fs::create_dir(&home)?;
        Ok(Self { home })
    }

    /// Somebody with a token of this role, whose current context is this server.
    async fn with(fleet: &Fleet, name: &str, role: Role, url: &str) -> Result<Self> {
        Self::bearing(fleet, name, &fleet.token(name, role).await?, url).await
    }

    /// The same, with this token.
    async fn bearing(fleet: &Fleet, name: &str, token: &str, url: &str) -> Result<Self> {
        let person = Self::new(fleet, name)?;
        let added = person.typing(&["context", "add", "here", "--url", url], &format!("{token}\n")).await?;
        ensure!(added.code == 0, "{added:?}");
        Ok(person)
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(built("vpnctl")?);
        command.args(arguments).env_clear().env("XDG_CONFIG_HOME", &self.home).current_dir(&self.home);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }

    /// Runs `vpnctl` to its end.
    async fn runs(&self, arguments: &[&str]) -> Result<Ended> {
        self.typing(arguments, "").await
    }

    /// The same, with this on its standard input.
    async fn typing(&self, arguments: &[&str], input: &str) -> Result<Ended> {
        ended(self.command(arguments)?, input).await.with_context(|| format!("vpnctl {arguments:?}"))
    }

    /// The same, for a command that must succeed; gives what it printed.
    async fn does(&self, arguments: &[&str]) -> Result<String> {
        let ended = self.runs(arguments).await?;
        ensure!(ended.code == 0, "vpnctl {arguments:?}: {ended:?}");
        Ok(ended.out)
    }

    /// The same, for programs.
    async fn asks(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let out = self.does(&[arguments, &["-o", "json"]].concat()).await?;
        serde_json::from_str(&out).with_context(|| out)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }
}

async fn ended(mut command: Command, input: &str) -> Result<Ended> {
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().context("its standard input")?;
    match stdin.write_all(input.as_bytes()).await {
        // It did not get as far as reading.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => drop(stdin),
    }
    let output = soon("the end of vpnctl", child.wait_with_output()).await??;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let code = output.status.code().context("it was killed")?;
    Ok(Ended { code, out: text(output.stdout), err: text(output.stderr) })
}

fn only_for_its_owner(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(file)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{} has the mode {mode:o}", file.display());
    Ok(())
}
