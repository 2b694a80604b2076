//! Following clients and jobs live.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use tokio::time::MissedTickBehavior;

use super::Platform;
use crate::{
    audit::AuditEntry,
    domain::{Caller, ClientId, Permission},
    error::Error,
    events::{ApprovalEvent, ClientEvent, JobEvent},
};

/// A token that was ended, ends its streams within this time.
const CHECKED_EVERY: Duration = Duration::from_secs(5);

impl Platform {
    /// The status of a client and the job that is changing it: without `after` the present state
    /// first, then every change; with it, first all that was missed behind that cursor.
    ///
    /// Ends with [`Error::Unauthenticated`] when the caller's token ends.
    pub async fn client_events(
        &self,
        caller: &Caller,
        id: ClientId,
        after: Option<i64>,
    ) -> Result<impl Stream<Item = Result<ClientEvent, Error>> + Send + use<>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        let mut reader = self.store().read().await?;
        // The head before the state: what changes in between is told twice rather than not at all.
        let head = reader.audit_head().await?.seq;
        let client = reader.client(id).await?.ok_or_else(|| Error::not_found("id", "client"))?;
        let (first, from) = if let Some(cursor) = after {
            (None, known_cursor(cursor, head)?)
        } else {
            let open = reader.open_jobs(&[id]).await?;
            (Some(ClientEvent::present(head, self.ambient().now(), &client, open.last())), head)
        };
        drop(reader);
        let changes = self.deps.events.entries(Some(id), from);
        let changes = changes.filter_map(async |entry| entry.map(|entry| ClientEvent::of_entry(&entry)).transpose());
        let events = futures_util::stream::iter(first.map(Ok)).chain(changes);
        Ok(while_token_holds(self.clone(), caller.clone(), events))
    }

    /// Jobs that are queued or change, of one client or of all; with `after`, first all that was missed
    /// behind that cursor. Ends with [`Error::Unauthenticated`] when the caller's token ends.
    pub async fn job_events(
        &self,
        caller: &Caller,
        client_id: Option<ClientId>,
        after: Option<i64>,
    ) -> Result<impl Stream<Item = Result<JobEvent, Error>> + Send + use<>, Error> {
        self.authorise(caller, Permission::ReadClients).await?;
        let mut reader = self.store().read().await?;
        let head = reader.audit_head().await?.seq;
        if let Some(id) = client_id
            && reader.client(id).await?.is_none()
        {
            return Err(Error::not_found("clientId", "client"));
        }
        let from = after.map_or(Ok(head), |cursor| known_cursor(cursor, head))?;
        drop(reader);
        let changes = self.deps.events.entries(client_id, from);
        let events = changes.filter_map(async |entry| entry.map(|entry| JobEvent::of_entry(&entry)).transpose());
        Ok(while_token_holds(self.clone(), caller.clone(), events))
    }

    /// What is asked for that needs a second person, and what is decided; with `after`, first all that was
    /// missed behind that cursor. Ends with [`Error::Unauthenticated`] when the caller's token ends.
    pub async fn approval_events(
        &self,
        caller: &Caller,
        after: Option<i64>,
    ) -> Result<impl Stream<Item = Result<ApprovalEvent, Error>> + Send + use<>, Error> {
        self.authorise(caller, Permission::ReadApprovals).await?;
        let head = self.store().read().await?.audit_head().await?.seq;
        let from = after.map_or(Ok(head), |cursor| known_cursor(cursor, head))?;
        let entries = self.deps.events.entries(None, from);
        let events = entries.filter_map(async |entry| entry.map(|entry| ApprovalEvent::of_entry(&entry)).transpose());
        Ok(while_token_holds(self.clone(), caller.clone(), events))
    }

    /// The audit log as it grows; with `after`, first all entries behind that cursor. Ends with
    /// [`Error::Unauthenticated`] when the caller's token ends.
    pub async fn audit_entries(
        &self,
        caller: &Caller,
        after: Option<i64>,
    ) -> Result<impl Stream<Item = Result<Arc<AuditEntry>, Error>> + Send + use<>, Error> {
        self.authorise(caller, Permission::ReadAudit).await?;
        let head = self.store().read().await?.audit_head().await?.seq;
        let from = after.map_or(Ok(head), |cursor| known_cursor(cursor, head))?;
        Ok(while_token_holds(self.clone(), caller.clone(), self.deps.events.entries(None, from)))
    }
}

/// Hands the events on until the caller's token ends.
fn while_token_holds<T: Send, S: Stream<Item = Result<T, Error>> + Send>(
    platform: Platform,
    caller: Caller,
    events: S,
) -> impl Stream<Item = Result<T, Error>> + Send + use<T, S> {
    async_stream::stream! {
        let mut events = std::pin::pin!(events);
        let mut checks = tokio::time::interval(CHECKED_EVERY);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => yield event,
                    None => return,
                },
                _ = checks.tick() => match platform.still_holds(&caller).await {
                    Ok(true) => {}
                    Ok(false) => {
                        yield Err(Error::Unauthenticated);
                        return;
                    }
                    // The database is away: no event comes from it either, and the next check decides.
                    Err(error) => tracing::debug!(error.code = error.code(), "a token could not be checked"),
                },
            }
        }
    }
}

/// A cursor of the future is one of another database.
fn known_cursor(cursor: i64, head: i64) -> Result<i64, Error> {
    if (0..=head).contains(&cursor) {
        Ok(cursor)
    } else {
        Err(Error::invalid(
            "after",
            "this cursor is not one of this service: subscribe without it, to begin with the present state",
        ))
    }
}
