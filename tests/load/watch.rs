//! Subscribers: each on a client of its own, by WebSocket, until they are dismissed. One whose subscription
//! ends goes on behind the last event that it was told of, as the API asks of its callers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use vpn_examples::{Api, Events};

use crate::crew::WATCHED_BY_ONE;

const DOCUMENT: &str =
    "subscription($id: ID!, $after: String) { clientStatus(id: $id, after: $after) { cursor status } }";

/// Before a subscription is resumed.
const PAUSE: Duration = Duration::from_millis(500);

/// What the subscribers were told.
#[derive(Debug, Default)]
struct Told {
    /// The last status, by client.
    last: HashMap<String, String>,
    events: usize,
    /// Why subscriptions ended before they were dismissed, and how often.
    resumed: BTreeMap<String, usize>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Watchers {
    told: Arc<Mutex<Told>>,
    running: JoinSet<()>,
}

impl Watchers {
    /// Subscribes, and waits until each has been told of the present state.
    pub(crate) async fn begin(apis: &[Api], clients: &[String], count: usize) -> Result<Self> {
        let (told, mut running) = (Arc::new(Mutex::new(Told::default())), JoinSet::new());
        let apis = apis.iter().flat_map(|api| std::iter::repeat_n(api, WATCHED_BY_ONE));
        let opened = clients.iter().take(count).zip(apis).map(async |(client, api)| {
            let mut events = api.subscribe(DOCUMENT, json!({ "id": client })).await?;
            let first = events.next().await?.context("the subscription ended at once")?;
            Ok::<_, anyhow::Error>((api.clone(), client.clone(), events, first))
        });
        let mut opened = stream::iter(opened).buffer_unordered(32);
        while let Some((api, client, events, first)) = opened.try_next().await? {
            let cursor = note(&told, &client, &first);
            running.spawn(follow(api, Arc::clone(&told), client, events, cursor));
        }
        drop(opened);
        Ok(Self { told, running })
    }

    /// The last status of each client, as its subscriber was told.
    pub(crate) fn last(&self) -> HashMap<String, String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
    }

    /// How many events there were, and why subscriptions had to be resumed.
    pub(crate) async fn dismiss(mut self) -> (usize, BTreeMap<String, usize>) {
        self.running.shutdown().await;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        (told.events, std::mem::take(&mut told.resumed))
    }
}

async fn follow(api: Api, told: Arc<Mutex<Told>>, client: String, mut events: Events, mut cursor: String) {
    loop {
        let why = match events.next().await {
            Ok(Some(event)) => {
                cursor = note(&told, &client, &event);
                continue;
            }
            Ok(None) => "completed".to_owned(),
            Err(error) => error.to_string(),
        };
        *told.lock().unwrap_or_else(PoisonError::into_inner).resumed.entry(why).or_default() += 1;
        events = loop {
            tokio::time::sleep(PAUSE).await;
            if let Ok(again) = api.subscribe(DOCUMENT, json!({ "id": client, "after": cursor })).await {
                break again;
            }
        };
    }
}

/// Gives the event's cursor.
fn note(told: &Mutex<Told>, client: &str, event: &Value) -> String {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.events += 1;
    if let Some(status) = event.pointer("/clientStatus/status").and_then(Value::as_str) {
        told.last.insert(client.to_owned(), status.to_lowercase());
    }
    event.pointer("/clientStatus/cursor").and_then(Value::as_str).unwrap_or_default().to_owned()
}
