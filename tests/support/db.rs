//! A fresh database for every test.

use anyhow::{Context, Result};
use sqlx::{AnyConnection, Connection as _};
use tempfile::TempDir;
use vpn_core::store::{Opened, Store, StoreOptions};

use crate::databases::{MariaDb, Postgres};

/// The three kinds of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file.
    Sqlite,
    /// A real PostgreSQL.
    Postgres,
    /// A real MariaDB.
    MariaDb,
}

/// A database that nobody else uses.
#[derive(Debug)]
pub struct Db {
    /// Its kind.
    pub database: Database,
    /// How to reach it.
    pub url: String,
    /// A store on it.
    pub store: Store,
    /// SQLite's file goes with this.
    _directory: Option<TempDir>,
}

impl Db {
    /// A new database with the schema in it.
    pub async fn migrated(database: Database) -> Result<Self> {
        let db = Self::empty(database).await?;
        db.store.migrate(Opened::Production).await.context("the schema")?;
        Ok(db)
    }

    /// A PostgreSQL database of a server that a test has for itself, with the schema in it.
    pub async fn on_private(postgres: &Postgres) -> Result<Self> {
        let url = postgres.fresh_database().await?;
        let store = Store::connect_lazy(&StoreOptions::new(url.clone()))?;
        store.migrate(Opened::Production).await.context("the schema")?;
        Ok(Self { database: Database::Postgres, url, store, _directory: None })
    }

    /// A new database without anything in it.
    pub async fn empty(database: Database) -> Result<Self> {
        let (url, directory) = match database {
            Database::Sqlite => {
                let directory = tempfile::tempdir()?;
                (format!("sqlite://{}", directory.path().join("platform.db").display()), Some(directory))
            }
            Database::Postgres => (Postgres::shared().await?.fresh_database().await?, None),
            Database::MariaDb => (MariaDb::shared().await?.fresh_database().await?, None),
        };
        let store = Store::connect_lazy(&StoreOptions::new(url.clone()))?;
        Ok(Self { database, url, store, _directory: directory })
    }

    /// Another store on the same database, as another process would have it.
    pub fn another_store(&self) -> Result<Store> {
        Ok(Store::connect_lazy(&StoreOptions::new(self.url.clone()))?)
    }

    /// A connection that knows nothing of the platform: whoever has the password.
    pub async fn raw(&self) -> Result<AnyConnection> {
        AnyConnection::connect(&self.url).await.context("a raw connection")
    }
}
