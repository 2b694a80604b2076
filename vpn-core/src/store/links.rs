//! Links to profiles. Only the hash of what opens one is here.

use std::ops::DerefMut;

use sqlx::AnyConnection;

use super::{Handle, StoreError, Tx, row::Reading};
use crate::{
    clock::Timestamp,
    domain::{ClientId, LinkId},
};

/// A link that is about to be stored.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// Its id.
    pub id: LinkId,
    /// To whose profile.
    pub client_id: ClientId,
    /// SHA-256 of the secret that opens it.
    pub secret_hash: [u8; 32],
    /// By whom.
    pub created_by: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A link as it is stored.
#[derive(Clone, Debug)]
pub struct StoredLink {
    /// Its id.
    pub id: LinkId,
    /// To whose profile.
    pub client_id: ClientId,
    /// By whom it was made.
    pub created_by: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When the profile was taken with it.
    pub used_at: Option<Timestamp>,
    /// Whether a token of who made it was revoked since: it may have been made by who had stolen that token.
    pub is_disowned: bool,
}

/// The tokens that disown a link by having been revoked.
const DISOWNING: &str =
    "FROM tokens WHERE principal = profile_links.created_by AND revoked_at >= profile_links.created_at";

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The link that a secret with this hash opens.
    pub async fn link(&mut self, secret_hash: [u8; 32]) -> Result<Option<StoredLink>, StoreError> {
        let sql = self.dialect.sql(format!(
            "SELECT id, client_id, created_by, expires_at, used_at, (SELECT COUNT(*) {DISOWNING}) AS disowning \
             FROM profile_links WHERE secret_hash = $1"
        ));
        let Some(row) = sqlx::query(sql).bind(secret_hash.to_vec()).fetch_optional(self.conn()).await? else {
            return Ok(None);
        };
        let read = Reading::of(&row, "profile_links");
        Ok(Some(StoredLink {
            id: read.parsed("id")?,
            client_id: read.parsed("client_id")?,
            created_by: read.text("created_by")?,
            expires_at: read.time("expires_at")?,
            used_at: read.time_opt("used_at")?,
            is_disowned: read.int("disowning")? > 0,
        }))
    }

    /// How many links to this client's profile are good at `now`.
    pub async fn open_links(&mut self, client_id: ClientId, now: Timestamp) -> Result<i64, StoreError> {
        let sql = self.dialect.sql(format!(
            "SELECT COUNT(*) FROM profile_links WHERE client_id = $1 AND expires_at > $2 AND used_at IS NULL \
             AND NOT EXISTS (SELECT 1 {DISOWNING})"
        ));
        let count = sqlx::query_scalar(sql).bind(client_id.to_string()).bind(now.micros());
        Ok(count.fetch_one(self.conn()).await?)
    }
}

impl Tx {
    /// Stores a link.
    pub async fn insert_link(&mut self, new: &NewLink) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "INSERT INTO profile_links (id, client_id, secret_hash, created_by, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        );
        let at = self.at.micros();
        sqlx::query(sql)
            .bind(new.id.to_string())
            .bind(new.client_id.to_string())
            .bind(new.secret_hash.to_vec())
            .bind(&new.created_by)
            .bind(at)
            .bind(new.expires_at.micros())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// The profile is taken with this link. [`StoreError::Fenced`] when it was used, has ended or is disowned.
    pub async fn use_link(&mut self, id: LinkId) -> Result<(), StoreError> {
        let sql = self.dialect.sql(format!(
            "UPDATE profile_links SET used_at = $1 WHERE id = $2 AND used_at IS NULL AND expires_at > $3 \
             AND NOT EXISTS (SELECT 1 {DISOWNING})"
        ));
        let at = self.at.micros();
        self.touches_one(sqlx::query(sql).bind(at).bind(id.to_string()).bind(at)).await
    }
}
