//! One entry: what is written, and what is read back.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Action, Hash,
    erasable::{self, Erasable, Kind},
};
use crate::{
    clock::{Ambient, Timestamp},
    domain::{
        Approval, Caller, Client, ClientId, ClientStatus, Job, JobFailure, JobState, Principal, RequestId, ServerId,
    },
};

/// The version of the canonical form. In the first one, what entries say of people stood in them itself.
const VERSION: u8 = 2;

/// An entry that is about to be written.
#[derive(Clone, Debug)]
pub struct Entry {
    actor: Principal,
    token: Option<String>,
    request: Option<RequestId>,
    action: Action,
    server: Option<ServerId>,
    client: Option<(ClientId, ClientStatus)>,
    job: Option<JobMark>,
    detail: Map<String, Value>,
}

/// The job of an entry, as it is after the change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMark {
    /// Its id.
    pub id: String,
    /// `provision` or `revoke`.
    pub kind: String,
    /// Its state after the change.
    pub state: String,
    /// The step it has reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Which attempt.
    pub attempt: i32,
    /// The fencing token of the attempt; a string, because JSON numbers end at 2^53.
    pub fence: String,
}

impl Entry {
    /// An action of a caller.
    #[must_use]
    pub fn by(caller: &Caller, action: Action) -> Self {
        let mut entry = Self::blank(caller.principal.clone(), action);
        entry.token = caller.credential.mark();
        entry.request = Some(caller.request_id);
        entry
    }

    /// An action of the platform itself, `system:PART`.
    #[must_use]
    pub fn by_system(part: &'static str, action: Action) -> Self {
        Self::blank(Principal::system(part), action)
    }

    /// Nobody decided about this in time.
    #[must_use]
    pub fn expired(asked: &Approval) -> Self {
        Self::by_system("approvals", Action::ApprovalExpired).approval(asked)
    }

    /// An action of somebody whose name is not known.
    #[must_use]
    pub fn by_anonymous(request: RequestId, action: Action) -> Self {
        let mut entry = Self::blank(Principal::anonymous(), action);
        entry.request = Some(request);
        entry
    }

    fn blank(actor: Principal, action: Action) -> Self {
        Self { actor, token: None, request: None, action, server: None, client: None, job: None, detail: Map::new() }
    }

    /// It is about this server.
    #[must_use]
    pub const fn server(mut self, id: ServerId) -> Self {
        self.server = Some(id);
        self
    }

    /// It is about this client, which now has this status.
    #[must_use]
    pub const fn client(mut self, id: ClientId, status: ClientStatus) -> Self {
        self.client = Some((id, status));
        self
    }

    /// It is about this client as it is.
    #[must_use]
    pub const fn client_as_is(self, client: &Client) -> Self {
        self.client(client.id, client.status())
    }

    /// It is about this job, which is now in this state.
    #[must_use]
    pub fn job(mut self, job: &Job, state: JobState) -> Self {
        self.job = Some(JobMark {
            id: job.id.to_string(),
            kind: job.kind().as_str().to_owned(),
            state: state.as_str().to_owned(),
            step: job.step.map(|step| step.as_str().to_owned()),
            attempt: job.attempts,
            fence: job.fence.to_string(),
        });
        self
    }

    /// It is about what waits, or waited, for a second person.
    #[must_use]
    pub fn approval(self, asked: &Approval) -> Self {
        self.with("approvalId", asked.id.to_string())
            .with("operation", asked.operation.as_str())
            .with("requestedBy", asked.requested_by.as_str())
    }

    /// Why an attempt of its job failed.
    #[must_use]
    pub fn failed(self, failure: &JobFailure) -> Self {
        self.with("errorCode", failure.code.as_str()).with("errorMessage", failure.message.as_str())
    }

