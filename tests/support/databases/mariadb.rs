//! A private MariaDB.

use anyhow::{Context, Result, bail};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use tokio::sync::OnceCell;
use vpn_core::sandbox::{Janitor, Process, SandboxError, find_program, lasting_port, random_hex};

use super::{Home, janitor};
use crate::PATIENCE;

/// The log says this once per listening address; only the TCP port matters.
const READY: &str = "ready for connections";

/// A running MariaDB server.
#[derive(Debug)]
pub struct MariaDb {
    process: Process,
    port: u16,
    password: String,
}

impl MariaDb {
    /// The one server of this test process.
    pub async fn shared() -> Result<&'static Self> {
        static SERVER: OnceCell<MariaDb> = OnceCell::const_new();
        SERVER.get_or_try_init(|| async { Self::start(janitor().await?).await }).await
    }

    /// Makes the system tables in a temporary directory and starts a server on them.
    pub async fn start(janitor: &Janitor) -> Result<Self> {
        let home = Home::create(janitor, "vpn-mariadb", "mysql").await?;
        let password = random_hex(16)?;
        let accounts = format!(
            "ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n\
             CREATE OR REPLACE USER 'vpn'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
             GRANT ALL ON *.* TO 'vpn'@'127.0.0.1' WITH GRANT OPTION;\n"
        );
        home.write("accounts.sql", &accounts)?;
        home.launch(&find_program("mariadb-install-db")?)?
            .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .arg(format!("--datadir={}", home.directory.join("data").display()))
            .arg(format!("--tmpdir={}", home.directory.display()))
            .run(janitor)
            .await?;
        for _ in 0..5 {
            let port = lasting_port()?;
            match Self::launch(janitor, &home, port).await {
                Ok(process) => return Ok(Self { process, port, password }),
                Err(SandboxError::Ended { log, .. }) if log.contains("Address already in use") => {}
                Err(other) => return Err(other.into()),
            }
        }
        bail!("MariaDB found no free port")
    }

    async fn launch(janitor: &Janitor, home: &Home, port: u16) -> Result<Process, SandboxError> {
        let path = |name: &str| home.directory.join(name).display().to_string();
        let (process, log) = home
            .launch(&find_program("mariadbd")?)?
            // Without Debian's files, so that the tests do not depend on them; the character set is Debian's.
            .args(["--no-defaults", "--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"])
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--max-connections=300"])
            // It need not survive a power cut, only be fast.
            .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF", "--skip-log-bin"])
            // Statistics from all pages of a table, not from 20 by chance: plans are the same each time.
            .arg("--innodb-stats-persistent-sample-pages=100000")
            .args([format!("--port={port}"), format!("--datadir={}", path("data"))])
            // Each that starts removes the temporary tables of all others in the same directory.
            .arg(format!("--tmpdir={}", home.directory.display()))
            .args([format!("--socket={}", path("socket")), format!("--pid-file={}", path("pid"))])
            .arg(format!("--init-file={}", path("accounts.sql")))
            .named("mariadbd")
            .spawn(janitor, &home.log())?;
        log.wait_for(READY, &process, PATIENCE).await?;
        Ok(process)
    }

    /// Makes a new, empty database and gives its URL.
    pub async fn fresh_database(&self) -> Result<String> {
        let name = format!("vpn_{}", random_hex(8)?);
        let mut connection = MySqlConnection::connect(&self.url(""))
            .await
            .with_context(|| format!("connecting to MariaDB (process {})", self.process.id()))?;
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await?;
        connection.close().await?;
        Ok(self.url(&name))
    }

    fn url(&self, database: &str) -> String {
        format!("mysql://vpn:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }
}
