//! Live events.

use async_graphql::{Context, Error, ID, Subscription};
use futures_util::{Stream, StreamExt as _};

use super::{
    Scope,
    cursor::{self, EventPlace, filter_id},
    types::{ApprovalEvent, AuditLogEvent, ClientStatusEvent, JobEvent},
};
use crate::error::{bad_input, told};

pub(crate) struct Subscription;

/// Live events, each at least once and in order. With `after`, the cursor of the last event that was
/// seen, everything that was missed comes first; the cursor of an entry in `auditLog` will do, too. A token
/// that ends, ends them.
#[Subscription]
impl Subscription {
    /// The status of one client, and the job that is changing it: without `after` the present state
    /// first, then every change.
    async fn client_status(
        &self,
        ctx: &Context<'_>,
        id: ID,
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<ClientStatusEvent, Error>> + use<>, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let id = id.parse().map_err(|_| bad_input("there is no client with this id"))?;
        let events = platform.client_events(caller, id, place(after)?).await.map_err(told)?;
        Ok(events.map(|event| event.map(ClientStatusEvent::from).map_err(told)))
    }

    /// Jobs that are queued or change; of one client, or of all. Without `after`, from now on.
    async fn job_events(
        &self,
        ctx: &Context<'_>,
        client_id: Option<ID>,
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<JobEvent, Error>> + use<>, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let client_id = filter_id("clientId", client_id.as_ref())?;
        let events = platform.job_events(caller, client_id, place(after)?).await.map_err(told)?;
        Ok(events.map(|event| event.map(JobEvent::from).map_err(told)))
    }

    /// What is asked for that needs a second person, and what is decided. Without `after`, from now on. Needs
    /// the permission `approval.read`.
    async fn approval_events(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<ApprovalEvent, Error>> + use<>, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let events = platform.approval_events(caller, place(after)?).await.map_err(told)?;
        Ok(events.map(|event| event.map(ApprovalEvent::from).map_err(told)))
    }

    /// The audit log as it grows. Without `after`, from now on. Needs the permission `audit.read`.
    async fn audit_entries(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<AuditLogEvent, Error>> + use<>, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let entries = platform.audit_entries(caller, place(after)?).await.map_err(told)?;
        Ok(entries.map(|entry| entry.map(|entry| AuditLogEvent::from(&*entry)).map_err(told)))
    }
}

fn place(after: Option<String>) -> Result<Option<i64>, Error> {
    after.map(|cursor| cursor::decode::<EventPlace>("after", &cursor).map(|place| place.0)).transpose()
}
