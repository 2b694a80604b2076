//! Rows into an empty database. Its triggers refuse rows that begin anywhere but at the beginning, and
//! none of them is switched off: each row is written as it began and led through legal transitions to
//! where it was.

use std::collections::HashMap;

use super::tables::{Kind, Row, Table};
use crate::{
    audit::AuditEntry,
    clock::Timestamp,
    store::{Dialect, Store, StoreError, Tx},
};

/// What is written of a client and of a job at the beginning; the rest has its default.
const CLIENT_AT_FIRST: &[&str] = &["id", "server_id", "name", "serial", "created_by", "created_at"];
const JOB_AT_FIRST: &[&str] = &[
    "id",
    "client_id",
    "kind",
    "max_attempts",
    "input",
    "requested_by",
    "request_id",
    "retry_of",
    "queued_at",
    "run_after_at",
    "rang_at",
];
const JOB_CLAIMED: &[&str] = &["attempts", "fence", "attempt", "started_at"];
const JOB_AT_LAST: &[&str] =
    &["state", "step", "generation", "lease_until_at", "finished_at", "error_code", "error_message"];
const ACTIVATION: &[&str] = &["activated_at", "cert_sha256", "cert_not_before_at", "cert_not_after_at"];

/// A value that goes into a statement.
enum Given<'r> {
    Of(&'r Row, &'static str),
    Text(&'static str),
    Bytes(Vec<u8>),
    Null,
}

impl Store {
    /// Brings the schema of an empty database up to date, and begins the one transaction that fills it.
    /// The second is the version of the schema. [`StoreError::Schema`] when somebody has used it before.
    pub async fn begin_restore(&self) -> Result<(Tx, i64), StoreError> {
        self.migrate_schema().await?;
        let mut tx = self.begin().await?;
        for table in Table::ALL {
            let sql = tx.dialect.sql(format!("SELECT COUNT(*) FROM {}", table.name()));
            let rows: i64 = sqlx::query_scalar(sql).fetch_one(tx.conn()).await?;
            if rows > 0 {
                return Err(StoreError::Schema(format!(
                    "the database is in use, its table `{}` has {rows} rows: restore into a new, empty database",
                    table.name()
                )));
            }
        }
        let schema = tx.schema_version().await?;
        Ok((tx, schema))
    }
}

impl Tx {
    /// Writes a row of a table whose rows have no history: settings, servers, idempotency keys.
    pub async fn replay_plain(&mut self, table: Table, row: &Row) -> Result<(), StoreError> {
        // What an older schema did not have yet gets its default.
        let columns = table.columns().iter().map(|(name, _)| *name).filter(|name| row.has(name));
        let columns: Vec<&'static str> = columns.collect();
        self.insert(table, row, &columns).await
    }

    /// Writes a token, and when it was used and revoked.
    pub async fn replay_token(&mut self, row: &Row) -> Result<(), StoreError> {
        let at_first = ["id", "principal", "role", "scopes", "secret_hash", "created_by", "created_at", "expires_at"];
        self.insert(Table::Tokens, row, &at_first).await?;
        self.lead(Table::Tokens, row, &["revoked_at", "revoked_by", "last_used_at"]).await
    }

    /// Writes an approval, and what became of it.
    pub async fn replay_approval(&mut self, row: &Row) -> Result<(), StoreError> {
        let at_last = ["state", "decided_by", "decided_at", "reason", "job_id"];
        let all: Vec<&'static str> = Table::Approvals.columns().iter().map(|(name, _)| *name).collect();
        let at_first: Vec<&'static str> = all.into_iter().filter(|name| !at_last.contains(name)).collect();
        self.insert(Table::Approvals, row, &at_first).await?;
        if row.is_pending() {
            return Ok(());
        }
        self.lead(Table::Approvals, row, &at_last).await
    }

    /// Writes a client with its jobs, finished ones first, and its profile. Provisions are led to their
    /// end before anybody asked for the client's.
    pub async fn replay_client(&mut self, client: &Row, jobs: &[Row], profile: Option<&Row>) -> Result<(), StoreError> {
        self.insert(Table::Clients, client, CLIENT_AT_FIRST).await?;
        for job in jobs.iter().filter(|job| job.text("kind") == "provision") {
            self.replay_job(job).await?;
        }
        if let Some(profile) = profile {
            self.replay_profile(profile).await?;
        }
        self.lead(Table::Clients, client, &["fence"]).await?;
        if client.has("activated_at") {
            self.lead_to(Table::Clients, client, "status", "active", ACTIVATION).await?;
        }
        if client.has("revoke_requested_at") {
            self.lead(Table::Clients, client, &["revoke_requested_at", "revoke_reason"]).await?;
        }
        for job in jobs.iter().filter(|job| job.text("kind") != "provision") {
            self.replay_job(job).await?;
        }
        if client.text("status") == "revoked" {
            self.lead(Table::Clients, client, &["status", "revoked_at"]).await?;
        }
        Ok(())
    }

    async fn replay_job(&mut self, job: &Row) -> Result<(), StoreError> {
        self.insert(Table::Jobs, job, JOB_AT_FIRST).await?;
        let state = job.text("state");
        if job.int("attempts") > 0 {
            self.lead_to(Table::Jobs, job, "state", "running", JOB_CLAIMED).await?;
            if state == "canceled" {
                self.lead_to(Table::Jobs, job, "state", "queued", &[]).await?;
            }
        }
        self.lead(Table::Jobs, job, JOB_AT_LAST).await
    }

