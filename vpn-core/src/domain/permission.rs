//! Who may do what. [`TABLE`] is the only place that says so.
//!
//! A caller may do what their role includes *and* a scope of their token reaches. What no row grants is
//! refused.

use std::{fmt, str::FromStr};

use super::Invalid;

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

/// What a token may be narrowed to. A role gives, a scope takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// See clients, jobs, servers, health, and what waits for approval.
    Read,
    /// Create, provision and revoke clients, and take their profiles.
    Clients,
    /// See the audit log.
    Audit,
    /// Make VPN hosts known, and reconcile with them.
    Servers,
    /// See, make and revoke tokens.
    Tokens,
    /// Approve and deny what others asked for.
    Approvals,
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
    /// See where a VPN host and the database differ.
    ReadDrift,
    /// See and revoke one's own tokens.
    OwnTokens,
    /// See everybody's tokens.
    ReadTokens,
    /// Make tokens, and revoke everybody's.
    ManageTokens,
    /// See what waits for a second person, and what became of it.
    ReadApprovals,
    /// Approve or deny what somebody else asked for, and what one may do oneself.
    DecideApproval,
}

/// One row of the table: a permission, the scope that a token needs for it, and the roles that have it.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    /// What is permitted.
    pub permission: Permission,
    /// As the audit log and the API have it.
    pub name: &'static str,
    /// The scope that reaches it.
    pub scope: Scope,
    /// Who has it.
    pub roles: &'static [Role],
    /// What it is, for people.
    pub what: &'static str,
}

const ALL: &[Role] = &Role::ALL;
const DOERS: &[Role] = &[Role::Operator, Role::Admin];
const ADMIN: &[Role] = &[Role::Admin];
const ALL_BUT_VIEWERS: &[Role] = &[Role::Operator, Role::Auditor, Role::Admin];
const OVERSEERS: &[Role] = &[Role::Auditor, Role::Admin];

const fn grant(
    permission: Permission,
    name: &'static str,
    scope: Scope,
    roles: &'static [Role],
    what: &'static str,
) -> Grant {
    Grant { permission, name, scope, roles, what }
}

/// Who may do what, in the order of [`Permission`].
pub const TABLE: [Grant; 17] = {
    use Permission as P;
    use Scope as S;
    [
        grant(P::ReadClients, "client.read", S::Read, ALL, "see clients, jobs and servers, and follow them live"),
        grant(P::ReadHealth, "health.read", S::Read, ALL, "see whether the service can do its work"),
        grant(P::ReadAudit, "audit.read", S::Audit, ALL_BUT_VIEWERS, "see and follow the audit log"),
        grant(P::CreateClient, "client.create", S::Clients, DOERS, "record a client"),
        grant(P::ProvisionClient, "client.provision", S::Clients, DOERS, "let a client in"),
        grant(P::RevokeClient, "client.revoke", S::Clients, DOERS, "shut a client out"),
        grant(P::RetryJob, "job.retry", S::Clients, DOERS, "have a failed job done again"),
        grant(P::DeliverProfile, "profile.deliver", S::Clients, DOERS, "take a connection profile"),
        grant(P::RegisterServer, "server.register", S::Servers, ADMIN, "make a VPN host known"),
        grant(P::ManageServers, "server.manage", S::Servers, ADMIN, "pin a VPN host's key; disable, enable, retire it"),
        grant(P::ReconcileServer, "server.reconcile", S::Servers, ADMIN, "bring the database level with a VPN host"),
        grant(P::ReadDrift, "server.drift", S::Read, ALL_BUT_VIEWERS, "see where a VPN host and the database differ"),
        grant(P::OwnTokens, "token.own", S::Tokens, ALL, "see and revoke one's own tokens"),
        grant(P::ReadTokens, "token.read", S::Tokens, OVERSEERS, "see everybody's tokens"),
        grant(P::ManageTokens, "token.manage", S::Tokens, ADMIN, "make tokens, and revoke everybody's"),
        grant(P::ReadApprovals, "approval.read", S::Read, ALL_BUT_VIEWERS, "see what waits for a second person"),
        grant(
            P::DecideApproval,
            "approval.decide",
            S::Approvals,
            DOERS,
            "approve or deny what somebody else asked for",
        ),
    ]
};

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

    /// Whether the table grants it.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        permission.row().is_some_and(|row| row.roles.contains(&self))
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

impl Permission {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.permission)
    }

    fn row(self) -> Option<&'static Grant> {
        TABLE.get(self as usize)
    }

    /// As the audit log has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// The scope that a token needs for it.
    #[must_use]
    pub fn scope(self) -> Scope {
        // The widest harm there is, for what no row grants anybody.
        self.row().map_or(Scope::Tokens, |row| row.scope)
    }
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Read, Self::Clients, Self::Audit, Self::Servers, Self::Tokens, Self::Approvals];

    /// As SQL, audit and command lines have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Clients => "clients",
            Self::Audit => "audit",
            Self::Servers => "servers",
            Self::Tokens => "tokens",
            Self::Approvals => "approvals",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl FromStr for Scope {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| Invalid::new("a scope is read, clients, audit, servers, tokens or approvals"))
    }
}

/// A set of scopes. In text they stand in their order, with commas between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    /// Everything that a role gives.
    pub const ALL: Self = Self(0b11_1111);

    /// Whether this scope is in it.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in it, in their order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Scope::as_str).collect();
        f.write_str(&words.join(","))
    }
}

impl FromStr for Scopes {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.split(',').map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_stands_in_its_own_row() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.permission as usize, at, "{}", row.name);
            assert_eq!((row.permission.as_str(), row.permission.scope()), (row.name, row.scope));
        }
        let names: std::collections::HashSet<&str> = TABLE.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), TABLE.len());
    }

    /// Written down a second time, so that nobody widens a role by accident.
    #[test]
    fn each_role_has_exactly_this() {
        let may = |role: Role| Permission::all().filter(|it| role.may(*it)).map(Permission::as_str).collect::<Vec<_>>();
        assert_eq!(may(Role::Viewer), ["client.read", "health.read", "token.own"]);
        let operator = [
            "client.read",
            "health.read",
            "audit.read",
            "client.create",
            "client.provision",
            "client.revoke",
            "job.retry",
            "profile.deliver",
            "server.drift",
            "token.own",
            "approval.read",
            "approval.decide",
        ];
        assert_eq!(may(Role::Operator), operator);
        let auditor =
            ["client.read", "health.read", "audit.read", "server.drift", "token.own", "token.read", "approval.read"];
        assert_eq!(may(Role::Auditor), auditor);
        assert_eq!(may(Role::Admin).len(), TABLE.len());
    }

    #[test]
    fn a_set_of_scopes_is_read_back_and_holds_what_was_put_in() {
        for bits in 1..=Scopes::ALL.0 {
            let scopes = Scopes(bits);
            assert_eq!(scopes.to_string().parse(), Ok(scopes));
            assert_eq!(scopes.iter().collect::<Scopes>(), scopes);
        }
        assert_eq!(Scope::ALL.into_iter().collect::<Scopes>(), Scopes::ALL);
        for odd in ["", "read,", "READ", "all", "read clients"] {
            assert!(odd.parse::<Scopes>().is_err(), "{odd}");
        }
    }
}
