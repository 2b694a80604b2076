//! Live events.

use async_graphql::{ID, Interface, SimpleObject};
use vpn_core::{audit, events};

use super::{ApprovalState, AuditEntry, ClientStatus, DateTime, TwoPersonOperation, job::JobProgress};
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
    /// Of what needs a second person.
    Approval(ApprovalEvent),
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

/// Something was asked for that needs a second person, or was decided.
#[derive(SimpleObject)]
pub(crate) struct ApprovalEvent {
    /// Hand it back as `after` to go on behind this event.
    cursor: String,
    /// When it happened, by the database's clock.
    at: DateTime,
    /// Which request: look it up with `node`.
    approval_id: ID,
    /// What is to be done.
    operation: TwoPersonOperation,
    /// Where it was then.
    state: ApprovalState,
    /// Who asked.
    requested_by: String,
    /// Who did what this event tells of: the requester, who decided, or `system:approvals` when its time was over.
    actor: String,
}

impl From<events::ApprovalEvent> for ApprovalEvent {
    fn from(event: events::ApprovalEvent) -> Self {
        Self {
            cursor: cursor::encode(EventPlace(event.cursor)),
            at: event.at.into(),
            approval_id: ID(event.approval_id.to_string()),
            operation: event.operation.into(),
            state: event.state.into(),
            requested_by: event.requested_by,
            actor: event.actor,
        }
    }
}
