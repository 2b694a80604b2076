//! The rows of the audit log. Nothing here changes one: entries are appended and read.

use std::{collections::HashMap, ops::DerefMut};

use sqlx::{AnyConnection, Row as _, any::AnyRow};

use super::{
    End, Handle, Page, PageRequest, StoreError, Tx,
    connect::LOG_ORIGIN,
    page::{Conditions, may_be_stored},
    row::Reading,
};
use crate::{
    audit::{self, Action, AuditEntry, Entry, Hash, Recorded, leaf_hash},
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
    /// Done by this principal; once the name is erased, by whom it is shown as: `erased:…`.
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

pub(super) const ENTRY: &str = "seq, prev_hash, canonical, leaf_hash, at, actor, action, outcome, client_id, job_id";

pub(super) fn entry(row: &AnyRow) -> Result<AuditEntry, StoreError> {
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
        values: HashMap::new(),
    })
}

fn not_set_up() -> StoreError {
    StoreError::Schema("the database is not set up: run `vpn-graphql migrate`".to_owned())
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The end of the chain.
    pub async fn audit_head(&mut self) -> Result<Head, StoreError> {
        let sql = self.dialect.sql("SELECT seq, leaf_hash FROM audit_head WHERE one = 1");
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
        let mut found = Vec::new();
        for actor in self.columns_of_actor(filter.actor.as_deref()).await? {
            found.extend(self.audit_rows(filter, actor, page).await?);
        }
        // Of a name that has entries of both kinds, the two lists in one.
        let key = |entry: &AuditEntry| (filter.is_about_time().then_some(entry.columns.at), entry.seq);
        match page.from {
            End::Newest => found.sort_unstable_by_key(|entry| std::cmp::Reverse(key(entry))),
            End::Oldest => found.sort_unstable_by_key(key),
        }
        let Page { items, has_next, has_previous } = Page::cut(found, page);
        Ok(Page { items: self.with_values(items).await?, has_next, has_previous })
    }

    /// What the column `actor` may have for this filter: a commitment, or the name itself, as the first version of
    /// entries had it. `None` is no condition.
    async fn columns_of_actor(&mut self, actor: Option<&str>) -> Result<Vec<Option<String>>, StoreError> {
        let Some(actor) = actor else { return Ok(vec![None]) };
        if let Some(mark) = audit::mark_of_erased(actor) {
            return Ok(vec![Some(mark)]);
        }
        let commitment = self.audit_names(vec![actor.to_owned()]).await?.remove(actor);
        let mark = commitment.map(|commitment| audit::mark(&commitment));
        Ok([Some(actor.to_owned()), mark].into_iter().flatten().map(Some).collect())
    }

    /// What a page is cut from.
    async fn audit_rows(
        &mut self,
        filter: &AuditFilter,
        actor: Option<String>,
        page: &PageRequest<i64>,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let (conditions, select) = self.audit_query(filter, actor, page).await?;
        let sql = self.dialect.sql(select);
        let rows = conditions.bind(sqlx::query(sql)).bind(page.limit()).fetch_all(self.conn()).await?;
        rows.iter().map(entry).collect()
    }

    /// How the database finds this page: its plan, in its own words. For whoever wonders why a filter is slow.
    pub async fn explain_audit_page(
        &mut self,
        filter: &AuditFilter,
        page: &PageRequest<i64>,
    ) -> Result<Vec<String>, StoreError> {
        let mut plan = Vec::new();
        for actor in self.columns_of_actor(filter.actor.as_deref()).await? {
            let (conditions, select) = self.audit_query(filter, actor, page).await?;
            let (explain, column) = self.dialect.explain();
            let sql = self.dialect.sql(format!("{explain} {select}"));
            let rows = conditions.bind(sqlx::query(sql)).bind(page.limit()).fetch_all(self.conn()).await?;
            for row in &rows {
                plan.push(row.try_get(column)?);
            }
        }
        Ok(plan)
    }

    /// The query of a page: in the order of an index, so that a page is read and no more.
    async fn audit_query(
        &mut self,
        filter: &AuditFilter,
        actor: Option<String>,
        page: &PageRequest<i64>,
    ) -> Result<(Conditions, String), StoreError> {
        let mut conditions = Conditions::default();
        conditions.add("client_id =", filter.client_id.map(|id| id.to_string()));
        conditions.add("job_id =", filter.job_id.map(|id| id.to_string()));
        conditions.add("actor =", actor);
        conditions.add("action =", filter.action.clone());
        conditions.add("at >=", filter.since.map(Timestamp::micros));
        conditions.add("at <", filter.until.map(Timestamp::micros));
        let order = if filter.is_about_time() {
            for (key, strictly, roughly) in
                [(page.after, "(at, seq) <", "at <="), (page.before, "(at, seq) >", "at >=")]
            {
                if let Some(seq) = key
                    && let Some(entry) = self.audit_entry(seq).await?
                {
                    let at = entry.columns.at.micros();
                    conditions.add(roughly, Some(at));
                    conditions.add_pair(strictly, at, seq);
                }
            }
            ["at", "seq"].map(|key| page.order(key)).join(", ")
        } else {
            conditions.between("seq", page);
            page.order("seq")
        };
        let select = conditions.select(ENTRY, "audit_log", &order);
        Ok((conditions, select))
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
        let entries = rows.iter().map(entry).collect::<Result<_, _>>()?;
        self.with_values(entries).await
    }

    /// The erasures that entries behind `after` tell of.
    pub async fn audit_erasures_after(&mut self, after: i64) -> Result<Vec<AuditEntry>, StoreError> {
        let select = format!("SELECT {ENTRY} FROM audit_log WHERE action = $1 AND seq > $2 ORDER BY seq");
        let sql = self.dialect.sql(select);
        let action = Action::AuditErased.as_str();
        let rows = sqlx::query(sql).bind(action).bind(after).fetch_all(self.conn()).await?;
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
        self.setting(LOG_ORIGIN).await?.ok_or_else(not_set_up)
    }

    /// The entry with this number.
    pub async fn audit_entry(&mut self, seq: i64) -> Result<Option<AuditEntry>, StoreError> {
        Ok(self.audit_after(seq - 1, None, 1).await?.into_iter().find(|entry| entry.seq == seq))
    }
}

