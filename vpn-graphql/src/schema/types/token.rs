//! Access tokens.

use async_graphql::{ID, SimpleObject};
use vpn_core::store::StoredToken;

use super::{DateTime, Role};

/// An access token, without its secret, which nobody can find again.
#[derive(SimpleObject)]
pub(crate) struct AccessToken {
    /// Its id; not the token itself.
    id: ID,
    /// Whose it is.
    principal: String,
    /// What its bearer may do.
    role: Role,
    /// Who made it.
    created_by: String,
    /// When it was made.
    created_at: DateTime,
    /// When it ends.
    expires_at: DateTime,
    /// When it was revoked; null when it is not.
    revoked_at: Option<DateTime>,
    /// When it was last used, to the minute; null when it never was.
    last_used_at: Option<DateTime>,
}

impl From<StoredToken> for AccessToken {
    fn from(token: StoredToken) -> Self {
        Self {
            id: ID(token.id.to_string()),
            principal: token.principal.to_string(),
            role: token.role.into(),
            created_by: token.created_by,
            created_at: token.created_at.into(),
            expires_at: token.expires_at.into(),
            revoked_at: token.revoked_at.map(DateTime),
            last_used_at: token.last_used_at.map(DateTime),
        }
    }
}
