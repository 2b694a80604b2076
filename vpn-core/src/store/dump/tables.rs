//! The tables that a backup holds, and their columns, alike on all three databases.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    /// Base64 in a backup.
    Bytes,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Facts about the database itself.
    Settings,
    /// VPN hosts.
    Servers,
    /// Clients.
    Clients,
    /// Their jobs.
    Jobs,
    /// Their profiles, sealed.
    Profiles,
    /// Access tokens, hashed.
    Tokens,
    /// What waits for a second person.
    Approvals,
    /// Idempotency keys.
    IdempotencyKeys,
    /// What entries of the audit log say of people.
    AuditValues,
    /// Which of its entries were sealed.
    AuditSeals,
    /// The audit log.
    AuditLog,
}

type Columns = &'static [(&'static str, Kind)];

const SETTINGS: Columns = &[("name", Kind::Text), ("value", Kind::Text)];
const SERVERS: Columns = &[
    ("id", Kind::Text),
    ("name", Kind::Text),
    ("host", Kind::Text),
    ("port", Kind::Int),
    ("ssh_user", Kind::Text),
    ("host_key", Kind::Text),
    ("state", Kind::Text),
    ("created_by", Kind::Text),
    ("created_at", Kind::Int),
];
const CLIENTS: Columns = &[
    ("id", Kind::Text),
    ("server_id", Kind::Text),
    ("name", Kind::Text),
    ("serial", Kind::Text),
    ("status", Kind::Text),
    ("fence", Kind::Int),
    ("created_by", Kind::Text),
    ("created_at", Kind::Int),
    ("activated_at", Kind::Int),
    ("revoke_requested_at", Kind::Int),
    ("revoke_reason", Kind::Text),
    ("revoked_at", Kind::Int),
    ("cert_sha256", Kind::Text),
    ("cert_not_before_at", Kind::Int),
    ("cert_not_after_at", Kind::Int),
];
const JOBS: Columns = &[
    ("id", Kind::Text),
    ("client_id", Kind::Text),
    ("kind", Kind::Text),
    ("state", Kind::Text),
    ("step", Kind::Text),
    ("attempts", Kind::Int),
    ("max_attempts", Kind::Int),
    ("fence", Kind::Int),
    ("attempt", Kind::Text),
    ("generation", Kind::Int),
    ("input", Kind::Text),
    ("requested_by", Kind::Text),
    ("request_id", Kind::Text),
    ("retry_of", Kind::Text),
    ("queued_at", Kind::Int),
    ("run_after_at", Kind::Int),
    ("rang_at", Kind::Int),
    ("lease_until_at", Kind::Int),
    ("started_at", Kind::Int),
    ("finished_at", Kind::Int),
    ("error_code", Kind::Text),
    ("error_message", Kind::Text),
    ("proofs", Kind::Text),
];
const PROFILES: Columns = &[
    ("client_id", Kind::Text),
    ("sealed", Kind::Bytes),
    ("has_key", Kind::Int),
    ("stored_at", Kind::Int),
    ("delivered_at", Kind::Int),
    ("delivered_to", Kind::Text),
    ("destroyed_at", Kind::Int),
];
const TOKENS: Columns = &[
    ("id", Kind::Text),
    ("principal", Kind::Text),
    ("role", Kind::Text),
    ("scopes", Kind::Text),
    ("secret_hash", Kind::Bytes),
    ("created_by", Kind::Text),
    ("created_at", Kind::Int),
    ("expires_at", Kind::Int),
    ("revoked_at", Kind::Int),
    ("revoked_by", Kind::Text),
    ("last_used_at", Kind::Int),
];
const APPROVALS: Columns = &[
    ("id", Kind::Text),
    ("operation", Kind::Text),
    ("input", Kind::Text),
    ("client_id", Kind::Text),
    ("requested_by", Kind::Text),
    ("role", Kind::Text),
    ("scopes", Kind::Text),
    ("credential", Kind::Text),
    ("request_id", Kind::Text),
    ("requested_at", Kind::Int),
    ("expires_at", Kind::Int),
    ("state", Kind::Text),
    ("decided_by", Kind::Text),
    ("decided_at", Kind::Int),
    ("reason", Kind::Text),
    ("job_id", Kind::Text),
];
const IDEMPOTENCY_KEYS: Columns = &[
    ("principal", Kind::Text),
    ("idem_key", Kind::Text),
    ("operation", Kind::Text),
    ("request_hash", Kind::Bytes),
    ("client_id", Kind::Text),
    ("job_id", Kind::Text),
    ("server_id", Kind::Text),
    ("approval_id", Kind::Text),
    ("created_at", Kind::Int),
];
const AUDIT_VALUES: Columns = &[
    ("commitment", Kind::Text),
    ("salt", Kind::Bytes),
    ("kind", Kind::Text),
    ("value", Kind::Text),
    ("client_id", Kind::Text),
];
const AUDIT_SEALS: Columns = &[
    ("until_seq", Kind::Int),
    ("told_by", Kind::Int),
    ("leaf_hash", Kind::Bytes),
    ("roots", Kind::Bytes),
    ("file", Kind::Text),
    ("file_sha256", Kind::Bytes),
];
const AUDIT_LOG: Columns = &[
    ("seq", Kind::Int),
    ("prev_hash", Kind::Bytes),
    ("canonical", Kind::Bytes),
    ("leaf_hash", Kind::Bytes),
    ("at", Kind::Int),
    ("actor", Kind::Text),
    ("action", Kind::Text),
    ("outcome", Kind::Text),
    ("client_id", Kind::Text),
    ("job_id", Kind::Text),
];

