//! Live status. The audit log is the record of every change, numbered without gaps in the order of
//! commits; a live event is an entry of it, and its cursor the entry's number. So nothing can be
//! missed, and a subscriber that comes back with its last cursor goes on where it was, on any server.
//!
//! One pump per process reads the log in order and hands the entries out, while anybody listens. It
//! is woken by this process's own changes, and by other processes' through Redis; when Redis is away
//! it still looks every second.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use redis::{AsyncCommands as _, aio::ConnectionManager};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    audit::AuditEntry,
    clock::Timestamp,
    domain::{
        ApprovalId, ApprovalState, Client, ClientId, ClientStatus, Job, JobFailure, JobId, JobKind, JobState,
        Operation, Step,
    },
    error::Error,
    store::{Store, StoreError},
};

/// The channel on which processes tell each other that the log has grown.
const CHANNEL: &str = "vpn:events";
/// The longest that an event waits when its announcement was lost.
const EVERY: Duration = Duration::from_secs(1);
/// Entries that a subscriber may be behind before it has to read them from the log again.
const BEHIND: usize = 1024;
/// Entries read from the log at once.
const SLICE: i64 = 500;

/// A job as it was at an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobProgress {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// Where it was.
    pub state: JobState,
    /// How far it had come.
    pub step: Option<Step>,
    /// How often it had been claimed.
    pub attempts: i32,
    /// Why its last attempt failed.
    pub last_error: Option<JobFailure>,
}

/// The status of a client, or of the job at work on it, as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientEvent {
    /// Hand it back to go on behind this event.
    pub cursor: i64,
    /// When.
    pub at: Timestamp,
    /// Which client.
    pub client_id: ClientId,
    /// Its status.
    pub status: ClientStatus,
    /// The job, if the event is about one.
    pub job: Option<JobProgress>,
}

/// A job that was queued or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEvent {
    /// Hand it back to go on behind this event.
    pub cursor: i64,
    /// When.
    pub at: Timestamp,
    /// For which client.
    pub client_id: ClientId,
    /// The job.
    pub job: JobProgress,
}

impl From<&Job> for JobProgress {
    fn from(job: &Job) -> Self {
        Self {
            id: job.id,
            kind: job.kind(),
            state: job.state,
            step: job.step,
            attempts: job.attempts,
            last_error: job.failure.clone(),
        }
    }
}

impl JobProgress {
    fn of_entry(entry: &AuditEntry) -> Option<Self> {
        let mark = entry.job()?;
        Some(Self {
            id: mark.id.parse().ok()?,
            kind: mark.kind.parse().ok()?,
            state: mark.state.parse().ok()?,
            step: mark.step.and_then(|step| step.parse().ok()),
            attempts: mark.attempt,
            last_error: entry.failure(),
        })
    }
}

impl ClientEvent {
    /// The present state, at the cursor that was read before it.
    #[must_use]
    pub fn present(cursor: i64, at: Timestamp, client: &Client, job: Option<&Job>) -> Self {
        Self { cursor, at, client_id: client.id, status: client.status(), job: job.map(JobProgress::from) }
    }

    /// The event that an entry is; `None` when it is not about a client's status.
    #[must_use]
    pub fn of_entry(entry: &AuditEntry) -> Option<Self> {
        Some(Self {
            cursor: entry.seq,
            at: entry.columns.at,
            client_id: entry.columns.client_id.as_deref()?.parse().ok()?,
            status: entry.client_status()?,
            job: JobProgress::of_entry(entry),
        })
    }
}

impl JobEvent {
    /// The event that an entry is; `None` when it is not about a job.
    #[must_use]
    pub fn of_entry(entry: &AuditEntry) -> Option<Self> {
        Some(Self {
            cursor: entry.seq,
            at: entry.columns.at,
            client_id: entry.columns.client_id.as_deref()?.parse().ok()?,
            job: JobProgress::of_entry(entry)?,
        })
    }
}

/// Something was asked for that needs a second person, or was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalEvent {
    /// Hand it back to go on behind this event.
    pub cursor: i64,
    /// When.
    pub at: Timestamp,
    /// Which request.
    pub approval_id: ApprovalId,
    /// What is to be done.
    pub operation: Operation,
    /// Where it was.
    pub state: ApprovalState,
    /// Who asked.
    pub requested_by: String,
    /// Who did what this tells of.
    pub actor: String,
}

