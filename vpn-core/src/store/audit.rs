//! The rows of the audit log. Nothing here changes one: entries are appended and read.

use std::ops::DerefMut;

use sqlx::{AnyConnection, any::AnyRow};

use super::{
    Handle, Page, PageRequest, StoreError, Tx,
    connect::LOG_ORIGIN,
    page::{Conditions, may_be_stored},
    row::Reading,
};
use crate::{
    audit::{AuditEntry, Entry, Hash, Recorded, leaf_hash},
    clock::Timestamp,
    domain::{ClientId, JobId},
};

/// The end of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last entry; 0 for an empty log.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
}

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// About this client.
    pub client_id: Option<ClientId>,
    /// Of this job.
    pub job_id: Option<JobId>,
    /// Done by this principal.
    pub actor: Option<String>,
    /// Of this action, `noun.verb`.
    pub action: Option<String>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    const fn is_about_time(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }
}

const ENTRY: &str = "seq, prev_hash, canonical, leaf_hash, at, actor, action, outcome, client_id, job_id";

fn entry(row: &AnyRow) -> Result<AuditEntry, StoreError> {
    let read = Reading::of(row, "audit_log");
    Ok(AuditEntry {
        seq: read.int("seq")?,
        previous_hash: read.hash("prev_hash")?,
        hash: read.hash("leaf_hash")?,
        canonical: read.bytes("canonical")?,
        columns: crate::audit::Columns {
            at: read.time("at")?,
            actor: read.text("actor")?,
            action: read.text("action")?,
            outcome: read.text("outcome")?,
            client_id: read.text_opt("client_id")?,
            job_id: read.text_opt("job_id")?,
        },
    })
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The end of the chain.
    pub async fn audit_head(&mut self) -> Result<Head, StoreError> {
        self.read_head("").await
    }

    async fn read_head(&mut self, lock: &str) -> Result<Head, StoreError> {
        let sql = self.dialect.sql(format!("SELECT seq, leaf_hash FROM audit_head WHERE one = 1{lock}"));
        let row = sqlx::query(sql).fetch_one(self.conn()).await?;
        let read = Reading::of(&row, "audit_head");
        Ok(Head { seq: read.int("seq")?, hash: read.hash("leaf_hash")? })
    }

    /// A page of entries, newest first: by number, or, when the filter is about time, by time, which is not
    /// quite the same because entries are timed before they are numbered.
    pub async fn audit_page(
        &mut self,
        filter: &AuditFilter,
        page: &PageRequest<i64>,
    ) -> Result<Page<AuditEntry>, StoreError> {
        let words = filter.actor.iter().chain(&filter.action);
        if words.into_iter().any(|word| !may_be_stored(word)) {
            return Ok(Page::empty());
        }
        let mut conditions = Conditions::default();
        conditions.add("client_id =", filter.client_id.map(|id| id.to_string()));
        conditions.add("job_id =", filter.job_id.map(|id| id.to_string()));
        conditions.add("actor =", filter.actor.clone());
        conditions.add("action =", filter.action.clone());
        conditions.add("at >=", filter.since.map(Timestamp::micros));
        conditions.add("at <", filter.until.map(Timestamp::micros));
        // In the order of an index either way, so that a page is read and no more.
        let order = if filter.is_about_time() {
            if let Some(seq) = page.after
                && let Some(last) = self.audit_entry(seq).await?
            {
                let at = last.columns.at.micros();
                conditions.add("at <=", Some(at));
                conditions.add_pair("(at, seq) <", at, seq);
            }
            "at DESC, seq DESC"
        } else {
            conditions.add("seq <", page.after);
            "seq DESC"
        };
        let sql = self.dialect.sql(conditions.select(ENTRY, "audit_log", order));
        let rows = conditions.bind(sqlx::query(sql)).bind(page.limit()).fetch_all(self.conn()).await?;
        Ok(Page::cut(rows.iter().map(entry).collect::<Result<_, _>>()?, page.first))
    }

    /// At most `limit` entries behind the entry `after`, oldest first; of one client, or of all.
    pub async fn audit_after(
        &mut self,
        after: i64,
        client_id: Option<ClientId>,
        limit: i64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut conditions = Conditions::default();
        conditions.add("seq >", Some(after));
        conditions.add("client_id =", client_id.map(|id| id.to_string()));
        let sql = self.dialect.sql(conditions.select(ENTRY, "audit_log", "seq"));
        let rows = conditions.bind(sqlx::query(sql)).bind(limit).fetch_all(self.conn()).await?;
        rows.iter().map(entry).collect()
    }

    /// The hashes of the entries behind `after`, up to and with `last`, in order. Fewer than that when
    /// entries are missing.
    pub async fn audit_leaves(&mut self, after: i64, last: i64) -> Result<Vec<Hash>, StoreError> {
        let sql = self.dialect.sql("SELECT leaf_hash FROM audit_log WHERE seq > $1 AND seq <= $2 ORDER BY seq");
        let rows = sqlx::query(sql).bind(after).bind(last).fetch_all(self.conn()).await?;
        rows.iter().map(|row| Reading::of(row, "audit_log").hash("leaf_hash")).collect()
    }

    /// Names this log.
    pub async fn audit_origin(&mut self) -> Result<String, StoreError> {
        self.setting(LOG_ORIGIN)
            .await?
            .ok_or_else(|| StoreError::Schema("the database is not set up: run `vpn-graphql migrate`".to_owned()))
    }

    /// The entry with this number.
    pub async fn audit_entry(&mut self, seq: i64) -> Result<Option<AuditEntry>, StoreError> {
        Ok(self.audit_after(seq - 1, None, 1).await?.into_iter().find(|entry| entry.seq == seq))
    }
}

impl Tx {
    /// Appends entries. The head row is locked from here to the commit, which makes numbers gap-free
    /// and their order the order of commits; so this comes last in a transaction.
    pub(super) async fn append(&mut self, entries: Vec<Entry>) -> Result<i64, StoreError> {
        let origin = self.audit_origin().await?;
        // From here on all other writers wait: nothing that can be read before is read behind this.
        let lock = self.dialect.for_update();
        let mut head = self.read_head(lock).await?;
        for entry in entries {
            let recorded = entry
                .record(&origin, self.at)
                .map_err(|error| StoreError::Damaged { table: "audit_log", what: error.to_string() })?;
            head = self.append_one(head, recorded).await?;
        }
        Ok(head.seq)
    }

    async fn append_one(&mut self, head: Head, recorded: Recorded) -> Result<Head, StoreError> {
        let seq = head.seq + 1;
        let next = Head { seq, hash: leaf_hash(seq, &head.hash, &recorded.bytes) };
        let columns = recorded.columns;
        let insert = self
            .dialect
            .sql(format!("INSERT INTO audit_log ({ENTRY}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"));
        sqlx::query(insert)
            .bind(seq)
            .bind(head.hash.to_vec())
            .bind(recorded.bytes)
            .bind(next.hash.to_vec())
            .bind(columns.at.micros())
            .bind(columns.actor)
            .bind(columns.action)
            .bind(columns.outcome)
            .bind(columns.client_id)
            .bind(columns.job_id)
            .execute(self.conn())
            .await?;
        let update = self.dialect.sql("UPDATE audit_head SET seq = $1, leaf_hash = $2 WHERE one = 1");
        sqlx::query(update).bind(seq).bind(next.hash.to_vec()).execute(self.conn()).await?;
        Ok(next)
    }
}
