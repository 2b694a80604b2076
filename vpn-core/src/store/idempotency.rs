//! Idempotency keys: the same caller, key and input give the first answer again.

use std::{ops::DerefMut, time::Duration};

use sqlx::AnyConnection;

use super::{Handle, StoreError, Tx, row::Reading};
use crate::{
    clock::Timestamp,
    domain::{ApprovalId, ClientId, JobId, ServerId},
};

/// How long a key is remembered.
const KEPT: Duration = Duration::from_hours(24);

/// What a call made, for giving it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The client it was about.
    pub client_id: Option<ClientId>,
    /// The job it queued.
    pub job_id: Option<JobId>,
    /// The server it was about.
    pub server_id: Option<ServerId>,
    /// The request for approval that it became.
    pub approval_id: Option<ApprovalId>,
}

/// A key that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// For which operation it was used.
    pub operation: String,
    /// SHA-256 of the input it was used with.
    pub request_hash: [u8; 32],
    /// What the call made.
    pub result: Remembered,
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The key of this caller, if it was used within the last 24 hours before `now`.
    pub async fn idempotency_key(
        &mut self,
        principal: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let sql = self.dialect.sql(
            "SELECT operation, request_hash, client_id, job_id, server_id, approval_id FROM idempotency_keys \
             WHERE principal = $1 AND idem_key = $2 AND created_at > $3",
        );
        let found = sqlx::query(sql)
            .bind(principal.to_owned())
            .bind(key.to_owned())
            .bind(now.minus(KEPT).micros())
            .fetch_optional(self.conn())
            .await?;
        let Some(row) = found else { return Ok(None) };
        let read = Reading::of(&row, "idempotency_keys");
        Ok(Some(IdempotencyRecord {
            operation: read.text("operation")?,
            request_hash: read.hash("request_hash")?,
            result: Remembered {
                client_id: read.parsed_opt("client_id")?,
                job_id: read.parsed_opt("job_id")?,
                server_id: read.parsed_opt("server_id")?,
                approval_id: read.parsed_opt("approval_id")?,
            },
        }))
    }
}

impl Tx {
    /// Forgets keys that are too old to be remembered.
    pub async fn forget_old_keys(&mut self) -> Result<(), StoreError> {
        let sql = self.dialect.sql("DELETE FROM idempotency_keys WHERE created_at <= $1");
        let until = self.at.minus(KEPT).micros();
        sqlx::query(sql).bind(until).execute(self.conn()).await?;
        Ok(())
    }

    /// Remembers a key with what its call made. [`StoreError::Duplicate`] when another call with it
    /// committed in between.
    pub async fn remember(&mut self, principal: &str, key: &str, record: &IdempotencyRecord) -> Result<(), StoreError> {
        let at = self.at;
        let expired = self
            .dialect
            .sql("DELETE FROM idempotency_keys WHERE principal = $1 AND idem_key = $2 AND created_at <= $3");
        sqlx::query(expired)
            .bind(principal.to_owned())
            .bind(key.to_owned())
            .bind(at.minus(KEPT).micros())
            .execute(self.conn())
            .await?;
        let sql = self.dialect.sql(
            "INSERT INTO idempotency_keys (principal, idem_key, operation, request_hash, client_id, job_id, \
             server_id, approval_id, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        );
        sqlx::query(sql)
            .bind(principal.to_owned())
            .bind(key.to_owned())
            .bind(&record.operation)
            .bind(record.request_hash.to_vec())
            .bind(record.result.client_id.map(|id| id.to_string()))
            .bind(record.result.job_id.map(|id| id.to_string()))
            .bind(record.result.server_id.map(|id| id.to_string()))
            .bind(record.result.approval_id.map(|id| id.to_string()))
            .bind(at.micros())
            .execute(self.conn())
            .await?;
        Ok(())
    }
}