    /// One more fact. Never key material, never a profile, never a token.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(key.to_owned(), value.into());
        self
    }

    /// What it tells of.
    pub(crate) const fn action(&self) -> Action {
        self.action
    }

    /// Puts commitments in the place of the texts that it tells, and gives the texts.
    pub(crate) fn take_texts(&mut self, ambient: &Ambient) -> Vec<Erasable> {
        let mut taken = Vec::new();
        erasable::visit(self.action, &mut self.detail, &mut |kind, text| {
            if kind == Kind::Text {
                let value = Erasable::new(std::mem::take(text), ambient);
                *text = erasable::mark(&value.commitment());
                taken.push(value);
            }
        });
        taken
    }

    /// The names of people in it.
    pub(crate) fn people(&mut self) -> BTreeSet<String> {
        let mut people = BTreeSet::from([self.actor.as_str().to_owned()]);
        erasable::visit(self.action, &mut self.detail, &mut |kind, name| {
            if kind == Kind::Person {
                people.insert(name.clone());
            }
        });
        people.retain(|name| erasable::is_a_person(name));
        people
    }

    /// Which client it is about, if any.
    pub(crate) fn about_client(&self) -> Option<String> {
        let told = || self.detail.get("clientId").and_then(Value::as_str).map(str::to_owned);
        self.client.map(|(id, _)| id.to_string()).or_else(told)
    }

    /// The exact bytes that are stored and hashed, and the columns beside them. Every name in it is told by the
    /// commitment that `people` has for it.
    pub(crate) fn record(
        mut self,
        log: &str,
        at: Timestamp,
        people: &HashMap<String, Hash>,
    ) -> Result<Recorded, serde_json::Error> {
        let told = |name: &str| people.get(name).map_or_else(|| name.to_owned(), erasable::mark);
        erasable::visit(self.action, &mut self.detail, &mut |kind, name| {
            if kind == Kind::Person {
                *name = told(name);
            }
        });
        let canonical = Canonical {
            v: VERSION,
            log: log.to_owned(),
            at: at.to_string(),
            actor: told(self.actor.as_str()),
            token: self.token,
            request: self.request.map(|id| id.to_string()),
            action: self.action.as_str().to_owned(),
            outcome: self.action.outcome().as_str().to_owned(),
            server: self.server.map(|id| id.to_string()),
            client: self
                .client
                .map(|(id, status)| ClientMark { id: id.to_string(), status: status.as_str().to_owned() }),
            job: self.job,
            detail: self.detail,
        };
        Ok(Recorded { bytes: serde_json_canonicalizer::to_vec(&canonical)?, columns: canonical.columns(at) })
    }
}

/// The canonical form. Field names are part of the format.
#[derive(Debug, Serialize, Deserialize)]
struct Canonical {
    v: u8,
    log: String,
    at: String,
    actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    action: String,
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<ClientMark>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobMark>,
    detail: Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ClientMark {
    id: String,
    status: String,
}

impl Canonical {
    fn columns(&self, at: Timestamp) -> Columns {
        Columns {
            at,
            actor: self.actor.clone(),
            action: self.action.clone(),
            outcome: self.outcome.clone(),
            client_id: self.client.as_ref().map(|client| client.id.clone()),
            job_id: self.job.as_ref().map(|job| job.id.clone()),
        }
    }
}

/// What is kept beside the canonical bytes, for searching. The verifier compares the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// When it happened, by the database's clock.
    pub at: Timestamp,
    /// Who did it: a name of the platform's own, or the commitment to somebody's. [`AuditEntry::actor`] has the name.
    pub actor: String,
    /// What was done, `noun.verb`.
    pub action: String,
    /// `ok`, `failed` or `refused`.
    pub outcome: String,
    /// On which client.
    pub client_id: Option<String>,
    /// By which job.
    pub job_id: Option<String>,
}

/// An entry in the form in which it is stored, before it has its place in the chain.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) columns: Columns,
}

/// An entry that was read back.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Its number: 1, 2, 3, … without gaps.
    pub seq: i64,
    /// The hash of the entry before it.
    pub previous_hash: Hash,
    /// Its own hash.
    pub hash: Hash,
    /// The exact bytes that are hashed.
    pub canonical: Vec<u8>,
    /// What is kept beside them.
    pub columns: Columns,
    /// What it says of people, by commitment, as far as it is not erased.
    pub values: HashMap<Hash, Erasable>,
}

impl AuditEntry {
    /// An entry that came without columns, as in an export: they are what the canonical bytes say.
    /// `None` when those say nothing.
    pub(crate) fn without_columns(seq: i64, previous_hash: Hash, hash: Hash, canonical: Vec<u8>) -> Option<Self> {
        let said: Canonical = serde_json::from_slice(&canonical).ok()?;
        let columns = said.columns(said.at.parse().ok()?);
        Some(Self { seq, previous_hash, hash, canonical, columns, values: HashMap::new() })
    }

    /// What it says of people: the commitments, each once. Those that `values` lacks are erased.
    #[must_use]
    pub fn commitments(&self) -> Vec<Hash> {
        erasable::commitments(&self.canonical)
    }

    fn shown(&self, commitment: &Hash) -> String {
        self.values.get(commitment).map_or_else(|| erasable::erased(commitment), |known| known.value.clone())
    }

    /// Who did it; `erased:` and 64 hexadecimal digits, the same in all entries of that name, once the name is erased.
    #[must_use]
    pub fn actor(&self) -> String {
        let actor = &self.columns.actor;
        erasable::marked(actor).map_or_else(|| actor.clone(), |commitment| self.shown(&commitment))
    }

