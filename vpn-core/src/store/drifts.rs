//! Where VPN hosts and this database differ, as they were last compared.

use std::{ops::DerefMut, time::Duration};

use sqlx::{AnyConnection, any::AnyRow};

use super::{Handle, StoreError, Tx, row::Reading};
use crate::{
    clock::Timestamp,
    domain::{Drift, DriftReport, JobFailure, NO_CONFIGURATION, Server, ServerId},
};

const TABLE: &str = "server_drifts";
const DRIFT: &str = "server_id, checked_at, error_code, error_message, report, configuration";

fn drift(row: &AnyRow) -> Result<(ServerId, Drift), StoreError> {
    let read = Reading::of(row, TABLE);
    let failure = match (read.text_opt("error_code")?, read.text_opt("error_message")?) {
        (Some(code), Some(message)) => Some(JobFailure { code, message }),
        _ => None,
    };
    let drift = Drift {
        checked_at: read.time_opt("checked_at")?,
        report: read.json_opt("report")?,
        failure,
        confirmed: read.text_opt("configuration")?,
    };
    Ok((read.parsed("server_id")?, drift))
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// What is known of the differences of these servers; those that were never compared are left out.
    pub async fn drifts(&mut self, ids: &[ServerId]) -> Result<Vec<(ServerId, Drift)>, StoreError> {
        let keys = ids.iter().map(ToString::to_string).collect();
        let rows = self.rows_by_key(DRIFT, TABLE, "server_id", " AND tried_at IS NOT NULL", keys).await?;
        rows.iter().map(drift).collect()
    }

    /// Servers that nobody has compared for that long, the longest first.
    pub async fn servers_to_compare(&mut self, every: Duration) -> Result<Vec<Server>, StoreError> {
        self.servers_due(TABLE, "'unconfirmed', 'retired'", every).await
    }
}

impl Tx {
    /// Takes it on oneself to compare a server. `false` when somebody else has done so meanwhile.
    pub async fn claim_comparison(&mut self, id: ServerId, every: Duration) -> Result<bool, StoreError> {
        self.claim_server(TABLE, id, every).await
    }

    /// Stores what came of the comparison that was begun at `begun`, unless a later one has been stored already.
    /// The first configuration that is found is the one that later ones are held against.
    pub async fn note_comparison(
        &mut self,
        id: ServerId,
        begun: Timestamp,
        came: &Result<DriftReport, JobFailure>,
    ) -> Result<(), StoreError> {
        let (report, failure) = (came.as_ref().ok(), came.as_ref().err());
        let json = |report: &DriftReport| {
            serde_json::to_string(report).map_err(|error| StoreError::Damaged { table: TABLE, what: error.to_string() })
        };
        let sql = self.dialect.sql(
            "UPDATE server_drifts SET tried_at = $1, error_code = $2, error_message = $3, \
             checked_at = COALESCE($4, checked_at), report = COALESCE($5, report), \
             configuration = COALESCE(configuration, $6) WHERE server_id = $7 AND (tried_at IS NULL OR tried_at <= $8)",
        );
        sqlx::query(sql)
            .bind(begun.micros())
            .bind(failure.map(|it| it.code.clone()))
            .bind(failure.map(|it| it.message.clone()))
            .bind(report.map(|_| begun.micros()))
            .bind(report.map(json).transpose()?)
            // One that is not there cannot be what it should have.
            .bind(report.map(|it| it.configuration.clone()).filter(|it| it != NO_CONFIGURATION))
            .bind(id.to_string())
            .bind(begun.micros())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Forgets the names of people that were seen on this server: who was connected, and what differed.
    pub async fn forget_observations(&mut self, id: ServerId) -> Result<(), StoreError> {
        for sql in [
            "UPDATE server_drifts SET report = NULL WHERE server_id = $1",
            "UPDATE server_contacts SET sessions = NULL WHERE server_id = $1",
        ] {
            sqlx::query(self.dialect.sql(sql)).bind(id.to_string()).execute(self.conn()).await?;
        }
        Ok(())
    }

    /// From now on OpenVPN on this server has to have the configuration with this SHA-256.
    pub async fn confirm_configuration(&mut self, id: ServerId, sha256: &str) -> Result<(), StoreError> {
        let sql = self.dialect.sql("UPDATE server_drifts SET configuration = $1 WHERE server_id = $2");
        self.touches_one(sqlx::query(sql).bind(sha256.to_owned()).bind(id.to_string())).await
    }
}
