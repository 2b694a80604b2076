//! Who asks.

use async_graphql::SimpleObject;
use vpn_core::domain::{Caller, Permission};

use super::{DateTime, Role, Scope};

/// Who is asking.
#[derive(SimpleObject)]
pub(crate) struct Viewer {
    /// Their name, as the audit log has it.
    principal: String,
    /// What they may be.
    role: Role,
    /// What of it they may do with their token.
    scopes: Vec<Scope>,
    /// What they may do, such as `client.create`: what both the role includes and a scope reaches.
    permissions: Vec<&'static str>,
    /// When their token ends; null when it has no end.
    token_expires_at: Option<DateTime>,
}

impl From<&Caller> for Viewer {
    fn from(caller: &Caller) -> Self {
        let granted = Permission::all().filter(|permission| caller.may(*permission));
        Self {
            principal: caller.principal.to_string(),
            role: caller.role.into(),
            scopes: caller.scopes.iter().map(Scope::from).collect(),
            permissions: granted.map(Permission::as_str).collect(),
            token_expires_at: caller.expires_at.map(DateTime),
        }
    }
}
