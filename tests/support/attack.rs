//! SQL from somebody who has the password and no scruples.

use anyhow::{Context, Result, bail, ensure};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};

use crate::{Database, Db};

/// A connection that does what it is told.
pub struct Attacker {
    connection: AnyConnection,
    database: Database,
}

impl Attacker {
    /// Connects with the platform's own password.
    pub async fn on(db: &Db) -> Result<Self> {
        Ok(Self { connection: db.raw().await?, database: db.database })
    }

    /// Connects with another URL.
    pub async fn with_url(url: &str, database: Database) -> Result<Self> {
        Ok(Self { connection: AnyConnection::connect(url).await?, database })
    }

    /// Runs statements that go through.
    pub async fn run(&mut self, sql: impl Into<String>) -> Result<u64> {
        let sql = sql.into();
        let done = self.connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.clone()))).await;
        Ok(done.with_context(|| format!("{:?}: {sql}", self.database))?.rows_affected())
    }

    /// Runs a statement that has to fail, and gives the error.
    pub async fn fails(&mut self, sql: impl Into<String>) -> Result<sqlx::Error> {
        let sql = sql.into();
        match self.connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.clone()))).await {
            Ok(done) => bail!("{:?} took it ({} rows): {sql}", self.database, done.rows_affected()),
            Err(error) => Ok(error),
        }
    }

    /// Runs a statement that has to be refused with `words` in the message.
    pub async fn refused(&mut self, words: &str, sql: impl Into<String>) -> Result<()> {
        let sql = sql.into();
        let said = self.fails(sql.clone()).await?.to_string();
        ensure!(said.contains(words), "{:?} said `{said}` instead of `{words}` to: {sql}", self.database);
        Ok(())
    }

    /// A byte string as this database writes it.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8]) -> String {
        let digits = hex::encode(bytes);
        match self.database {
            Database::Sqlite | Database::MariaDb => format!("X'{digits}'"),
            Database::Postgres => format!("'\\x{digits}'::bytea"),
        }
    }
}