    /// A profile that is gone was there once.
    async fn replay_profile(&mut self, profile: &Row) -> Result<(), StoreError> {
        let sealed = Given::Bytes(profile.bytes("sealed"));
        let values = vec![
            ("client_id", Given::Of(profile, "client_id")),
            ("sealed", sealed),
            ("has_key", Given::Of(profile, "has_key")),
            ("stored_at", Given::Of(profile, "stored_at")),
        ];
        self.insert_values(Table::Profiles, values).await?;
        let mut values: Vec<_> =
            ["delivered_at", "delivered_to", "destroyed_at"].map(|name| (name, Given::Of(profile, name))).into();
        if !profile.has("sealed") {
            values.push(("sealed", Given::Null));
        }
        self.update_values(Table::Profiles, profile, values).await
    }

    /// Writes an entry of the audit log byte for byte, and moves the head behind it.
    pub async fn replay_entry(&mut self, row: &Row) -> Result<(), StoreError> {
        self.replay_plain(Table::AuditLog, row).await?;
        let update = self.dialect.sql("UPDATE audit_head SET seq = $1, leaf_hash = $2 WHERE one = 1");
        sqlx::query(update).bind(row.int("seq")).bind(row.bytes("leaf_hash")).execute(self.conn()).await?;
        Ok(())
    }

    async fn insert(&mut self, table: Table, row: &Row, columns: &[&'static str]) -> Result<(), StoreError> {
        let present = columns.iter().filter(|column| row.has(column));
        self.insert_values(table, present.map(|column| (*column, Given::Of(row, column))).collect()).await
    }

    /// Sets these columns as the row has them.
    async fn lead(&mut self, table: Table, row: &Row, columns: &[&'static str]) -> Result<(), StoreError> {
        self.update_values(table, row, columns.iter().map(|column| (*column, Given::Of(row, column))).collect()).await
    }

    /// The same, on the way through the state `state`.
    async fn lead_to(
        &mut self,
        table: Table,
        row: &Row,
        column: &'static str,
        state: &'static str,
        columns: &[&'static str],
    ) -> Result<(), StoreError> {
        let mut values: Vec<_> = columns.iter().map(|column| (*column, Given::Of(row, column))).collect();
        values.push((column, Given::Text(state)));
        self.update_values(table, row, values).await
    }

    async fn insert_values(&mut self, table: Table, values: Vec<(&'static str, Given<'_>)>) -> Result<(), StoreError> {
        let columns: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        let places: Vec<String> = (1..=values.len()).map(|at| format!("${at}")).collect();
        let (columns, places) = (columns.join(", "), places.join(", "));
        let sql = self.dialect.sql(format!("INSERT INTO {} ({columns}) VALUES ({places})", table.name()));
        let mut query = sqlx::query(sql);
        for (name, value) in values {
            query = bind(query, table, name, value);
        }
        query.execute(self.conn()).await?;
        Ok(())
    }

    async fn update_values(
        &mut self,
        table: Table,
        row: &Row,
        values: Vec<(&'static str, Given<'_>)>,
    ) -> Result<(), StoreError> {
        let key = table.key().first().copied().unwrap_or_default();
        let sets: Vec<String> =
            values.iter().enumerate().map(|(at, (name, _))| format!("{name} = ${}", at + 1)).collect();
        let (sets, last) = (sets.join(", "), values.len() + 1);
        let sql = self.dialect.sql(format!("UPDATE {} SET {sets} WHERE {key} = ${last}", table.name()));
        let mut query = sqlx::query(sql);
        for (name, value) in values {
            query = bind(query, table, name, value);
        }
        query = query.bind(row.text(key).to_owned());
        match (query.execute(self.conn()).await?.rows_affected(), self.dialect) {
            // MySQL counts only rows that it had to change.
            (1, _) | (0, Dialect::MySql) => Ok(()),
            _ => Err(StoreError::Damaged { table: table.name(), what: "a row is lost under way".to_owned() }),
        }
    }
}

type AnyQuery<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn bind<'q>(query: AnyQuery<'q>, table: Table, name: &str, value: Given<'_>) -> AnyQuery<'q> {
    let kind = table.columns().iter().find(|(known, _)| *known == name).map_or(Kind::Text, |(_, kind)| *kind);
    match (value, kind) {
        (Given::Text(text), _) => query.bind(text.to_owned()),
        (Given::Bytes(bytes), _) => query.bind(bytes),
        (Given::Null, Kind::Bytes) => query.bind(None::<Vec<u8>>),
        (Given::Null, Kind::Int) => query.bind(None::<i64>),
        (Given::Null, Kind::Text) => query.bind(None::<String>),
        (Given::Of(row, column), Kind::Int) => query.bind(row.has(column).then(|| row.int(column))),
        (Given::Of(row, column), Kind::Text) => query.bind(row.has(column).then(|| row.text(column).to_owned())),
        (Given::Of(row, column), Kind::Bytes) => query.bind(row.has(column).then(|| row.bytes(column))),
    }
}

/// For checking entries on their way in.
impl Row {
    /// The row as an entry of the audit log; `None` if it is none.
    #[must_use]
    pub fn as_entry(&self) -> Option<AuditEntry> {
        let optional = |column: &str| self.has(column).then(|| self.text(column).to_owned());
        Some(AuditEntry {
            seq: self.int("seq"),
            previous_hash: self.bytes("prev_hash").try_into().ok()?,
            hash: self.bytes("leaf_hash").try_into().ok()?,
            canonical: self.bytes("canonical"),
            columns: crate::audit::Columns {
                at: Timestamp::from_micros(self.int("at")),
                actor: self.text("actor").to_owned(),
                action: self.text("action").to_owned(),
                outcome: self.text("outcome").to_owned(),
                client_id: optional("client_id"),
                job_id: optional("job_id"),
            },
            values: HashMap::new(),
        })
    }
}