impl ApprovalEvent {
    /// The event that an entry is; `None` when it is not about an approval.
    #[must_use]
    pub fn of_entry(entry: &AuditEntry) -> Option<Self> {
        let state = match entry.columns.action.strip_prefix("approval.")? {
            "requested" => ApprovalState::Pending,
            other => other.parse().ok()?,
        };
        let detail = entry.detail();
        let text = |key: &str| detail.get(key).and_then(serde_json::Value::as_str);
        Some(Self {
            cursor: entry.seq,
            at: entry.columns.at,
            approval_id: text("approvalId")?.parse().ok()?,
            operation: text("operation")?.parse().ok()?,
            state,
            requested_by: text("requestedBy")?.to_owned(),
            actor: entry.actor(),
        })
    }
}

/// How the processes on one database hear of each other's changes at once.
pub struct Peers {
    /// For announcements.
    pub redis: ConnectionManager,
    /// Where to listen for those of others.
    pub url: String,
    /// Tells this process's announcements from theirs; random.
    pub name: [u8; 16],
}

/// What the pump hands out: an entry, or, `None`, that the log has to be read again because entries
/// came before the pump knew where to begin.
type Told = Option<Arc<AuditEntry>>;

/// Where changes are announced and followed. Clones share one pump, which ends with the last of them.
#[derive(Clone)]
pub struct Events {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    /// Wakes the pump.
    grown: Arc<Notify>,
    /// Wakes the task that tells other processes.
    tell: Arc<Notify>,
    feed: broadcast::Sender<Told>,
    _pump: DropGuard,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// Follows this database's log. With peers, other processes' changes are heard of at once; without,
    /// after a second at most.
    #[must_use]
    pub fn follow(store: Store, peers: Option<Peers>) -> Self {
        let (feed, _) = broadcast::channel(BEHIND);
        let (grown, tell, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()), CancellationToken::new());
        let pump = Pump { store: store.clone(), feed: feed.clone(), grown: Arc::clone(&grown) };
        tokio::spawn(stop.clone().run_until_cancelled_owned(pump.run()));
        if let Some(Peers { redis, url, name }) = peers {
            tokio::spawn(stop.clone().run_until_cancelled_owned(listen(url, name, Arc::clone(&grown))));
            tokio::spawn(stop.clone().run_until_cancelled_owned(announce(redis, name, Arc::clone(&tell))));
        }
        Self { shared: Arc::new(Shared { store, grown, tell, feed, _pump: stop.drop_guard() }) }
    }

    /// The log has grown: to be called after a commit. Waits for nothing; an announcement that is lost
    /// costs other processes' subscribers a second.
    pub fn announce(&self) {
        self.shared.grown.notify_one();
        self.shared.tell.notify_one();
    }

    /// The entries behind `after`, of one client or of all, and then every new one; each once, in
    /// order. Ends with an error when the log cannot be read.
    pub fn entries(
        &self,
        client_id: Option<ClientId>,
        after: i64,
    ) -> impl Stream<Item = Result<Arc<AuditEntry>, Error>> + Send + use<> {
        // Subscribed before the log is read, so that nothing falls in between.
        let mut live = self.shared.feed.subscribe();
        let store = self.shared.store.clone();
        let alive = Arc::clone(&self.shared);
        let wanted = client_id.map(|id| id.to_string());
        async_stream::try_stream! {
            let _alive = alive;
            let mut last = after;
            let mut behind = true;
            loop {
                while behind {
                    let missed = slice(&store, last, client_id).await?;
                    behind = is_full(&missed);
                    for entry in missed {
                        last = entry.seq;
                        yield Arc::new(entry);
                    }
                }
                match live.recv().await {
                    // Too slow for the feed, or the pump has just begun: the log has it all.
                    Ok(None) | Err(broadcast::error::RecvError::Lagged(_)) => behind = true,
                    Ok(Some(entry)) => {
                        let ours = wanted.is_none() || entry.columns.client_id == wanted;
                        if ours && entry.seq > last {
                            last = entry.seq;
                            yield entry;
                        }
                    }
                    Err(broadcast::error::RecvError::Closed) => break,
                }
            }
        }
    }
}

