//! Mutations, offered at a steady rate: who is slow to answer is asked no less.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::MissedTickBehavior};
use vpn_examples::Api;

use crate::{Size, figures::Latencies};

/// What is asked, of every ten: seven clients are created, two provisioned, one revoked.
#[derive(Clone, Debug)]
enum Wish {
    Create(String),
    Provision(String),
    Revoke(String),
}

/// What was answered.
#[derive(Debug, Default)]
pub(crate) struct Offered {
    /// Ids of clients that were said to be created.
    pub(crate) created: Vec<String>,
    /// Ids of jobs that were said to be queued.
    pub(crate) accepted: Vec<String>,
    /// Clear answers that it is too much just now, by code.
    pub(crate) overload: BTreeMap<String, usize>,
    /// Clear answers that it cannot be done: a provision that a revocation overtook.
    pub(crate) refused: BTreeMap<String, usize>,
    /// Everything else.
    pub(crate) errors: BTreeMap<String, usize>,
    latencies: Latencies,
    took: Duration,
    count: usize,
}

impl fmt::Display for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = self.count as f64 / seconds;
        writeln!(f, "offered: {} mutations in {seconds:.1} s, {rate:.0} a second", self.count)?;
        writeln!(f, "accepted: {} clients, {} jobs", self.created.len(), self.accepted.len())?;
        writeln!(f, "overtaken: {:?}; overload answers: {:?}; errors: {:?}", self.refused, self.overload, self.errors)?;
        write!(f, "latency: {}", self.latencies)
    }
}

/// Asks, and waits for all answers.
pub(crate) async fn offer(api: &Api, server: &str, clients: &[String], size: Size) -> Result<Offered> {
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / size.rate));
    // What could not be offered in time is offered at once: the rate holds.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let total = usize::try_from(size.rate * size.seconds)?;
    let (mut running, begun) = (JoinSet::new(), Instant::now());
    let provisioned = Arc::new(AtomicUsize::new(0));
    for number in 0..total {
        ticks.tick().await;
        let wish = wish(number, clients, &provisioned);
        let (api, server) = (api.clone(), server.to_owned());
        running.spawn(async move {
            let asked = Instant::now();
            let answer = ask(&api, &server, &wish).await;
            (wish, answer, asked.elapsed())
        });
    }
    let mut offered = Offered { took: begun.elapsed(), count: total, ..Offered::default() };
    while let Some(answered) = running.join_next().await {
        let (wish, answer, latency) = answered?;
        offered.latencies.add(latency);
        offered.note(&wish, answer);
    }
    Ok(offered)
}

fn wish(number: usize, clients: &[String], provisioned: &AtomicUsize) -> Wish {
    let client = |at: usize| clients.get(at % clients.len().max(1)).cloned().unwrap_or_default();
    match number % 10 {
        3 | 7 => Wish::Provision(client(provisioned.fetch_add(1, Ordering::Relaxed))),
        // Every second client that was provisioned, some of them on their way in still.
        9 => Wish::Revoke(client(number / 10 * 2)),
        _ => Wish::Create(format!("new-{number}")),
    }
}

async fn ask(api: &Api, server: &str, wish: &Wish) -> Result<Value> {
    match wish {
        Wish::Create(name) => {
            let input = json!({ "name": name, "serverId": server });
            api.mutate("createClient", "CreateClientInput", "client { id }", input).await
        }
        Wish::Provision(client) => {
            let input = json!({ "clientId": client });
            api.mutate("provisionClient", "ProvisionClientInput", "job { id }", input).await
        }
        Wish::Revoke(client) => {
            let input = json!({ "clientId": client, "reason": "load" });
            api.mutate("revokeClient", "RevokeClientInput", "job { id }", input).await
        }
    }
}

impl Offered {
    fn note(&mut self, wish: &Wish, answer: Result<Value>) {
        let error = match answer {
            Ok(payload) => {
                let (path, list) = match wish {
                    Wish::Create(_) => ("/client/id", &mut self.created),
                    Wish::Provision(_) | Wish::Revoke(_) => ("/job/id", &mut self.accepted),
                };
                match payload.pointer(path).and_then(Value::as_str) {
                    Some(id) => return list.push(id.to_owned()),
                    None => format!("an answer without an id: {payload}"),
                }
            }
            Err(error) => format!("{error:#}"),
        };
        let code = error.split(':').next().unwrap_or_default().to_owned();
        let list = match (code.as_str(), wish) {
            ("SERVICE_UNAVAILABLE" | "TIMEOUT", _) => &mut self.overload,
            ("WRONG_STATE", Wish::Provision(_)) => &mut self.refused,
            _ => {
                *self.errors.entry(error).or_default() += 1;
                return;
            }
        };
        *list.entry(code).or_default() += 1;
    }
}
