//! The audit log.

use async_graphql::{Context, ID, Json, Object};
use serde_json::{Map, Value};
use vpn_core::{
    audit,
    domain::{ClientId, JobId},
};

use super::{DateTime, Job, VpnClient};
use crate::schema::{Nullable, Scope, cursor::AuditId};

pub(crate) struct AuditEntry(pub(crate) audit::AuditEntry);

impl From<audit::AuditEntry> for AuditEntry {
    fn from(entry: audit::AuditEntry) -> Self {
        Self(entry)
    }
}

/// One entry of the audit log; never changed, never removed.
#[Object]
impl AuditEntry {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        ID(AuditId(self.0.seq).to_string())
    }

    /// Its number: 1, 2, 3, … without gaps. A string, because it may outgrow `Int`.
    async fn seq(&self) -> String {
        self.0.seq.to_string()
    }

    /// When it happened, by the database's clock.
    async fn at(&self) -> DateTime {
        self.0.columns.at.into()
    }

    /// Who did it: a principal, or `system:…` for maintenance. Once the name was erased: `erased:` and 64 hexadecimal
    /// digits, the same in all entries of that name.
    async fn actor(&self) -> String {
        self.0.actor()
    }

    /// What was done, as `noun.verb`. New ones may appear.
    async fn action(&self) -> &str {
        &self.0.columns.action
    }

    /// How it went: `ok`, `failed` or `refused`.
    async fn outcome(&self) -> &str {
        &self.0.columns.outcome
    }

    /// The client that it is about; null when it is about none.
    async fn client(&self, ctx: &Context<'_>) -> Nullable<VpnClient> {
        let id: ClientId = self.0.columns.client_id.as_deref()?.parse().ok()?;
        Scope::find(ctx, id).await
    }

    /// The job that it is about, as it is now; null when it is about none.
    async fn job(&self, ctx: &Context<'_>) -> Nullable<Job> {
        let id: JobId = self.0.columns.job_id.as_deref()?.parse().ok()?;
        Scope::find(ctx, id).await
    }

    /// What else is told. Never key material, never a profile, never a token. In the place of a value that was erased
    /// stands `erased:` and its commitment.
    async fn detail(&self) -> Json<Map<String, Value>> {
        Json(self.0.detail())
    }

    /// The exact text that is hashed, RFC 8785 JSON: everything above, and of which log it is. Where it is about
    /// people it has `erasable:` and a commitment.
    async fn canonical(&self) -> String {
        String::from_utf8_lossy(&self.0.canonical).into_owned()
    }

    /// The values that it has commitments to, in the order in which it tells them. Entries of before this was so have
    /// none.
    async fn values(&self) -> Vec<ErasableValue> {
        let value = |commitment| ErasableValue { commitment, value: self.0.values.get(&commitment).cloned() };
        self.0.commitments().into_iter().map(value).collect()
    }

    /// The hash that chains it to the entry before it, in 64 hexadecimal digits:
    /// SHA-256 of a zero byte, `seq` as 8 bytes (big-endian), `previousHash` as 32 bytes, and `canonical`.
    async fn hash(&self) -> String {
        hex::encode(self.0.hash)
    }

    /// The hash of the entry before it.
    async fn previous_hash(&self) -> String {
        hex::encode(self.0.previous_hash)
    }
}

/// What an entry says of people, which can be erased: the entry has only the commitment.
pub(crate) struct ErasableValue {
    commitment: audit::Hash,
    value: Option<audit::Erasable>,
}

/// A name, words that somebody wrote, an address, or the output of a program, that an entry of the audit log has only a
/// commitment to: so it can be erased, and the entry does not change.
#[Object]
impl ErasableValue {
    /// SHA-256 of `salt` and the UTF-8 text of `value` behind it, in 64 hexadecimal digits.
    async fn commitment(&self) -> String {
        hex::encode(self.commitment)
    }

    /// 32 random bytes, in 64 hexadecimal digits; null once the value was erased.
    async fn salt(&self) -> Option<String> {
        self.value.as_ref().map(|known| hex::encode(known.salt))
    }

    /// The value; null once it was erased.
    async fn value(&self) -> Option<&str> {
        self.value.as_ref().map(|known| known.value.as_str())
    }
}
