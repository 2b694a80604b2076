//! Subscribers: each on a client of its own, by WebSocket, until they are dismissed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use vpn_examples::{Api, Events};

const DOCUMENT: &str = "subscription($id: ID!) { clientStatus(id: $id) { status } }";

/// What the subscribers were told.
#[derive(Debug, Default)]
struct Told {
    /// The last status, by client.
    last: HashMap<String, String>,
    events: usize,
    /// Subscriptions that ended before they were dismissed.
    lost: Vec<String>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Watchers {
    told: Arc<Mutex<Told>>,
    running: JoinSet<()>,
}

impl Watchers {
    /// Subscribes, and waits until each has been told of the present state.
    pub(crate) async fn begin(api: &Api, clients: &[String], count: usize) -> Result<Self> {
        let (told, mut running) = (Arc::new(Mutex::new(Told::default())), JoinSet::new());
        let opened = clients.iter().take(count).map(async |client| {
            let mut events = api.subscribe(DOCUMENT, json!({ "id": client })).await?;
            let first = events.next().await?.context("the subscription ended at once")?;
            Ok::<_, anyhow::Error>((client.clone(), events, first))
        });
        let mut opened = stream::iter(opened).buffer_unordered(32);
        while let Some((client, events, first)) = opened.try_next().await? {
            note(&told, &client, &first);
            running.spawn(follow(Arc::clone(&told), client, events));
        }
        drop(opened);
        Ok(Self { told, running })
    }

    /// The last status of each client, as its subscriber was told.
    pub(crate) fn last(&self) -> HashMap<String, String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
    }

    /// How many events there were, and what became of those whose subscription ended.
    pub(crate) async fn dismiss(mut self) -> (usize, Vec<String>) {
        self.running.shutdown().await;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        (told.events, std::mem::take(&mut told.lost))
    }
}

async fn follow(told: Arc<Mutex<Told>>, client: String, mut events: Events) {
    loop {
        let why = match events.next().await {
            Ok(Some(event)) => {
                note(&told, &client, &event);
                continue;
            }
            Ok(None) => "it was completed".to_owned(),
            Err(error) => error.to_string(),
        };
        told.lock().unwrap_or_else(PoisonError::into_inner).lost.push(format!("{client}: {why}"));
        return;
    }
}

fn note(told: &Mutex<Told>, client: &str, event: &Value) {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.events += 1;
    if let Some(status) = event.pointer("/clientStatus/status").and_then(Value::as_str) {
        told.last.insert(client.to_owned(), status.to_lowercase());
    }
}
