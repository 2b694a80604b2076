//! Who asks, and what they may do. The table in [`Role::may`] is the only place that says so.

use std::{fmt, str::FromStr};

use super::{Invalid, RequestId, TokenId};
use crate::clock::Timestamp;

/// What a caller may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sees clients, jobs, servers.
    Viewer,
    /// Runs the daily business: clients are created, provisioned, revoked.
    Operator,
    /// Sees everything, the audit log included; changes nothing.
    Auditor,
    /// May do everything.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Auditor, Self::Admin];

    /// As SQL, audit and command lines have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// Who may do what. Deny by default: what no arm grants is refused.
    #[must_use]
    pub const fn may(self, permission: Permission) -> bool {
        use Permission as P;
        match permission {
            P::ReadClients | P::ReadHealth => true,
            P::ReadAudit => matches!(self, Self::Auditor | Self::Admin | Self::Operator),
            P::CreateClient | P::ProvisionClient | P::RevokeClient | P::RetryJob | P::DeliverProfile => {
                matches!(self, Self::Operator | Self::Admin)
            }
            P::RegisterServer | P::ManageServers | P::ReconcileServer | P::ManageTokens => matches!(self, Self::Admin),
        }
    }
}

impl FromStr for Role {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| Invalid::new("a role is viewer, operator, auditor or admin"))
    }
}

/// One thing that needs permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See clients, jobs and servers, and follow them live.
    ReadClients,
    /// See whether the service can do its work.
    ReadHealth,
    /// See the audit log.
    ReadAudit,
    /// Record a client.
    CreateClient,
    /// Queue a provision job.
    ProvisionClient,
    /// Queue a revoke job.
    RevokeClient,
    /// Queue a failed job again.
    RetryJob,
    /// Take a connection profile.
    DeliverProfile,
    /// Make a VPN host known.
    RegisterServer,
    /// Pin a VPN host's key; disable, enable and retire it.
    ManageServers,
    /// Bring the database level with a VPN host that is ahead of it.
    ReconcileServer,
    /// Make, list and revoke tokens.
    ManageTokens,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::ReadClients,
        Self::ReadHealth,
        Self::ReadAudit,
        Self::CreateClient,
        Self::ProvisionClient,
        Self::RevokeClient,
        Self::RetryJob,
        Self::DeliverProfile,
        Self::RegisterServer,
        Self::ManageServers,
        Self::ReconcileServer,
        Self::ManageTokens,
    ];

    /// As the audit log has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadClients => "client.read",
            Self::ReadHealth => "health.read",
            Self::ReadAudit => "audit.read",
            Self::CreateClient => "client.create",
            Self::ProvisionClient => "client.provision",
            Self::RevokeClient => "client.revoke",
            Self::RetryJob => "job.retry",
            Self::DeliverProfile => "profile.deliver",
            Self::RegisterServer => "server.register",
            Self::ManageServers => "server.manage",
            Self::ReconcileServer => "server.reconcile",
            Self::ManageTokens => "token.manage",
        }
    }
}

/// The name of a person or program: 1 to 64 of letters, digits and `. _ @ - +`. Names that begin
/// with `system:` are the platform's own and cannot be given to anybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal(String);

impl Principal {
    /// The platform's own maintenance, `system:PART`.
    pub(crate) fn system(part: &'static str) -> Self {
        Self(format!("system:{part}"))
    }

    /// Somebody whose name is not known.
    pub(crate) fn anonymous() -> Self {
        Self("anonymous".to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Principal {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'@' | b'-' | b'+');
        if !(1..=64).contains(&text.len()) || !text.bytes().all(allowed) || text == "anonymous" {
            return Err(Invalid::new(
                "a principal's name has 1 to 64 letters, digits, `.`, `_`, `@`, `-` or `+`, and is not `anonymous`",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who is asking, in one request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Their name.
    pub principal: Principal,
    /// What they may be.
    pub role: Role,
    /// The token they came with; an embedding service needs none.
    pub token: Option<TokenId>,
    /// When their token ends.
    pub expires_at: Option<Timestamp>,
    /// The request.
    pub request_id: RequestId,
}

impl Caller {
    /// For a service that embeds the platform and has checked its caller itself.
    #[must_use]
    pub fn embedded(principal: Principal, role: Role, request_id: RequestId) -> Self {
        Self { principal, role, token: None, expires_at: None, request_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_changes_nothing_and_an_admin_may_do_all() {
        use Permission as P;
        for permission in Permission::ALL {
            assert!(Role::Admin.may(permission), "{permission:?}");
            let reads = matches!(permission, P::ReadClients | P::ReadHealth | P::ReadAudit);
            assert!(reads || !Role::Viewer.may(permission), "{permission:?}");
            assert_eq!(Role::Auditor.may(permission), reads, "{permission:?}");
        }
        assert!(!Role::Viewer.may(Permission::ReadAudit));
        assert!(!Role::Operator.may(Permission::RegisterServer));
    }

    #[test]
    fn nobody_can_be_called_like_the_system() {
        for bad in ["system:worker", "", "a b", "anonymous", "a\n"] {
            assert!(bad.parse::<Principal>().is_err(), "{bad:?}");
        }
    }
}
