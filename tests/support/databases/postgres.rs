//! A private PostgreSQL.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::{Mutex, OnceCell};
use vpn_core::sandbox::{Janitor, Process, SandboxError, StopSignal, lasting_port, random_hex};

use super::{Home, janitor};
use crate::PATIENCE;

const READY: &str = "database system is ready to accept connections";

/// A running PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    process: Mutex<Option<Process>>,
    port: u16,
    password: String,
    home: Home,
    janitor: Janitor,
}

impl Postgres {
    /// The one server of this test process.
    pub async fn shared() -> Result<&'static Self> {
        static SERVER: OnceCell<Postgres> = OnceCell::const_new();
        SERVER.get_or_try_init(|| async { Self::start(janitor().await?).await }).await
    }

    /// Makes a cluster in a temporary directory and starts a server on it.
    pub async fn start(janitor: &Janitor) -> Result<Self> {
        let programs = programs()?;
        let home = Home::create(janitor, "vpn-postgres", "postgres").await?;
        let password = random_hex(16)?;
        let file = home.write("password", &password)?;
        home.launch(&programs.join("initdb"))?
            // On loopback the password may travel as it is: SCRAM costs a client that was built without
            // optimisation a tenth of a second per connection.
            .args(["--username=postgres", "--auth=password", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg("--pwfile")
            .arg(&file)
            .arg("--pgdata")
            .arg(home.directory.join("data"))
            .run(janitor)
            .await?;
        for _ in 0..5 {
            let port = lasting_port()?;
            match Self::launch(janitor, &programs, &home, port).await {
                Ok(process) => {
                    let (process, janitor) = (Mutex::new(Some(process)), janitor.clone());
                    return Ok(Self { process, port, password, home, janitor });
                }
                Err(SandboxError::Ended { log, .. }) if log.contains("could not bind") => {}
                Err(other) => return Err(other.into()),
            }
        }
        bail!("PostgreSQL found no free port")
    }

    async fn launch(
        janitor: &Janitor,
        programs: &std::path::Path,
        home: &Home,
        port: u16,
    ) -> Result<Process, SandboxError> {
        let mut settings = vec![format!("port={port}")];
        settings.push(format!("unix_socket_directories={}", home.directory.display()));
        // It need not survive a power cut, only be fast; and shared memory in files goes with them.
        for setting in [
            "listen_addresses=127.0.0.1",
            "max_connections=300",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "dynamic_shared_memory_type=mmap",
            // What a test asks the planner for depends on that test only.
            "autovacuum=off",
        ] {
            settings.push(setting.to_owned());
        }
        let (process, log) = home
            .launch(&programs.join("postgres"))?
            .arg("-D")
            .arg(home.directory.join("data"))
            .args(settings.iter().flat_map(|setting| ["-c", setting.as_str()]))
            .stopped_by(StopSignal::Int)
            .named("postgres")
            .spawn(janitor, &home.log())?;
        log.wait_for(READY, &process, PATIENCE).await?;
        Ok(process)
    }

    /// Stops it in good order: connections end, and the port refuses.
    pub async fn stop(&self) {
        if let Some(process) = self.process.lock().await.take() {
            process.stop().await;
        }
    }

    /// Starts it again, on the same port and data.
    pub async fn restart(&self) -> Result<()> {
        self.stop().await;
        *self.process.lock().await = Some(Self::launch(&self.janitor, &programs()?, &self.home, self.port).await?);
        Ok(())
    }

    /// Makes a new, empty schema, which is all that is seen through the URL that this gives. A database
    /// for each test would be a gigabyte of copied catalogues for all of them.
    pub async fn fresh_database(&self) -> Result<String> {
        let name = format!("vpn_{}", random_hex(8)?);
        let url = self.url("postgres");
        let mut connection = PgConnection::connect(&url)
            .await
            .with_context(|| format!("connecting to PostgreSQL on port {}", self.port))?;
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {name}"))).execute(&mut connection).await?;
        connection.close().await?;
        Ok(format!("{url}?options=-c%20search_path%3D{name}"))
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }
}

/// Debian keeps PostgreSQL's programs apart by version. The newest of them.
fn programs() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .map(|version| version.path())
        .filter(|version| version.join("bin/initdb").exists() && version.join("bin/postgres").exists())
        .max_by_key(|version| version.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()))
        .map(|version| version.join("bin"))
        .context("PostgreSQL is not installed: install the Debian package postgresql")
}
