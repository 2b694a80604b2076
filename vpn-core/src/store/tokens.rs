//! Access tokens. Only the hash of a secret is here.

use std::{ops::DerefMut, time::Duration};

use sqlx::AnyConnection;

use super::{
    Handle, Page, PageRequest, StoreError, Tx,
    page::{Conditions, may_be_stored},
    row::Reading,
};
use crate::{
    clock::Timestamp,
    domain::{Principal, Role, Scopes, TokenId},
};

/// A token that is about to be stored.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// Whose.
    pub principal: Principal,
    /// What they may be.
    pub role: Role,
    /// What of it they may do with this token.
    pub scopes: Scopes,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// By whom.
    pub created_by: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A token as it is stored.
#[derive(Clone, Debug)]
pub struct StoredToken {
    /// Its id.
    pub id: TokenId,
    /// Whose.
    pub principal: Principal,
    /// What they may be.
    pub role: Role,
    /// What of it they may do with this token.
    pub scopes: Scopes,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// By whom.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl StoredToken {
    /// Whether it is neither revoked nor at its end.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at > now
    }
}

/// Which tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenFilter {
    /// Of this principal.
    pub principal: Option<String>,
    /// Only those that hold now, or only those that do not.
    pub active: Option<bool>,
}

const TOKEN: &str =
    "id, principal, role, scopes, secret_hash, created_by, created_at, expires_at, revoked_at, last_used_at";

fn token(row: &sqlx::any::AnyRow) -> Result<StoredToken, StoreError> {
    let read = Reading::of(row, "tokens");
    Ok(StoredToken {
        id: read.parsed("id")?,
        principal: read.parsed("principal")?,
        role: read.parsed("role")?,
        scopes: read.parsed("scopes")?,
        secret_hash: read.hash("secret_hash")?,
        created_by: read.text("created_by")?,
        created_at: read.time("created_at")?,
        expires_at: read.time("expires_at")?,
        revoked_at: read.time_opt("revoked_at")?,
        last_used_at: read.time_opt("last_used_at")?,
    })
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The token with this id, and the database's time, to compare its end with.
    pub async fn token(&mut self, id: TokenId) -> Result<(Option<StoredToken>, Timestamp), StoreError> {
        let now = self.now().await?;
        let sql = self.dialect.sql(format!("SELECT {TOKEN} FROM tokens WHERE id = $1"));
        let found = sqlx::query(sql).bind(id.to_string()).fetch_optional(self.conn()).await?;
        Ok((found.as_ref().map(token).transpose()?, now))
    }

    /// A page of tokens, newest first.
    pub async fn tokens(
        &mut self,
        filter: &TokenFilter,
        page: &PageRequest<TokenId>,
    ) -> Result<Page<StoredToken>, StoreError> {
        if filter.principal.as_deref().is_some_and(|name| !may_be_stored(name)) {
            return Ok(Page::empty());
        }
        let mut conditions = Conditions::default();
        conditions.add("principal =", filter.principal.clone());
        if let Some(active) = filter.active {
            let now = self.now().await?.micros();
            // When it was revoked lies behind; so this is its end, whatever brought it about.
            let end = if active { "COALESCE(revoked_at, expires_at) >" } else { "COALESCE(revoked_at, expires_at) <=" };
            conditions.add(end, Some(now));
        }
        conditions.between("id", page);
        let sql = self.dialect.sql(conditions.select(TOKEN, "tokens", &page.order("id")));
        let rows = conditions.bind(sqlx::query(sql)).bind(page.limit()).fetch_all(self.conn()).await?;
        Ok(Page::cut(rows.iter().map(token).collect::<Result<_, _>>()?, page))
    }
}

impl Tx {
    /// Stores a token.
    pub async fn insert_token(&mut self, new: &NewToken) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "INSERT INTO tokens (id, principal, role, scopes, secret_hash, created_by, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let at = self.at.micros();
        sqlx::query(sql)
            .bind(new.id.to_string())
            .bind(new.principal.as_str())
            .bind(new.role.as_str())
            .bind(new.scopes.to_string())
            .bind(new.secret_hash.to_vec())
            .bind(&new.created_by)
            .bind(at)
            .bind(new.expires_at.micros())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Ends a token. `false` when it was ended before, or never was.
    pub async fn revoke_token(&mut self, id: TokenId, by: &str) -> Result<bool, StoreError> {
        let sql =
            self.dialect.sql("UPDATE tokens SET revoked_at = $1, revoked_by = $2 WHERE id = $3 AND revoked_at IS NULL");
        let at = self.at.micros();
        let done = sqlx::query(sql).bind(at).bind(by.to_owned()).bind(id.to_string()).execute(self.conn()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes that a token was used, unless that was noted within the last `every`.
    pub async fn touch_token(&mut self, id: TokenId, every: Duration) -> Result<(), StoreError> {
        let sql = self
            .dialect
            .sql("UPDATE tokens SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at <= $3)");
        let at = self.at;
        let query = sqlx::query(sql).bind(at.micros()).bind(id.to_string()).bind(at.minus(every).micros());
        query.execute(self.conn()).await?;
        Ok(())
    }
}