impl Table {
    /// All of them, in the order in which a backup has them; jobs and profiles stand behind their client.
    pub const ALL: [Self; 11] = [
        Self::Settings,
        Self::Servers,
        Self::Clients,
        Self::Jobs,
        Self::Profiles,
        Self::Tokens,
        Self::Approvals,
        Self::IdempotencyKeys,
        Self::AuditValues,
        Self::AuditSeals,
        Self::AuditLog,
    ];

    /// Its name in SQL, and in a backup.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Servers => "servers",
            Self::Clients => "clients",
            Self::Jobs => "jobs",
            Self::Profiles => "profiles",
            Self::Tokens => "tokens",
            Self::Approvals => "approvals",
            Self::IdempotencyKeys => "idempotency_keys",
            Self::AuditValues => "audit_values",
            Self::AuditSeals => "audit_seals",
            Self::AuditLog => "audit_log",
        }
    }

    /// The table with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    pub(super) const fn columns(self) -> Columns {
        match self {
            Self::Settings => SETTINGS,
            Self::Servers => SERVERS,
            Self::Clients => CLIENTS,
            Self::Jobs => JOBS,
            Self::Profiles => PROFILES,
            Self::Tokens => TOKENS,
            Self::Approvals => APPROVALS,
            Self::IdempotencyKeys => IDEMPOTENCY_KEYS,
            Self::AuditValues => AUDIT_VALUES,
            Self::AuditSeals => AUDIT_SEALS,
            Self::AuditLog => AUDIT_LOG,
        }
    }

    /// The columns of its primary key.
    pub(super) const fn key(self) -> &'static [&'static str] {
        match self {
            Self::Settings => &["name"],
            Self::Profiles => &["client_id"],
            Self::IdempotencyKeys => &["principal", "idem_key"],
            Self::AuditValues => &["commitment"],
            Self::AuditSeals => &["until_seq"],
            Self::AuditLog => &["seq"],
            _ => &["id"],
        }
    }
}

/// A row. NULLs are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row(pub(super) Map<String, Value>);

/// A row that no database of the platform can have had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row of `{table}` {what}")]
pub struct RowFault {
    /// Of which table.
    pub table: &'static str,
    /// What is wrong.
    pub what: String,
}

impl Row {
    /// From a backup, checked: known columns of the right kind.
    pub fn read(table: Table, map: Map<String, Value>) -> Result<Self, RowFault> {
        let fault = |what: String| RowFault { table: table.name(), what };
        for (name, value) in &map {
            let column = table.columns().iter().find(|(known, _)| known == name);
            let (_, kind) = column.ok_or_else(|| fault(format!("has the unknown column `{name}`")))?;
            let fits = match kind {
                Kind::Text => value.is_string(),
                Kind::Int => value.is_i64(),
                Kind::Bytes => value.as_str().is_some_and(|text| STANDARD.decode(text).is_ok()),
            };
            if !fits {
                return Err(fault(format!("has a value of the wrong kind in `{name}`")));
            }
        }
        if let Some(missing) = table.key().iter().find(|key| !map.contains_key(**key)) {
            return Err(fault(format!("has no `{missing}`")));
        }
        Ok(Self(map))
    }

    /// For a backup.
    #[must_use]
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Whether this is a job or a profile of that client.
    #[must_use]
    pub fn belongs_to(&self, client: &Self) -> bool {
        self.text("client_id") == client.id()
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("name")
    }

    /// Whether it was revoked.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.has("revoked_at")
    }

    /// Whether it is an approval that nobody has decided on.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.text("state") == "pending"
    }

    pub(super) fn has(&self, column: &str) -> bool {
        self.0.contains_key(column)
    }

    pub(in crate::store) fn text(&self, column: &str) -> &str {
        self.0.get(column).and_then(Value::as_str).unwrap_or_default()
    }

    pub(in crate::store) fn int(&self, column: &str) -> i64 {
        self.0.get(column).and_then(Value::as_i64).unwrap_or_default()
    }

    pub(in crate::store) fn bytes(&self, column: &str) -> Vec<u8> {
        STANDARD.decode(self.text(column)).unwrap_or_default()
    }
}

pub(super) fn encode(bytes: &[u8]) -> Value {
    Value::String(STANDARD.encode(bytes))
}