async fn slice(store: &Store, after: i64, client_id: Option<ClientId>) -> Result<Vec<AuditEntry>, StoreError> {
    store.read().await?.audit_after(after, client_id, SLICE).await
}

/// There may be more. Behind a slice that is not full there was nothing when it was read, and what
/// comes later is announced.
fn is_full(slice: &[AuditEntry]) -> bool {
    i64::try_from(slice.len()).is_ok_and(|read| read >= SLICE)
}

/// Reads the log in order and hands it out.
struct Pump {
    store: Store,
    feed: broadcast::Sender<Told>,
    grown: Arc<Notify>,
}

impl Pump {
    async fn run(self) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.grown.notified() => {}
            }
            if let Err(error) = self.catch_up(&mut last).await {
                tracing::debug!(error.code = error.code(), "the log could not be read for live events");
            }
        }
    }

    /// Whoever begins to listen reads the log up to then for himself: what nobody listened to need not
    /// be read.
    async fn catch_up(&self, last: &mut Option<i64>) -> Result<(), StoreError> {
        if self.feed.receiver_count() == 0 {
            *last = None;
            return Ok(());
        }
        let Some(mut from) = *last else {
            *last = Some(self.store.read().await?.audit_head().await?.seq);
            let _nobody = self.feed.send(None);
            return Ok(());
        };
        loop {
            let entries = slice(&self.store, from, None).await?;
            let more = is_full(&entries);
            for entry in entries {
                from = entry.seq;
                *last = Some(from);
                // An error means that nobody listens.
                let _nobody = self.feed.send(Some(Arc::new(entry)));
            }
            if !more {
                return Ok(());
            }
        }
    }
}

/// Tells other processes that the log has grown; changes that come while one is told of are told of
/// together.
async fn announce(mut redis: ConnectionManager, name: [u8; 16], tell: Arc<Notify>) {
    loop {
        tell.notified().await;
        let told: Result<i64, _> = redis.publish(CHANNEL, name.as_slice()).await;
        if let Err(error) = told {
            tracing::debug!(%error, "other processes hear of a change only when they look");
        }
    }
}

/// Hears of other processes' changes, as long as Redis is there.
async fn listen(url: String, name: [u8; 16], grown: Arc<Notify>) {
    loop {
        let subscribed = async {
            let mut pubsub = redis::Client::open(url.as_str())?.get_async_pubsub().await?;
            pubsub.subscribe(CHANNEL).await?;
            Ok::<_, redis::RedisError>(pubsub)
        };
        if let Ok(pubsub) = subscribed.await {
            let mut messages = pubsub.into_on_message();
            while let Some(message) = messages.next().await {
                if message.get_payload_bytes() != name {
                    grown.notify_one();
                }
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{Action, Entry},
        store::{Opened, StoreOptions},
    };

    #[tokio::test]
    async fn nothing_is_read_for_nobody_and_who_comes_is_told_to_read_what_was() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("log.db").display());
        let store = Store::connect_lazy(&StoreOptions::new(url)).unwrap();
        store.migrate(Opened::Production).await.unwrap();
        let pump = Pump { store: store.clone(), feed: broadcast::channel(BEHIND).0, grown: Arc::new(Notify::new()) };

        let mut last = Some(0);
        pump.catch_up(&mut last).await.unwrap();
        assert_eq!(last, None, "nobody listens");

        let mut live = pump.feed.subscribe();
        pump.catch_up(&mut last).await.unwrap();
        assert_eq!(last, Some(1));
        assert!(matches!(live.try_recv(), Ok(None)));

        let tx = store.begin().await.unwrap();
        tx.commit(Entry::by_system("test", Action::LogOpened), []).await.unwrap();
        pump.catch_up(&mut last).await.unwrap();
        let told = live.try_recv().unwrap().unwrap();
        assert_eq!((told.seq, last), (2, Some(2)));
        assert!(live.try_recv().is_err(), "each once");
    }
}