impl Tx {
    /// Appends entries. The head row is locked from here to the commit, which makes numbers gap-free
    /// and their order the order of commits; so this comes last in a transaction.
    pub(super) async fn append(&mut self, mut entries: Vec<Entry>) -> Result<i64, StoreError> {
        self.write_texts(&mut entries).await?;
        // From here on all other writers wait: nothing that can be read before is read behind this.
        let (mut head, mut erased, origin) = self.lock_head().await?;
        let people = self.names_in(&mut entries, erased).await?;
        for entry in entries {
            if entry.action().forgets() {
                erased = head.seq + 1;
            }
            let recorded = entry
                .record(&origin, self.at, &people)
                .map_err(|error| StoreError::Damaged { table: "audit_log", what: error.to_string() })?;
            head = self.append_one(head, recorded, erased).await?;
        }
        Ok(head.seq)
    }

    /// The end of the chain, the last entry that made names be forgotten, and the log's name.
    async fn lock_head(&mut self) -> Result<(Head, i64, String), StoreError> {
        let sql = self.dialect.sql(format!(
            "SELECT seq, leaf_hash, erased_seq, (SELECT value FROM settings WHERE name = $1) AS origin \
             FROM audit_head WHERE one = 1{}",
            self.dialect.for_update()
        ));
        let row = sqlx::query(sql).bind(LOG_ORIGIN).fetch_one(self.conn()).await?;
        let read = Reading::of(&row, "audit_head");
        let head = Head { seq: read.int("seq")?, hash: read.hash("leaf_hash")? };
        Ok((head, read.int("erased_seq")?, read.text_opt("origin")?.ok_or_else(not_set_up)?))
    }

    async fn append_one(&mut self, head: Head, recorded: Recorded, erased: i64) -> Result<Head, StoreError> {
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
        let update = self.dialect.sql("UPDATE audit_head SET seq = $1, leaf_hash = $2, erased_seq = $3 WHERE one = 1");
        sqlx::query(update).bind(seq).bind(next.hash.to_vec()).bind(erased).execute(self.conn()).await?;
        Ok(next)
    }
}
