//! Connection profiles, sealed. A row without `sealed` is one that the platform no longer has.

use std::ops::DerefMut;

use sqlx::AnyConnection;

use super::{Handle, StoreError, Tx, row::Reading};
use crate::{
    clock::Timestamp,
    domain::{ClientId, Fence},
};

/// A sealed profile that is about to be stored.
#[derive(Clone, Debug)]
pub struct NewProfile {
    /// Whose.
    pub client_id: ClientId,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
    /// Whether it holds a private key, or only certificates (after a CSR).
    pub has_key: bool,
}

/// A profile as it is stored.
#[derive(Clone, Debug)]
pub struct StoredProfile {
    /// The sealed bytes; `None` once it was delivered or destroyed.
    pub sealed: Option<Vec<u8>>,
    /// Whether it holds a private key.
    pub has_key: bool,
    /// When it was handed out.
    pub delivered_at: Option<Timestamp>,
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The profile of this client.
    pub async fn profile(&mut self, client_id: ClientId) -> Result<Option<StoredProfile>, StoreError> {
        let sql = self.dialect.sql("SELECT sealed, has_key, delivered_at FROM profiles WHERE client_id = $1");
        let Some(row) = sqlx::query(sql).bind(client_id.to_string()).fetch_optional(self.conn()).await? else {
            return Ok(None);
        };
        let read = Reading::of(&row, "profiles");
        Ok(Some(StoredProfile {
            sealed: read.bytes_opt("sealed")?,
            has_key: read.int("has_key")? != 0,
            delivered_at: read.time_opt("delivered_at")?,
        }))
    }
}

impl Tx {
    /// Stores the profile of a client that is being provisioned, under the fence of the attempt.
    /// A repeated attempt puts the same profile there again.
    pub async fn store_profile(&mut self, new: &NewProfile, fence: &Fence) -> Result<(), StoreError> {
        let guard = self.dialect.sql(
            "UPDATE profiles SET sealed = $1, has_key = $2, stored_at = $3 WHERE client_id = $4 \
             AND delivered_at IS NULL AND destroyed_at IS NULL \
             AND client_id IN (SELECT id FROM clients WHERE fence = $5)",
        );
        let has_key = i32::from(new.has_key);
        let at = self.at.micros();
        let known = self.profile(new.client_id).await?.is_some();
        if known {
            let query = sqlx::query(guard)
                .bind(new.sealed.clone())
                .bind(has_key)
                .bind(at)
                .bind(new.client_id.to_string())
                .bind(fence.token().get());
            return self.touches_one(query).await;
        }
        let sql = self.dialect.sql(
            "INSERT INTO profiles (client_id, sealed, has_key, stored_at) \
             SELECT id, $1, $2, $3 FROM clients WHERE id = $4 AND fence = $5",
        );
        let query = sqlx::query(sql)
            .bind(new.sealed.clone())
            .bind(has_key)
            .bind(at)
            .bind(new.client_id.to_string())
            .bind(fence.token().get());
        self.touches_one(query).await
    }

    /// The profile is handed out and gone from here. [`StoreError::Fenced`] when it was gone already.
    pub async fn deliver_profile(&mut self, client_id: ClientId, to: &str) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "UPDATE profiles SET sealed = NULL, delivered_at = $1, delivered_to = $2 \
             WHERE client_id = $3 AND sealed IS NOT NULL AND delivered_at IS NULL AND destroyed_at IS NULL",
        );
        let at = self.at.micros();
        self.touches_one(sqlx::query(sql).bind(at).bind(to.to_owned()).bind(client_id.to_string())).await
    }

    /// The client is on its way out: nobody gets the profile any more. `false` when there was none.
    pub async fn destroy_profile(&mut self, client_id: ClientId) -> Result<bool, StoreError> {
        let sql = self
            .dialect
            .sql("UPDATE profiles SET sealed = NULL, destroyed_at = $1 WHERE client_id = $2 AND sealed IS NOT NULL");
        let at = self.at.micros();
        let done = sqlx::query(sql).bind(at).bind(client_id.to_string()).execute(self.conn()).await?;
        Ok(done.rows_affected() == 1)
    }
}