    fn parsed(&self) -> Option<Canonical> {
        serde_json::from_slice(&self.canonical).ok()
    }

    /// Which log it is of; or the first column that contradicts the canonical bytes.
    pub(crate) fn origin(&self) -> Result<String, &'static str> {
        let said = self.parsed().ok_or("canonical")?;
        let is = &self.columns;
        let should = said.columns(is.at);
        let wrong = [
            ("at", said.at == is.at.to_string()),
            ("actor", should.actor == is.actor),
            ("action", should.action == is.action),
            ("outcome", should.outcome == is.outcome),
            ("client_id", should.client_id == is.client_id),
            ("job_id", should.job_id == is.job_id),
        ]
        .into_iter()
        .find_map(|(column, same)| (!same).then_some(column));
        wrong.map_or(Ok(said.log), Err)
    }

    /// What is told beside the columns. In the place of what was erased stands `erased:` and its commitment.
    #[must_use]
    pub fn detail(&self) -> Map<String, Value> {
        let Some(Canonical { v, mut detail, .. }) = self.parsed() else { return Map::new() };
        // Words of the first version may look like a commitment.
        if v > 1 {
            detail.values_mut().for_each(|value| erasable::reveal(value, &|commitment| self.shown(commitment)));
        }
        detail
    }

    /// The commitments that it tells were erased.
    pub(super) fn erased(&self) -> Vec<Hash> {
        let told = if self.columns.action == Action::AuditErased.as_str() { self.parsed() } else { None };
        let named = told.and_then(|mut said| said.detail.remove("commitments"));
        let named = named.as_ref().and_then(Value::as_array).into_iter().flatten();
        named.filter_map(Value::as_str).filter_map(erasable::commitment).collect()
    }

    /// The job as it was after the change, if the entry is about one.
    #[must_use]
    pub fn job(&self) -> Option<JobMark> {
        self.parsed()?.job
    }

    /// Why an attempt of its job failed, if the entry tells of that.
    #[must_use]
    pub fn failure(&self) -> Option<JobFailure> {
        let detail = self.detail();
        let text = |key: &str| detail.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(JobFailure { code: text("errorCode")?, message: text("errorMessage")? })
    }

    /// The status of the client after the change, if the entry is about one.
    #[must_use]
    pub fn client_status(&self) -> Option<ClientStatus> {
        self.parsed()?.client?.status.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{ChainFault, GENESIS, Verifier, leaf_hash},
        clock::Ambient,
    };

    fn chain(length: i64) -> Vec<AuditEntry> {
        let mut previous_hash = GENESIS;
        (1..=length)
            .map(|seq| {
                let at = Timestamp::from_micros(seq);
                let recorded =
                    Entry::by_anonymous(RequestId::generate(&Ambient::system()), Action::AuthenticationRefused)
                        .with("why", "no token")
                        .record("log.example", at, &HashMap::new())
                        .expect("canonical JSON");
                let hash = leaf_hash(seq, &previous_hash, &recorded.bytes);
                let Recorded { bytes: canonical, columns } = recorded;
                let entry = AuditEntry { seq, previous_hash, hash, canonical, columns, values: HashMap::new() };
                previous_hash = hash;
                entry
            })
            .collect()
    }

    fn check(entries: &[AuditEntry]) -> Result<i64, ChainFault> {
        let mut verifier = Verifier::default();
        for entry in entries {
            verifier.take(entry)?;
        }
        let last = entries.last().expect("entries");
        verifier.finish(last.seq, &last.hash).map(|verified| verified.entries)
    }

    #[test]
    fn a_true_chain_is_verified() {
        assert_eq!(check(&chain(5)), Ok(5));
    }

    #[test]
    fn every_kind_of_tampering_is_named() {
        let mut changed = chain(3);
        changed[1].canonical[10] ^= 1;
        assert_eq!(check(&changed), Err(ChainFault::Altered { seq: 2 }));

        let mut removed = chain(3);
        removed.remove(1);
        assert_eq!(check(&removed), Err(ChainFault::Gap { expected: 2, found: 3 }));

        let mut relabelled = chain(3);
        relabelled[2].columns.actor = "alice".into();
        assert_eq!(check(&relabelled), Err(ChainFault::Mislabelled { seq: 3, column: "actor" }));

        let mut unlinked = chain(3);
        unlinked[2].previous_hash = GENESIS;
        assert_eq!(check(&unlinked), Err(ChainFault::Unlinked { seq: 3 }));

        let cut = chain(3);
        let mut verifier = Verifier::default();
        for entry in &cut[..2] {
            verifier.take(entry).expect("true so far");
        }
        assert_eq!(verifier.finish(3, &cut[2].hash), Err(ChainFault::Cut { expected: 3, found: 2 }));
    }
}
