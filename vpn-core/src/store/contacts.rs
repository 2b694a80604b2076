//! What VPN hosts said when they were last looked at.

use std::{ops::DerefMut, time::Duration};

use sqlx::{AnyConnection, any::AnyRow};

use super::{Handle, StoreError, Tx, row, row::Reading};
use crate::{
    clock::Timestamp,
    domain::{Contact, CrlRenewal, Fence, FencingToken, HostFacts, JobFailure, Server, ServerId, Sessions},
};

const CONTACT: &str = "server_id, looked_at, answered_at, error_code, error_message, presented_key, facts, sessions, \
     renewal";

/// What came of looking at a host.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// Why it did not answer, or not well.
    pub failure: Option<JobFailure>,
    /// The host key that it shows, where that is not the pinned one.
    pub presented_key: Option<String>,
    /// What it says of itself; `None` leaves what was known.
    pub facts: Option<HostFacts>,
    /// Who is connected; `None` leaves what was known.
    pub sessions: Option<Sessions>,
    /// What workers do about its CRL; `None` leaves what was known.
    pub renewal: Option<CrlRenewal>,
}

fn contact(row: &AnyRow) -> Result<(ServerId, Contact), StoreError> {
    let read = Reading::of(row, "server_contacts");
    let failure = match (read.text_opt("error_code")?, read.text_opt("error_message")?) {
        (Some(code), Some(message)) => Some(JobFailure { code, message }),
        _ => None,
    };
    let contact = Contact {
        looked_at: read.time("looked_at")?,
        answered_at: read.time_opt("answered_at")?,
        failure,
        presented_key: read.text_opt("presented_key")?,
        facts: read.json_opt("facts")?,
        sessions: read.json_opt("sessions")?,
        renewal: read.json_opt("renewal")?,
    };
    Ok((read.parsed("server_id")?, contact))
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// What is known of these servers; those that nobody has looked at yet are left out.
    pub async fn contacts(&mut self, ids: &[ServerId]) -> Result<Vec<(ServerId, Contact)>, StoreError> {
        let keys = ids.iter().map(ToString::to_string).collect();
        let rows =
            self.rows_by_key(CONTACT, "server_contacts", "server_id", " AND looked_at IS NOT NULL", keys).await?;
        rows.iter().map(contact).collect()
    }

    /// What is known of this server; `None` when nobody has looked at it yet.
    pub async fn contact(&mut self, id: ServerId) -> Result<Option<Contact>, StoreError> {
        Ok(self.contacts(&[id]).await?.pop().map(|(_, contact)| contact))
    }

    /// The highest fencing token under which the CRL of this server was to be renewed.
    pub async fn renewal_fence(&mut self, id: ServerId) -> Result<FencingToken, StoreError> {
        let sql = self.dialect.sql("SELECT renewal_fence FROM server_contacts WHERE server_id = $1");
        let row = sqlx::query(sql).bind(id.to_string()).fetch_optional(self.conn()).await?;
        let token = row.map(|row| Reading::of(&row, "server_contacts").int("renewal_fence")).transpose()?;
        Ok(token.map_or(FencingToken::ZERO, FencingToken::new))
    }

    /// Servers that nobody has looked at for that long, the longest first.
    pub async fn servers_to_look_at(&mut self, every: Duration) -> Result<Vec<Server>, StoreError> {
        self.servers_due("server_contacts", "'retired'", every).await
    }

    /// Servers that are in none of these states, and that nobody has claimed in this table for that long.
    pub(super) async fn servers_due(
        &mut self,
        table: &str,
        but: &str,
        every: Duration,
    ) -> Result<Vec<Server>, StoreError> {
        let before = self.now().await?.minus(every);
        let columns = row::SERVER.split(", ").map(|column| format!("s.{column}")).collect::<Vec<_>>().join(", ");
        let sql = self.dialect.sql(format!(
            "SELECT {columns} FROM servers s LEFT JOIN {table} c ON c.server_id = s.id \
             WHERE s.state NOT IN ({but}) AND (c.claimed_at IS NULL OR c.claimed_at <= $1) ORDER BY COALESCE(c.claimed_at, 0), s.id"
        ));
        let rows = sqlx::query(sql).bind(before.micros()).fetch_all(self.conn()).await?;
        rows.iter().map(row::server).collect()
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Damaged { table: "server_contacts", what: error.to_string() })
}

impl Tx {
    /// Takes it on oneself to look at a server. `false` when somebody else has done so meanwhile.
    pub async fn claim_look(&mut self, id: ServerId, every: Duration) -> Result<bool, StoreError> {
        self.claim_server("server_contacts", id, every).await
    }

