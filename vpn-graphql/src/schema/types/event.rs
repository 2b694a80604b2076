//! Live events.

use async_graphql::{ID, Interface, SimpleObject};
use vpn_core::{audit, events};

use super::{AuditEntry, ClientStatus, DateTime, job::JobProgress};
use crate::schema::cursor::{self, EventPlace};

/// What every live event has.
#[derive(Interface)]
#[graphql(
    field(name = "cursor", ty = "&String", desc = "Hand it back as `after` to go on behind this event."),
    field(name = "at", ty = "&DateTime", desc = "When it happened, by the database's clock.")
)]
pub(crate) enum LiveEvent {
    /// Of a client.
    Client(ClientStatusEvent),
    /// Of a job.
    Job(JobEvent),
    /// Of the audit log.
    Log(AuditLogEvent),
}

/// The status of a client, or of the job that is changing it.
#[derive(SimpleObject)]
pub(crate) struct ClientStatusEvent {
    /// Hand it back as `after` to go on behind this event.
    cursor: String,
    /// When it happened, by the database's clock.
    at: DateTime,
    /// Which client.
    client_id: ID,
    /// Its status.
    status: ClientStatus,
    /// The job as it was then; null when the event is about none.
    job: Option<JobProgress>,
}

impl From<events::ClientEvent> for ClientStatusEvent {
    fn from(event: events::ClientEvent) -> Self {
        Self {
            cursor: cursor::encode(EventPlace(event.cursor)),
            at: event.at.into(),
            client_id: ID(event.client_id.to_string()),
            status: event.status.into(),
            job: event.job.map(JobProgress::from),
        }
    }
}

/// A job that was queued or has changed.
#[derive(SimpleObject)]
pub(crate) struct JobEvent {
    /// Hand it back as `after` to go on behind this event.
    cursor: String,
    /// When it happened, by the database's clock.
    at: DateTime,
    /// The client that the job is for.
    client_id: ID,
    /// The job as it was then.
    job: JobProgress,
}

impl From<events::JobEvent> for JobEvent {
    fn from(event: events::JobEvent) -> Self {
        Self {
            cursor: cursor::encode(EventPlace(event.cursor)),
            at: event.at.into(),
            client_id: ID(event.client_id.to_string()),
            job: event.job.into(),
        }
    }
}

/// An entry that was appended to the audit log.
#[derive(SimpleObject)]
pub(crate) struct AuditLogEvent {
    /// Hand it back as `after` to go on behind this event.
    cursor: String,
    /// When it happened, by the database's clock.
    at: DateTime,
    /// The entry.
    entry: AuditEntry,
}

impl From<&audit::AuditEntry> for AuditLogEvent {
    fn from(entry: &audit::AuditEntry) -> Self {
        Self {
            cursor: cursor::encode(EventPlace(entry.seq)),
            at: entry.columns.at.into(),
            entry: AuditEntry(entry.clone()),
        }
    }
}
