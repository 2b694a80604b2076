//! A caller: asks servers for things, one after the other, asks another server when one does not answer,
//! and keeps what it was told.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use vpn_core::domain::{ClientId, ClientStatus, JobId, JobKind, ServerId};
use vpn_examples::{Api, Refusal};

use super::Act;
use crate::checker::Told;

/// One try.
const TRY: Duration = Duration::from_secs(4);
/// Tries before a caller gives up.
const TRIES: usize = 15;

/// A client as its caller knows it.
struct Mine {
    id: ClientId,
    jobs: Vec<JobId>,
}

/// A request that can be repeated.
#[derive(Clone)]
struct Request {
    mutation: &'static str,
    fields: &'static str,
    kind: Option<JobKind>,
    input: Value,
    /// What the first answer was.
    answered: Option<Value>,
}

/// A caller.
pub struct Caller {
    name: String,
    servers: Vec<Api>,
    at: ServerId,
    clients: Vec<Mine>,
    number: usize,
    last: Option<Request>,
    /// What it was told so far.
    pub told: Told,
}

/// How a request ended.
enum Answer {
    Done(Value),
    Refused,
    None,
}

impl Caller {
    /// Asks these servers, with this token.
    #[must_use]
    pub fn new(name: &str, urls: &[String], token: &str, at: ServerId) -> Self {
        let servers = urls.iter().map(|url| Api::new(url, token)).collect();
        let (clients, told) = (Vec::new(), Told::default());
        Self { name: name.to_owned(), servers, at, clients, number: 0, last: None, told }
    }

    /// Does one thing, if it can be done by now.
    pub async fn act(&mut self, act: Act) -> Result<()> {
        let number = |which: usize, count: usize| which.checked_rem(count);
        match act {
            Act::Create => self.create().await,
            Act::Again => self.again().await,
            Act::Provision(which) | Act::Revoke(which) | Act::Retry(which) | Act::Look(which) | Act::Deliver(which) => {
                let Some(mine) = number(which, self.clients.len()).and_then(|at| self.clients.get(at)) else {
                    return self.create().await;
                };
                let (client, last) = (mine.id, mine.jobs.last().copied());
                match (act, last) {
                    (Act::Provision(_), _) => self.provision(client).await,
                    (Act::Revoke(_), _) => self.revoke(client).await.map(drop),
                    (Act::Retry(_), Some(job)) => self.retry(job, client).await,
                    (Act::Deliver(_), _) => self.deliver(client).await,
                    _ => self.look(client).await,
                }
            }
        }
    }

    /// Records a client.
    pub async fn create(&mut self) -> Result<()> {
        let name = format!("{}-{}", self.name, self.number);
        let input = json!({ "name": name, "serverId": self.at.to_string() });
        self.ask("createClient", "client { id }", None, input).await.map(drop)
    }

    /// Asks for a provision of a client.
    pub async fn provision(&mut self, client: ClientId) -> Result<()> {
        let input = json!({ "clientId": client.to_string(), "validityDays": 30 });
        self.ask("provisionClient", "client { id } job { id kind }", Some(JobKind::Provision), input).await.map(drop)
    }

    /// Asks for a revocation of a client; whether that was accepted.
    pub async fn revoke(&mut self, client: ClientId) -> Result<bool> {
        let input = json!({ "clientId": client.to_string(), "reason": "as planned" });
        self.ask("revokeClient", "client { id } job { id kind }", Some(JobKind::Revoke), input).await
    }

    async fn retry(&mut self, job: JobId, client: ClientId) -> Result<()> {
        let kind = self.told.jobs.get(&job).map(|(_, kind)| *kind).with_context(|| format!("{client} has {job}"))?;
        let input = json!({ "jobId": job.to_string() });
        self.ask("retryJob", "client { id } job { id kind }", Some(kind), input).await.map(drop)
    }

    /// A new request with a key of its own; whether it was accepted.
    async fn ask(
        &mut self,
        mutation: &'static str,
        fields: &'static str,
        kind: Option<JobKind>,
        mut input: Value,
    ) -> Result<bool> {
        self.number += 1;
        if let Some(fields) = input.as_object_mut() {
            fields.insert("idempotencyKey".into(), format!("{}-{}", self.name, self.number).into());
        }
        let mut request = Request { mutation, fields, kind, input, answered: None };
        self.told.asked += 1;
        let answer = self.send(&request).await;
        let accepted = match answer {
            Answer::Done(payload) => {
                self.accepted(&request, &payload)?;
                request.answered = Some(payload);
                true
            }
            Answer::Refused => false,
            Answer::None => {
                self.told.unanswered += 1;
                false
            }
        };
        self.last = Some(request);
        Ok(accepted)
    }

