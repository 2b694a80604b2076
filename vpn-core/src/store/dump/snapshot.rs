//! Reading the whole database as it is at one instant, in constant memory.

use serde_json::{Map, Value};
use sqlx::{AnyConnection, Executor as _, any::AnyRow};

use super::tables::{Kind, Row, Table, encode};
use crate::{
    clock::Timestamp,
    store::{Dialect, Handle, Head, Store, StoreError, connect::LOG_ORIGIN, page::Bound, row::Reading},
};

/// Rows that are held in memory at once.
const SLICE: i64 = 200;

/// The database at one instant. Whoever writes meanwhile is not kept waiting.
#[derive(Debug)]
pub struct Snapshot {
    /// A connection of its own, closed at the end: its open transaction must not get into the pool.
    handle: Handle<Box<AnyConnection>>,
}

impl Store {
    /// The database as it is now.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut conn = self.pool.acquire().await?.detach();
        let begin: &[&str] = match self.dialect {
            Dialect::Sqlite => &["BEGIN"],
            Dialect::Postgres => &["BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"],
            Dialect::MySql => &[
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
            ],
        };
        for statement in begin {
            conn.execute(*statement).await?;
        }
        let mut snapshot = Snapshot { handle: Handle { conn: Box::new(conn), dialect: self.dialect } };
        // SQLite and PostgreSQL take the snapshot with the first read.
        snapshot.head().await?;
        Ok(snapshot)
    }
}

impl Snapshot {
    /// The end of the audit log.
    pub async fn head(&mut self) -> Result<Head, StoreError> {
        self.handle.audit_head().await
    }

    /// When this is, by the database's clock.
    pub async fn now(&mut self) -> Result<Timestamp, StoreError> {
        self.handle.now().await
    }

    /// The name of the audit log.
    pub async fn origin(&mut self) -> Result<String, StoreError> {
        let origin = self.handle.setting(LOG_ORIGIN).await?;
        origin.ok_or_else(|| StoreError::Schema("the database is not set up: run `vpn-graphql migrate`".to_owned()))
    }

    /// The version of the schema.
    pub async fn schema(&mut self) -> Result<i64, StoreError> {
        self.handle.schema_version().await
    }

    /// The ids of the keys that profiles are sealed with.
    pub async fn profile_keys(&mut self) -> Result<Vec<String>, StoreError> {
        let sql = self.handle.dialect.sql(
            "SELECT DISTINCT substring(sealed, 2, 8) AS key_id FROM profiles WHERE sealed IS NOT NULL ORDER BY key_id",
        );
        let rows = sqlx::query(sql).fetch_all(self.handle.conn()).await?;
        rows.iter().map(|row| Ok(hex::encode(Reading::of(row, "profiles").bytes("key_id")?))).collect()
    }

    /// The next rows of a table in the order of its key, behind `after`; none at the end.
    pub async fn page(&mut self, table: Table, after: Option<&Row>) -> Result<Vec<Row>, StoreError> {
        // Sealed entries that have not been removed yet are as good as gone.
        let which = match table {
            Table::AuditLog => "seq > (SELECT COALESCE(MAX(until_seq), 0) FROM audit_seals)",
            _ => "",
        };
        self.page_where(table, which, after).await
    }

    /// The next clients: all revoked ones first, because their names may have been used again.
    pub async fn clients(&mut self, revoked: bool, after: Option<&Row>) -> Result<Vec<Row>, StoreError> {
        let which = if revoked { "status = 'revoked'" } else { "status <> 'revoked'" };
        self.page_where(Table::Clients, which, after).await
    }

    /// The jobs of these clients; of each client the finished ones first.
    pub async fn jobs(&mut self, clients: &[Row]) -> Result<Vec<Row>, StoreError> {
        let order = " ORDER BY client_id, CASE WHEN state IN ('queued', 'running') THEN 1 ELSE 0 END, id";
        self.of_clients(Table::Jobs, clients, order).await
    }

    /// The profiles of these clients.
    pub async fn profiles(&mut self, clients: &[Row]) -> Result<Vec<Row>, StoreError> {
        self.of_clients(Table::Profiles, clients, "").await
    }

    async fn of_clients(&mut self, table: Table, clients: &[Row], order: &str) -> Result<Vec<Row>, StoreError> {
        let keys = clients.iter().map(|client| client.text("id").to_owned()).collect();
        let rows = self.handle.rows_by_key(&columns(table), table.name(), "client_id", order, keys).await?;
        rows.iter().map(|row| read(table, row)).collect()
    }

    async fn page_where(&mut self, table: Table, which: &str, after: Option<&Row>) -> Result<Vec<Row>, StoreError> {
        let keys = table.key();
        let mut conditions: Vec<String> = Vec::new();
        if !which.is_empty() {
            conditions.push(which.to_owned());
        }
        let mut values = Vec::new();
        if let Some(after) = after {
            let places: Vec<String> = (1..=keys.len()).map(|at| format!("${at}")).collect();
            conditions.push(format!("({}) > ({})", keys.join(", "), places.join(", ")));
            values = keys.iter().map(|key| key_value(table, after, key)).collect();
        }
        let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        let (columns, name, order, limit) = (columns(table), table.name(), keys.join(", "), values.len() + 1);
        let sql =
            self.handle.dialect.sql(format!("SELECT {columns} FROM {name}{filter} ORDER BY {order} LIMIT ${limit}"));
        let mut query = sqlx::query(sql);
        for value in values {
            query = match value {
                Bound::Text(text) => query.bind(text),
                Bound::Int(int) => query.bind(int),
            };
        }
        let rows = query.bind(SLICE).fetch_all(self.handle.conn()).await?;
        rows.iter().map(|row| read(table, row)).collect()
    }
}

fn columns(table: Table) -> String {
    let names: Vec<&str> = table.columns().iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

fn key_value(table: Table, row: &Row, key: &str) -> Bound {
    let is_int = table.columns().iter().any(|(name, kind)| *name == key && *kind == Kind::Int);
    if is_int { Bound::Int(row.int(key)) } else { Bound::Text(row.text(key).to_owned()) }
}

fn read(table: Table, row: &AnyRow) -> Result<Row, StoreError> {
    let read = Reading::of(row, table.name());
    let mut map = Map::new();
    for (name, kind) in table.columns() {
        let value = match kind {
            Kind::Text => read.text_opt(name)?.map(Value::String),
            Kind::Int => read.int_opt(name)?.map(Value::from),
            Kind::Bytes => read.bytes_opt(name)?.map(|bytes| encode(&bytes)),
        };
        if let Some(value) = value {
            map.insert((*name).to_owned(), value);
        }
    }
    Ok(Row(map))
}
