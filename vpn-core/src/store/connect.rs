//! Opening the database and setting it up.

use std::{sync::Once, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{Any, AnyConnection, AnyPool, Executor as _, migrate::Migrator, pool::PoolOptions};

use super::{Dialect, Store, StoreError, values::Names};
use crate::audit::{Action, Entry};

/// Names this log in every entry, so that entries of two logs cannot be mixed.
pub(super) const LOG_ORIGIN: &str = "log_origin";
/// Marks a database of `vpn-graphql dev`.
const MODE: &str = "mode";

static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");
static MYSQL: Migrator = sqlx::migrate!("../migrations/mysql");

/// How to reach the database.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `sqlite:///var/lib/vpn/platform.db`, `postgres://…`, `mysql://…` or `mariadb://…`.
    pub url: SecretString,
    /// Connections at most.
    pub max_connections: u32,
    /// How long to wait for one.
    pub acquire_timeout: Duration,
}

impl StoreOptions {
    /// The usual: 16 connections, 5 seconds.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: SecretString::from(url.into()), max_connections: 16, acquire_timeout: Duration::from_secs(5) }
    }
}

/// What kind of database was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// For real work.
    Production,
    /// Made by `vpn-graphql dev`.
    Development,
}

/// Makes the file before SQLite does, so that only its owner can read it; SQLite gives its log and
/// shared memory the same mode. What is in the way here is in SQLite's way too, and it tells.
fn keep_private(url: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = path.split('?').next().unwrap_or(path);
    if !std::path::Path::new(path).exists() {
        let _not_ours_to_tell = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    }
}

impl Store {
    /// Prepares a pool. Nothing is connected yet, so a database that is down does not keep a server
    /// from starting. [`StoreError::Schema`] for a URL of another kind.
    pub fn connect_lazy(options: &StoreOptions) -> Result<Self, StoreError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let given = options.url.expose_secret();
        let dialect = Dialect::of_url(given).ok_or_else(|| {
            StoreError::Schema("the database URL begins with sqlite:, postgres:, mysql: or mariadb:".to_owned())
        })?;
        if dialect == Dialect::Sqlite {
            keep_private(given);
        }
        let url = match dialect {
            // `mode=rwc` makes the file where there is none.
            Dialect::Sqlite if !given.contains('?') => format!("{given}?mode=rwc"),
            _ => given.to_owned(),
        };
        let pool: AnyPool = PoolOptions::<Any>::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .after_connect(move |conn, _| {
                Box::pin(async move {
                    for statement in session(dialect) {
                        conn.execute(*statement).await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy(&url)?;
        Ok(Self { pool, dialect, names: Names::default() })
    }

    /// Brings the schema up to date and, the first time, opens the audit log. Several processes may do
    /// it at once: one works, the others wait.
    pub async fn migrate(&self, kind: Opened) -> Result<(), StoreError> {
        self.migrate_schema().await?;
        match self.open_log(kind).await {
            // Another process was faster; its origin stands.
            Err(StoreError::Duplicate(_)) => Ok(()),
            other => other,
        }
    }

    /// The schema alone, without an audit log.
    pub(super) async fn migrate_schema(&self) -> Result<(), StoreError> {
        match self.dialect {
            // sqlx has no lock here: the write lock is taken before it looks at what is to be done.
            Dialect::Sqlite => {
                let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
                bring_up_to_date(&SQLITE, &mut tx).await?;
                tx.commit().await?;
            }
            Dialect::Postgres => bring_up_to_date(&POSTGRES, &mut *self.pool.acquire().await?).await?,
            Dialect::MySql => self.migrate_mysql().await?,
        }
        Ok(())
    }

    /// sqlx asks for its lock with an endless wait, which MariaDB takes for none.
    async fn migrate_mysql(&self) -> Result<(), StoreError> {
        let mut conn = self.pool.acquire().await?;
        let lock = "SELECT CAST(COALESCE(GET_LOCK(CONCAT('vpn-schema-', MD5(DATABASE())), 60), 0) AS SIGNED)";
        let locked: i64 = sqlx::query_scalar(lock).fetch_one(&mut *conn).await?;
        if locked != 1 {
            return Err(StoreError::Schema(
                "another process has been at the schema for a minute: look at it".to_owned(),
            ));
        }
        let done = bring_up_to_date(&MYSQL, &mut conn).await;
        sqlx::query("DO RELEASE_LOCK(CONCAT('vpn-schema-', MD5(DATABASE())))").execute(&mut *conn).await?;
        done
    }

    async fn open_log(&self, kind: Opened) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        if tx.setting(LOG_ORIGIN).await?.is_some() {
            return Ok(());
        }
        let random = crate::clock::Ambient::system().random::<16>();
        let origin = format!("vpn-audit/{}", hex::encode(random));
        tx.insert_setting(LOG_ORIGIN, &origin).await?;
        let mode = match kind {
            Opened::Production => "production",
            Opened::Development => "development",
        };
        tx.insert_setting(MODE, mode).await?;
        let entry = Entry::by_system("migrate", Action::LogOpened).with("mode", mode);
        tx.commit(entry, []).await.map(drop)
    }

    /// What kind of database this is. [`StoreError::Schema`] when it was never set up.
    pub async fn opened(&self) -> Result<Opened, StoreError> {
        let not_set_up = || StoreError::Schema("the database is not set up: run `vpn-graphql migrate`".to_owned());
        let mode = match self.read().await?.setting(MODE).await {
            Err(StoreError::Other(_)) | Ok(None) => return Err(not_set_up()),
            other => other?,
        };
        Ok(if mode.as_deref() == Some("development") { Opened::Development } else { Opened::Production })
    }
}

async fn bring_up_to_date(migrator: &Migrator, conn: &mut AnyConnection) -> Result<(), StoreError> {
    migrator.run(conn).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) => StoreError::from(error),
        other => StoreError::Schema(format!("the schema could not be brought up to date: {other}")),
    })
}

/// What every connection begins with.
const fn session(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Sqlite => &[
            "PRAGMA busy_timeout = 10000",
            "PRAGMA journal_mode = WAL",
            // A commit that was answered survives a power cut.
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
            // Without it, REPLACE deletes rows behind the back of the triggers.
            "PRAGMA recursive_triggers = ON",
            // A delivered profile is overwritten, not only unlinked.
            "PRAGMA secure_delete = ON",
        ],
        Dialect::Postgres => &[
            "SET default_transaction_isolation = 'read committed'",
            "SET TIME ZONE 'UTC'",
            // A process that stands still inside of a transaction would keep the head of the audit log,
            // and so everybody, for as long as it stands. Ours take milliseconds.
            "SET idle_in_transaction_session_timeout = '10s'",
        ],
        // The default, repeatable read, would answer plain reads from before the lock was had.
        Dialect::MySql => &[
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            // The same limit as above; MySQL has none, and takes it for a comment.
            "SET time_zone = '+00:00' /*M!100300 , SESSION idle_transaction_timeout = 10 */",
        ],
    }
}
