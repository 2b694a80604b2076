//! What waits for a second person, and what became of it.

use std::ops::DerefMut;

use sqlx::{AnyConnection, any::AnyRow};

use super::{
    Handle, Page, PageRequest, StoreError, Tx,
    page::{Conditions, may_be_stored},
    row::Reading,
};
use crate::{
    clock::Timestamp,
    domain::{Approval, ApprovalId, ApprovalState, Credential, JobId, Operation},
};

/// Which approvals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// In this state now.
    pub state: Option<ApprovalState>,
    /// Of this mutation.
    pub operation: Option<Operation>,
    /// Asked for by this principal.
    pub requested_by: Option<String>,
}

const APPROVAL: &str = "id, operation, input, client_id, requested_by, role, scopes, credential, request_id, \
     requested_at, expires_at, state, decided_by, decided_at, reason, job_id";

fn approval(row: &AnyRow) -> Result<Approval, StoreError> {
    let read = Reading::of(row, "approvals");
    let input = serde_json::from_str(&read.text("input")?)
        .map_err(|error| StoreError::Damaged { table: "approvals", what: format!("column `input`: {error}") })?;
    Ok(Approval {
        id: read.parsed("id")?,
        operation: read.parsed("operation")?,
        input,
        client_id: read.parsed_opt("client_id")?,
        requested_by: read.parsed("requested_by")?,
        role: read.parsed("role")?,
        scopes: read.parsed("scopes")?,
        credential: read.parsed_opt("credential")?.unwrap_or(Credential::Embedded),
        request_id: read.parsed("request_id")?,
        requested_at: read.time("requested_at")?,
        expires_at: read.time("expires_at")?,
        stored: read.parsed("state")?,
        decided_by: read.parsed_opt("decided_by")?,
        decided_at: read.time_opt("decided_at")?,
        reason: read.text_opt("reason")?,
        job_id: read.parsed_opt("job_id")?,
    })
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The approval with this id, and the database's time, to compare its end with.
    pub async fn approval(&mut self, id: ApprovalId) -> Result<(Option<Approval>, Timestamp), StoreError> {
        let now = self.now().await?;
        Ok((self.approval_where_id(id, "").await?, now))
    }

    async fn approval_where_id(&mut self, id: ApprovalId, lock: &str) -> Result<Option<Approval>, StoreError> {
        let sql = self.dialect.sql(format!("SELECT {APPROVAL} FROM approvals WHERE id = $1{lock}"));
        let found = sqlx::query(sql).bind(id.to_string()).fetch_optional(self.conn()).await?;
        found.as_ref().map(approval).transpose()
    }

    /// A page of approvals, newest first, and the database's time.
    pub async fn approvals(
        &mut self,
        filter: &ApprovalFilter,
        page: &PageRequest<ApprovalId>,
    ) -> Result<(Page<Approval>, Timestamp), StoreError> {
        let now = self.now().await?;
        if filter.requested_by.as_deref().is_some_and(|name| !may_be_stored(name)) {
            return Ok((Page::empty(), now));
        }
        let mut conditions = Conditions::default();
        conditions.add("operation =", filter.operation.map(|it| it.as_str().to_owned()));
        conditions.add("requested_by =", filter.requested_by.clone());
        match filter.state {
            Some(ApprovalState::Pending) => {
                conditions.add("state =", Some("pending".to_owned()));
                conditions.add("expires_at >", Some(now.micros()));
            }
            // Noted or not: who decided, decided in time.
            Some(ApprovalState::Expired) => {
                conditions.add("expires_at <=", Some(now.micros()));
                conditions.among("state", &["pending".to_owned(), "expired".to_owned()]);
            }
            other => conditions.add("state =", other.map(|it| it.as_str().to_owned())),
        }
        conditions.between("id", page);
        let sql = self.dialect.sql(conditions.select(APPROVAL, "approvals", &page.order("id")));
        let rows = conditions.bind(sqlx::query(sql)).bind(page.limit()).fetch_all(self.conn()).await?;
        Ok((Page::cut(rows.iter().map(approval).collect::<Result<_, _>>()?, page), now))
    }

    /// What this principal has asked for with this input and waits for, if it is not over.
    pub async fn waiting_approval(&mut self, like: &Approval) -> Result<Option<Approval>, StoreError> {
        let mut conditions = Conditions::default();
        conditions.add("state =", Some("pending".to_owned()));
        conditions.add("expires_at >", Some(like.requested_at.micros()));
        conditions.add("operation =", Some(like.operation.as_str().to_owned()));
        conditions.add("requested_by =", Some(like.requested_by.as_str().to_owned()));
        conditions.add("input =", Some(like.input.to_string()));
        let sql = self.dialect.sql(conditions.select(APPROVAL, "approvals", "id"));
        let rows = conditions.bind(sqlx::query(sql)).bind(1_i64).fetch_all(self.conn()).await?;
        rows.first().map(approval).transpose()
    }

    /// Approvals that are stored as pending though their time is over, oldest first.
    pub async fn lapsed_approvals(&mut self, limit: i64) -> Result<Vec<Approval>, StoreError> {
        let now = self.now().await?.micros();
        let mut conditions = Conditions::default();
        conditions.add("state =", Some("pending".to_owned()));
        conditions.add("expires_at <=", Some(now));
        let sql = self.dialect.sql(conditions.select(APPROVAL, "approvals", "id"));
        let rows = conditions.bind(sqlx::query(sql)).bind(limit).fetch_all(self.conn()).await?;
        rows.iter().map(approval).collect()
    }
}

