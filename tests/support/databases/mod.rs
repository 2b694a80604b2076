//! Private PostgreSQL and MariaDB servers for tests: real ones, on loopback, in a temporary directory.
//!
//! Each is started once per test process, by the first test that asks, and gives every test a database
//! of its own. They go with the process, however it goes: the sandbox's [`Janitor`] sees to it.

mod mariadb;
mod postgres;

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::sync::OnceCell;
use vpn_core::sandbox::{Janitor, Launch, SandboxError, temporary_directory};

pub use mariadb::MariaDb;
pub use postgres::Postgres;

/// The janitor of this test process's database servers.
async fn janitor() -> Result<&'static Janitor> {
    static JANITOR: OnceCell<Janitor> = OnceCell::const_new();
    JANITOR.get_or_try_init(|| async { Ok(Janitor::start()?) }).await
}

/// Where a database server lives, and as whom: neither of them runs as root.
#[derive(Debug)]
struct Home {
    /// A temporary directory that the server's user owns.
    directory: PathBuf,
    /// Numbers of the user and its group, if we are root and have to change.
    user: Option<(u32, u32)>,
}

impl Home {
    /// Makes the directory for a server that runs as `user` when the tests run as root.
    async fn create(janitor: &Janitor, purpose: &str, user: &str) -> Result<Self> {
        let outer = temporary_directory(janitor, purpose)?;
        let directory = outer.join("home");
        std::fs::DirBuilder::new().mode(0o700).create(&directory)?;
        let mut home = Self { directory, user: None };
        if number(janitor, &["-u"]).await? == 0 {
            let (uid, gid) = (number(janitor, &["-u", user]).await?, number(janitor, &["-g", user]).await?);
            home.user = Some((uid, gid));
            home.give(&home.directory)?;
        }
        Ok(home)
    }

    /// A program that will run as the server's user.
    fn launch(&self, program: &Path) -> Result<Launch, SandboxError> {
        let Some((uid, gid)) = self.user else { return Launch::new(&program.to_string_lossy()) };
        let (uid, gid) = (uid.to_string(), gid.to_string());
        Ok(Launch::new("setpriv")?.args(["--reuid", &uid, "--regid", &gid, "--clear-groups", "--"]).arg(program))
    }

    /// Writes a file that only the server's user can read.
    fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        use std::io::Write;
        let path = self.directory.join(name);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?
            .write_all(content.as_bytes())?;
        self.give(&path)?;
        Ok(path)
    }

    fn give(&self, path: &Path) -> Result<()> {
        if let Some((uid, gid)) = self.user {
            chown(path, Some(uid), Some(gid)).with_context(|| format!("giving away {}", path.display()))?;
        }
        Ok(())
    }

    /// The server's log, outside of what the server can write to.
    fn log(&self) -> PathBuf {
        self.directory.with_file_name("server.log")
    }
}

/// What `id` says: our user's number, or another's.
async fn number(janitor: &Janitor, arguments: &[&str]) -> Result<u32> {
    let output = Launch::new("id")?.args(arguments).run(janitor).await?;
    output.trim().parse().context("`id` prints a number")
}