    /// The same key has to give the same client and job.
    async fn again(&mut self) -> Result<()> {
        let Some(request) = self.last.clone().filter(|request| request.answered.is_some()) else { return Ok(()) };
        let refused = self.told.refused.clone();
        let answer = self.send(&request).await;
        // It was counted when it was asked first.
        self.told.refused = refused;
        let ids = |payload: &Value| [payload.pointer("/client/id").cloned(), payload.pointer("/job/id").cloned()];
        let (first, second) = (
            request.answered.as_ref().map(ids),
            match &answer {
                Answer::Done(payload) => Some(ids(payload)),
                Answer::Refused => None,
                Answer::None => return Ok(()),
            },
        );
        if first != second {
            let what = format!("{} with one key gave {first:?}, then {second:?}", request.mutation);
            self.told.contradictions.push(what);
        }
        Ok(())
    }

    fn accepted(&mut self, request: &Request, payload: &Value) -> Result<()> {
        let id =
            |path: &str| payload.pointer(path).and_then(Value::as_str).with_context(|| format!("{path} in {payload}"));
        let client: ClientId = id("/client/id")?.parse()?;
        let Some(kind) = request.kind else {
            self.told.clients.insert(client);
            self.clients.push(Mine { id: client, jobs: Vec::new() });
            return Ok(());
        };
        let job: JobId = id("/job/id")?.parse()?;
        if id("/job/kind")?.to_lowercase() != kind.as_str() {
            self.told.contradictions.push(format!("{job} is a {} for a {}", id("/job/kind")?, kind.as_str()));
        }
        self.told.accepted(job, client, kind);
        // It was counted when it was asked.
        self.told.asked -= 1;
        if let Some(mine) = self.clients.iter_mut().find(|mine| mine.id == client) {
            mine.jobs.push(job);
        }
        Ok(())
    }

    async fn send(&mut self, request: &Request) -> Answer {
        let (first, rest) = request.mutation.split_at(1);
        let input_type = format!("{}{rest}Input", first.to_uppercase());
        for _ in 0..TRIES {
            let Some(api) = self.servers.first() else { return Answer::None };
            let ask = api.mutate(request.mutation, &input_type, request.fields, request.input.clone());
            if let Some(answer) = self.judge(tokio::time::timeout(TRY, ask).await.map_err(anyhow::Error::from)) {
                return answer;
            }
            self.elsewhere().await;
        }
        Answer::None
    }

    /// An answer, or nothing that a caller could count on.
    fn judge(&mut self, answer: Result<Result<Value>>) -> Option<Answer> {
        let error = match answer.and_then(|answer| answer) {
            Ok(payload) => return Some(Answer::Done(payload)),
            Err(error) => error,
        };
        let code = error.downcast_ref::<Refusal>().map(|refusal| refusal.code.clone())?;
        match code.as_str() {
            "SERVICE_UNAVAILABLE" => None,
            "INTERNAL_SERVER_ERROR" | "" => {
                self.told.contradictions.push(format!("a server answered with a fault of its own: {error}"));
                None
            }
            _ => {
                *self.told.refused.entry(code).or_default() += 1;
                Some(Answer::Refused)
            }
        }
    }

    /// The next server, after a moment.
    async fn elsewhere(&mut self) {
        self.servers.rotate_left(1);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }

    async fn look(&mut self, client: ClientId) -> Result<()> {
        let document = "query($id: ID!) { client(id: $id) { status } }";
        let Some(api) = self.servers.first() else { return Ok(()) };
        let ask = api.query(document, json!({ "id": client.to_string() }));
        match self.judge(tokio::time::timeout(TRY, ask).await.map_err(anyhow::Error::from)) {
            Some(Answer::Done(data)) => {
                let status = data.pointer("/client/status").and_then(Value::as_str).context("a status")?;
                self.told.saw(client, status.to_lowercase().parse::<ClientStatus>()?);
            }
            Some(_) => self.told.contradictions.push(format!("{client} was recorded and cannot be looked at")),
            None => self.elsewhere().await,
        }
        Ok(())
    }

    /// Once: a profile whose answer got lost is gone, and its client has to be replaced.
    async fn deliver(&mut self, client: ClientId) -> Result<()> {
        let Some(api) = self.servers.first() else { return Ok(()) };
        self.told.asked += 1;
        let input = json!({ "clientId": client.to_string() });
        let ask = api.mutate("deliverProfile", "DeliverProfileInput", "profile", input);
        match self.judge(tokio::time::timeout(TRY, ask).await.map_err(anyhow::Error::from)) {
            Some(Answer::Done(_)) => *self.told.delivered.entry(client).or_default() += 1,
            Some(Answer::Refused) => {}
            Some(Answer::None) | None => {
                self.told.unanswered += 1;
                self.elsewhere().await;
            }
        }
        Ok(())
    }
}
