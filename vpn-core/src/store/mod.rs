//! SQL: the truth. One concrete [`Store`] over `sqlx::Any`; every query is written once and runs on
//! SQLite, PostgreSQL and MariaDB/MySQL.
//!
//! A change and its audit entry are one transaction: [`Tx::commit`] takes the entry, so a change
//! without one cannot be committed. Times come from the database's clock ([`Tx::at`]).

mod approvals;
mod audit;
mod clients;
mod connect;
mod contacts;
mod dialect;
mod drifts;
mod dump;
mod each;
mod error;
mod expiry;
mod idempotency;
mod jobs;
mod links;
mod page;
mod profiles;
mod row;
mod seals;
mod servers;
mod settings;
mod tallies;
mod tokens;
mod values;

use std::ops::{Deref, DerefMut};

use sqlx::{Any, AnyConnection, AnyPool, Transaction, any::AnyRow, pool::PoolConnection};

use crate::{audit::Entry, clock::Timestamp};

pub use approvals::{ApprovalFilter, Decision};
pub use audit::{AuditFilter, Head};
pub use clients::{ClientFilter, NewClient};
pub use connect::{Opened, StoreOptions};
pub use contacts::Looked;
pub use dialect::Dialect;
pub use dump::{Row, RowFault, Snapshot, Table};
pub use error::StoreError;
pub use idempotency::{IdempotencyRecord, Remembered};
pub use jobs::{Due, JobFilter, NewJob};
pub use links::{NewLink, StoredLink};
pub use page::{End, Page, PageRequest, TimeRange};
pub use profiles::{NewProfile, StoredProfile};
pub use servers::NewServer;
pub use tallies::JobTally;
pub use tokens::{NewToken, StoredToken, TokenFilter};
pub use values::StoredValue;

/// How many keys one statement names; more than a page of any list.
const KEYS_AT_ONCE: usize = 200;

/// A pool of connections to the platform's database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    dialect: Dialect,
    names: values::Names,
}

/// A connection with the queries on it. Reads on a [`Reader`]; a [`Tx`] has them too.
#[derive(Debug)]
pub struct Handle<C> {
    conn: C,
    dialect: Dialect,
}

/// A connection for reading.
pub type Reader = Handle<PoolConnection<Any>>;

/// A transaction. Dropped without a commit, it never was.
#[derive(Debug)]
pub struct Tx {
    handle: Handle<Transaction<'static, Any>>,
    at: Timestamp,
    names: values::Names,
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    fn conn(&mut self) -> &mut AnyConnection {
        &mut self.conn
    }

    /// The rows of `table` whose `key` is one of `keys`.
    async fn rows_by_key(
        &mut self,
        columns: &str,
        table: &str,
        key: &str,
        rest: &str,
        keys: Vec<String>,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let mut rows = Vec::with_capacity(keys.len());
        for some in keys.chunks(KEYS_AT_ONCE) {
            let places: Vec<String> = (1..=some.len()).map(|at| format!("${at}")).collect();
            let places = places.join(", ");
            let sql = self.dialect.sql(format!("SELECT {columns} FROM {table} WHERE {key} IN ({places}){rest}"));
            let mut query = sqlx::query(sql);
            for one in some {
                query = query.bind(one.clone());
            }
            rows.extend(query.fetch_all(self.conn()).await?);
        }
        Ok(rows)
    }

    /// The number of the newest migration.
    async fn schema_version(&mut self) -> Result<i64, StoreError> {
        let newest = "SELECT MAX(version) FROM _sqlx_migrations";
        Ok(sqlx::query_scalar(newest).fetch_one(self.conn()).await?)
    }

    pub(crate) async fn now(&mut self) -> Result<Timestamp, StoreError> {
        let micros: i64 = sqlx::query_scalar(self.dialect.now()).fetch_one(self.conn()).await?;
        Ok(Timestamp::from_micros(micros))
    }
}

impl Deref for Tx {
    type Target = Handle<Transaction<'static, Any>>;

    fn deref(&self) -> &Self::Target {
        &self.handle
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.handle
    }
}

impl Store {
    /// A connection for reading.
    pub async fn read(&self) -> Result<Reader, StoreError> {
        Ok(Handle { conn: self.pool.acquire().await?, dialect: self.dialect })
    }

    /// A transaction. On SQLite it takes the write lock at once: a transaction that reads first and
    /// writes later would otherwise fail when another one wrote in between.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let (pool, dialect) = (self.pool.clone(), self.dialect);
        // In a task of its own, because it must not be cut off: sqlx knows of a transaction only once the
        // answer to `BEGIN` has come. Dropped before that (a lock that is lost drops the work under it),
        // the connection would go back to the pool with a transaction open on the server.
        let begun = tokio::spawn(async move {
            match dialect {
                Dialect::Sqlite => pool.begin_with("BEGIN IMMEDIATE").await,
                Dialect::Postgres | Dialect::MySql => pool.begin().await,
            }
        });
        let conn = begun.await.map_err(|_| sqlx::Error::WorkerCrashed)??;
        let mut handle = Handle { conn, dialect: self.dialect };
        let at = handle.now().await?;
        Ok(Tx { handle, at, names: self.names.clone() })
    }

    /// Which database this is.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read().await?.now().await.map(drop)
    }

    /// Closes all connections; on SQLite this also folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Tx {
    /// When this transaction happens: the database's clock, read at its beginning.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Commits a change of state, with the entries that tell of it as its last statements.
    /// Gives the number of the last entry.
    pub async fn commit(
        mut self,
        first: Entry,
        more: impl IntoIterator<Item = Entry> + Send,
    ) -> Result<i64, StoreError> {
        let more: Vec<Entry> = more.into_iter().collect();
        // On the heap, or the future of everything that commits would be as large.
        let last = Box::pin(self.append(std::iter::once(first).chain(more).collect())).await?;
        self.handle.conn.commit().await.map_err(StoreError::of_commit)?;
        Ok(last)
    }

    /// Commits what is no change of state: when a job was rung, how long a lease lasts, when a token
    /// was last used.
    pub(crate) async fn commit_bookkeeping(self) -> Result<(), StoreError> {
        Ok(self.handle.conn.commit().await?)
    }
}