/// How an approval ended.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// In this state.
    pub state: ApprovalState,
    /// By whom; nobody if its time was over.
    pub by: Option<&'a str>,
    /// Why it was denied.
    pub reason: Option<&'a str>,
    /// The job that was queued.
    pub job_id: Option<JobId>,
}

impl Tx {
    /// The approval with this id; nobody else decides about it until this transaction ends. Locked before
    /// any client or job.
    pub async fn lock_approval(&mut self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        let lock = self.dialect.for_update();
        self.approval_where_id(id, lock).await
    }

    /// Stores an approval, pending.
    pub async fn insert_approval(&mut self, new: &Approval) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "INSERT INTO approvals (id, operation, input, client_id, requested_by, role, scopes, credential, \
             request_id, requested_at, expires_at, state) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending')",
        );
        sqlx::query(sql)
            .bind(new.id.to_string())
            .bind(new.operation.as_str())
            .bind(new.input.to_string())
            .bind(new.client_id.map(|id| id.to_string()))
            .bind(new.requested_by.as_str().to_owned())
            .bind(new.role.as_str())
            .bind(new.scopes.to_string())
            .bind(new.credential.mark())
            .bind(new.request_id.to_string())
            .bind(new.requested_at.micros())
            .bind(new.expires_at.micros())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Notes that nobody decided in time.
    pub async fn expire_approval(&mut self, id: ApprovalId) -> Result<(), StoreError> {
        let state = ApprovalState::Expired;
        self.decide_approval(id, &Decision { state, by: None, reason: None, job_id: None }).await
    }

    /// Ends an approval that is pending, once.
    pub async fn decide_approval(&mut self, id: ApprovalId, decision: &Decision<'_>) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "UPDATE approvals SET state = $1, decided_by = $2, decided_at = $3, reason = $4, job_id = $5 \
             WHERE id = $6 AND state = 'pending'",
        );
        let query = sqlx::query(sql)
            .bind(decision.state.as_str())
            .bind(decision.by.map(str::to_owned))
            .bind(self.at.micros())
            .bind(decision.reason.map(str::to_owned))
            .bind(decision.job_id.map(|id| id.to_string()))
            .bind(id.to_string());
        self.touches_one(query).await
    }
}
