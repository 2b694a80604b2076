//! The audit log, replayed through the state machines of the design, which are written down here once
//! more: nothing of the platform's own transitions is believed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use vpn_core::{
    audit::AuditEntry,
    domain::{ClientId, JobId},
    store::Store,
};

/// A client as the log tells of it.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientStory {
    /// `pending`, `active`, `revoked`.
    pub status: String,
    /// Whether its end was asked for.
    pub revocation_asked: bool,
    /// The newest token that an attempt was begun under.
    pub fence: i64,
    /// How often it was created, became active, became revoked, and had its profile delivered.
    pub times: [usize; 4],
}

/// A job as the log tells of it.
#[derive(Clone, Debug, Default)]
pub(super) struct JobStory {
    /// Its state.
    pub state: String,
    /// How often it was asked for, begun, ended.
    pub times: [i64; 3],
}

/// The whole log.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Entries.
    pub entries: i64,
    /// Clients by id.
    pub clients: BTreeMap<ClientId, ClientStory>,
    /// Jobs by id.
    pub jobs: BTreeMap<JobId, JobStory>,
    /// How often a worker that had lost its job was kept from changing anything.
    pub fenced: usize,
    /// How often a job was taken from a lost worker.
    pub requeued: usize,
    /// Transitions that the design does not know.
    pub illegal: Vec<String>,
}

const SLICE: i64 = 1000;

impl History {
    /// Verifies the chain and replays it.
    pub(super) async fn read(store: &Store) -> Result<Self> {
        let verified = vpn_core::service::verify_audit_log(store).await?;
        let mut history = Self { entries: verified.entries, ..Self::default() };
        let mut last = 0;
        loop {
            let entries = store.read().await?.audit_after(last, None, SLICE).await?;
            let Some(newest) = entries.last() else { return Ok(history) };
            last = newest.seq;
            for entry in &entries {
                history.take(entry).with_context(|| format!("entry {}", entry.seq))?;
            }
        }
    }

    fn illegal(&mut self, entry: &AuditEntry, what: &str) {
        self.illegal.push(format!("entry {}, {}: {what}", entry.seq, entry.columns.action));
    }

    fn take(&mut self, entry: &AuditEntry) -> Result<()> {
        let action = entry.columns.action.as_str();
        let (kind, act) = action.split_once('.').context("an action is noun.verb")?;
        if act == "fenced" {
            // It tells of what did not happen; what it says of the client may be outdated.
            self.fenced += 1;
            return Ok(());
        }
        let Some(client) = &entry.columns.client_id else { return Ok(()) };
        let client: ClientId = client.parse()?;
        if let Some(mark) = entry.job() {
            self.job(entry, mark.id.parse()?, kind, act, &mark.state);
            if act == "started" {
                self.fence(entry, client, mark.fence.parse()?);
            }
        }
        let status = entry.client_status().context("an entry about a client tells its status")?;
        self.client(entry, client, action, status.as_str());
        Ok(())
    }

    /// A new attempt has a newer token than every attempt at the client before it.
    fn fence(&mut self, entry: &AuditEntry, client: ClientId, token: i64) {
        let story = self.clients.entry(client).or_default();
        if token <= story.fence {
            let message = format!("token {token} after {}", story.fence);
            self.illegal(entry, &message);
        } else {
            story.fence = token;
        }
    }

    fn job(&mut self, entry: &AuditEntry, id: JobId, kind: &str, act: &str, state: &str) {
        let story = self.jobs.entry(id).or_default();
        let from = story.state.clone();
        let steps = if kind == "provision" { &["sealed"][..] } else { &["published", "disconnected"][..] };
        let legal = match (from.as_str(), act) {
            ("", "requested") | ("running", "delayed" | "requeued") => state == "queued",
            ("queued", "started") => state == "running",
            ("queued", "canceled") => kind == "provision" && state == "canceled",
            ("running", "succeeded" | "failed") => state == act,
            ("running", step) => steps.contains(&step) && state == "running",
            _ => false,
        };
        state.clone_into(&mut story.state);
        let [asked, begun, ended] = &mut story.times;
        *asked += i64::from(act == "requested");
        *begun += i64::from(act == "started");
        *ended += i64::from(matches!(state, "succeeded" | "failed" | "canceled"));
        self.requeued += usize::from(act == "requeued");
        if !legal {
            self.illegal(entry, &format!("{id} from `{from}` to `{state}`"));
        }
    }

    fn client(&mut self, entry: &AuditEntry, id: ClientId, action: &str, status: &str) {
        let story = self.clients.entry(id).or_default();
        let from = story.status.clone();
        let wanted = match action {
            "client.created" => "pending",
            "provision.succeeded" => "active",
            "revoke.succeeded" => "revoked",
            _ => from.as_str(),
        };
        let begun = matches!(action, "provision.started" | "provision.sealed" | "provision.succeeded");
        // A provision whose worker was lost is cleared away after the revocation that overtook it.
        let late = ["provision.requeued", "provision.canceled", "provision.failed"];
        let legal = status == wanted
            && (from.is_empty() == (action == "client.created"))
            && (from != "revoked" || late.contains(&action))
            && (from != "active" || !action.starts_with("provision."))
            && (!begun || !story.revocation_asked);
        story.revocation_asked |= action == "revoke.requested";
        let [created, activated, revoked, delivered] = &mut story.times;
        *created += usize::from(action == "client.created");
        *activated += usize::from(action == "provision.succeeded");
        *revoked += usize::from(action == "revoke.succeeded");
        *delivered += usize::from(action == "profile.delivered");
        status.clone_into(&mut story.status);
        if !legal {
            self.illegal(entry, &format!("{id} from `{from}` to `{status}`"));
        }
    }
}
