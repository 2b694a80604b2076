//! From rows to the domain's types.

use std::str::FromStr;

use sqlx::{Row as _, any::AnyRow};

use super::StoreError;
use crate::{
    clock::Timestamp,
    domain::{
        Certificate, Client, ClientState, ClientStatus, FencingToken, Job, JobFailure, JobInput, RevocationRequest,
        Server, ServerAddress,
    },
};

/// A row, and the table to name when it is damaged.
pub(super) struct Reading<'r> {
    row: &'r AnyRow,
    table: &'static str,
}

impl<'r> Reading<'r> {
    pub(super) const fn of(row: &'r AnyRow, table: &'static str) -> Self {
        Self { row, table }
    }

    fn damaged(&self, column: &str, why: impl std::fmt::Display) -> StoreError {
        StoreError::Damaged { table: self.table, what: format!("column `{column}`: {why}") }
    }

    pub(super) fn text(&self, column: &str) -> Result<String, StoreError> {
        Ok(self.row.try_get(column)?)
    }

    pub(super) fn text_opt(&self, column: &str) -> Result<Option<String>, StoreError> {
        Ok(self.row.try_get(column)?)
    }

    pub(super) fn int(&self, column: &str) -> Result<i64, StoreError> {
        Ok(self.row.try_get(column)?)
    }

    pub(super) fn int_opt(&self, column: &str) -> Result<Option<i64>, StoreError> {
        Ok(self.row.try_get(column)?)
    }

    pub(super) fn small(&self, column: &str) -> Result<i32, StoreError> {
        let value = self.int(column)?;
        i32::try_from(value).map_err(|error| self.damaged(column, error))
    }

    pub(super) fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        Ok(self.row.try_get(column)?)
    }

    pub(super) fn bytes_opt(&self, column: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.row.try_get(column)?)
    }

    pub(super) fn hash(&self, column: &str) -> Result<[u8; 32], StoreError> {
        self.bytes(column)?.try_into().map_err(|_| self.damaged(column, "not 32 bytes"))
    }

    pub(super) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_micros)
    }

    pub(super) fn time_opt(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.int_opt(column)?.map(Timestamp::from_micros))
    }

    pub(super) fn json_opt<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<Option<T>, StoreError> {
        let text = self.text_opt(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| self.damaged(column, error))).transpose()
    }

    pub(super) fn parsed<T: FromStr>(&self, column: &str) -> Result<T, StoreError>
    where
        T::Err: std::fmt::Display,
    {
        self.text(column)?.parse().map_err(|error| self.damaged(column, error))
    }

    pub(super) fn parsed_opt<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError>
    where
        T::Err: std::fmt::Display,
    {
        self.text_opt(column)?.map(|text| text.parse().map_err(|error| self.damaged(column, error))).transpose()
    }
}

pub(super) const SERVER: &str = "id, name, host, port, ssh_user, host_key, state, created_by, created_at";

pub(super) fn server(row: &AnyRow) -> Result<Server, StoreError> {
    let read = Reading::of(row, "servers");
    let port = u16::try_from(read.int("port")?).map_err(|error| read.damaged("port", error))?;
    Ok(Server {
        id: read.parsed("id")?,
        name: read.parsed("name")?,
        address: ServerAddress::new(&read.text("host")?, port, &read.text("ssh_user")?)
            .map_err(|error| read.damaged("host", error))?,
        host_key: Some(read.text("host_key")?).filter(|key| !key.is_empty()),
        state: read.parsed("state")?,
        created_by: read.text("created_by")?,
        created_at: read.time("created_at")?,
    })
}

pub(super) const CLIENT: &str = "id, server_id, name, serial, status, fence, created_by, created_at, activated_at, \
     revoke_requested_at, revoke_reason, revoked_at, cert_sha256, cert_not_before_at, cert_not_after_at";

pub(super) fn client(row: &AnyRow) -> Result<Client, StoreError> {
    let read = Reading::of(row, "clients");
    let certificate = match (
        read.text_opt("cert_sha256")?,
        read.time_opt("cert_not_before_at")?,
        read.time_opt("cert_not_after_at")?,
    ) {
        (Some(sha256_fingerprint), Some(not_before), Some(not_after)) => {
            Some(Certificate { sha256_fingerprint, not_before, not_after })
        }
        (None, None, None) => None,
        _ => return Err(read.damaged("cert_sha256", "half a certificate")),
    };
    let activated_at = read.time_opt("activated_at")?;
    let state = match (read.parsed("status")?, activated_at, certificate, read.time_opt("revoked_at")?) {
        (ClientStatus::Pending, None, None, None) => ClientState::Pending,
        (ClientStatus::Active, Some(since), Some(certificate), None) => ClientState::Active { since, certificate },
        (ClientStatus::Revoked, activated_at, certificate, Some(at)) => {
            ClientState::Revoked { at, activated_at, certificate }
        }
        _ => return Err(read.damaged("status", "does not fit the columns beside it")),
    };
    let revocation = match (read.time_opt("revoke_requested_at")?, read.text_opt("revoke_reason")?) {
        (Some(at), Some(reason)) => Some(RevocationRequest { at, reason }),
        (None, None) => None,
        _ => return Err(read.damaged("revoke_requested_at", "half a request")),
    };
    Ok(Client {
        id: read.parsed("id")?,
        server_id: read.parsed("server_id")?,
        name: read.parsed("name")?,
        serial: read.parsed("serial")?,
        state,
        revocation,
        fence: FencingToken::new(read.int("fence")?),
        created_by: read.text("created_by")?,
        created_at: read.time("created_at")?,
    })
}

pub(super) const JOB: &str = "id, client_id, kind, state, step, attempts, max_attempts, fence, generation, input, \
     requested_by, request_id, retry_of, queued_at, run_after_at, started_at, finished_at, error_code, error_message, proofs";

pub(super) fn job(row: &AnyRow) -> Result<Job, StoreError> {
    let read = Reading::of(row, "jobs");
    let input: JobInput = serde_json::from_str(&read.text("input")?).map_err(|error| read.damaged("input", error))?;
    if input.kind().as_str() != read.text("kind")? {
        return Err(read.damaged("kind", "is not the input's"));
    }
    let failure = match (read.text_opt("error_code")?, read.text_opt("error_message")?) {
        (Some(code), Some(message)) => Some(JobFailure { code, message }),
        (None, None) => None,
        _ => return Err(read.damaged("error_code", "half an error")),
    };
    let proofs = read.text_opt("proofs")?.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Job {
        id: read.parsed("id")?,
        client_id: read.parsed("client_id")?,
        input,
        state: read.parsed("state")?,
        step: read.parsed_opt("step")?,
        attempts: read.small("attempts")?,
        max_attempts: read.small("max_attempts")?,
        fence: FencingToken::new(read.int("fence")?),
        generation: read.int("generation")?,
        requested_by: read.text("requested_by")?,
        request_id: read.parsed_opt("request_id")?,
        retry_of: read.parsed_opt("retry_of")?,
        queued_at: read.time("queued_at")?,
        run_after_at: read.time("run_after_at")?,
        started_at: read.time_opt("started_at")?,
        finished_at: read.time_opt("finished_at")?,
        failure,
        proofs: proofs.map_err(|error| read.damaged("proofs", error))?.unwrap_or_default(),
    })
}
