//! Access tokens.

use async_graphql::{ID, Object};
use vpn_core::store::StoredToken;

use super::{DateTime, Role, Scope};

/// An access token of the core's.
pub(crate) struct AccessToken(pub(crate) StoredToken);

impl From<StoredToken> for AccessToken {
    fn from(token: StoredToken) -> Self {
        Self(token)
    }
}

/// An access token, without its secret, which nobody can find again.
#[Object]
impl AccessToken {
    /// Its id; not the token itself.
    pub(crate) async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// Whose it is.
    async fn principal(&self) -> &str {
        self.0.principal.as_str()
    }

    /// What its bearer may be.
    async fn role(&self) -> Role {
        self.0.role.into()
    }

    /// What of it the token may be used for.
    async fn scopes(&self) -> Vec<Scope> {
        self.0.scopes.iter().map(Scope::from).collect()
    }

    /// Who made it.
    async fn created_by(&self) -> &str {
        &self.0.created_by
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it ends.
    async fn expires_at(&self) -> DateTime {
        self.0.expires_at.into()
    }

    /// When it was revoked; null when it is not.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(DateTime)
    }

    /// When it was last used, to the minute; null when it never was.
    async fn last_used_at(&self) -> Option<DateTime> {
        self.0.last_used_at.map(DateTime)
    }
}