    /// Takes it on oneself to see to a server, in this table of claims.
    pub(super) async fn claim_server(
        &mut self,
        table: &str,
        id: ServerId,
        every: Duration,
    ) -> Result<bool, StoreError> {
        let (at, before) = (self.at, self.at.minus(every));
        let sql = format!("UPDATE {table} SET claimed_at = $1 WHERE server_id = $2 AND claimed_at <= $3");
        let sql = self.dialect.sql(sql);
        let claimed =
            sqlx::query(sql).bind(at.micros()).bind(id.to_string()).bind(before.micros()).execute(self.conn()).await?;
        if claimed.rows_affected() == 1 {
            return Ok(true);
        }
        let sql = self.dialect.sql(format!("SELECT claimed_at FROM {table} WHERE server_id = $1"));
        if sqlx::query(sql).bind(id.to_string()).fetch_optional(self.conn()).await?.is_some() {
            return Ok(false);
        }
        let sql = self.dialect.sql(format!("INSERT INTO {table} (server_id, claimed_at) VALUES ($1, $2)"));
        match sqlx::query(sql).bind(id.to_string()).bind(at.micros()).execute(self.conn()).await.map_err(Into::into) {
            Ok(_) => Ok(true),
            Err(StoreError::Duplicate(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Stores what came of the look that was claimed at `begun`, unless a later one has been stored already.
    /// What the host said of itself before its CRL was renewed is not written over what it said then.
    pub async fn note_look(&mut self, id: ServerId, begun: Timestamp, looked: &Looked) -> Result<(), StoreError> {
        let answered = looked.facts.is_some().then_some(self.at.micros());
        let facts = looked.facts.as_ref().map(json).transpose()?;
        let sessions = looked.sessions.as_ref().map(json).transpose()?;
        let renewal = looked.renewal.as_ref().map(json).transpose()?;
        let sql = self.dialect.sql(
            "UPDATE server_contacts SET looked_at = $1, error_code = $2, error_message = $3, presented_key = $4, \
             answered_at = COALESCE($5, answered_at), \
             facts = CASE WHEN renewal_tried_at >= $6 THEN facts ELSE COALESCE($7, facts) END, \
             sessions = COALESCE($8, sessions), renewal = COALESCE($9, renewal) \
             WHERE server_id = $10 AND (looked_at IS NULL OR looked_at <= $11)",
        );
        sqlx::query(sql)
            .bind(begun.micros())
            .bind(looked.failure.as_ref().map(|it| it.code.clone()))
            .bind(looked.failure.as_ref().map(|it| it.message.clone()))
            .bind(looked.presented_key.clone())
            .bind(answered)
            .bind(begun.micros())
            .bind(facts)
            .bind(sessions)
            .bind(renewal)
            .bind(id.to_string())
            .bind(begun.micros())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Takes it on oneself to renew a server's CRL. `false` when somebody else has a newer token, or has
    /// tried less than `again` ago.
    pub async fn begin_renewal(&mut self, id: ServerId, fence: &Fence, again: Duration) -> Result<bool, StoreError> {
        let (token, at) = (fence.token().get(), self.at);
        let sql = self.dialect.sql(
            "UPDATE server_contacts SET renewal_fence = $1, renewal_tried_at = $2 WHERE server_id = $3 \
             AND renewal_fence < $4 AND (renewal_tried_at IS NULL OR renewal_tried_at <= $5)",
        );
        let begun = sqlx::query(sql)
            .bind(token)
            .bind(at.micros())
            .bind(id.to_string())
            .bind(token)
            .bind(at.minus(again).micros())
            .execute(self.conn())
            .await?;
        Ok(begun.rows_affected() == 1)
    }

    /// Notes what came of renewing a server's CRL, and what the host says of itself since.
    /// [`StoreError::Fenced`] when somebody else has taken over.
    pub async fn end_renewal(
        &mut self,
        id: ServerId,
        fence: &Fence,
        outcome: &CrlRenewal,
        facts: &HostFacts,
    ) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "UPDATE server_contacts SET renewal = $1, facts = $2, renewal_tried_at = $3 \
             WHERE server_id = $4 AND renewal_fence = $5",
        );
        let query = sqlx::query(sql)
            .bind(json(outcome)?)
            .bind(json(facts)?)
            .bind(self.at.micros())
            .bind(id.to_string())
            .bind(fence.token().get());
        self.touches_one(query).await
    }
}
