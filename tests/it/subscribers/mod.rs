//! Live events as those who follow them see them: real servers behind one Redis, servers killed, Redis away,
//! subscribers that leave and come back, over WebSockets and Server-Sent Events. None is missed, the order is
//! the log's, and what comes twice comes where a subscriber came back.

mod feed;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;
use vpn_core::domain::Role;
use vpn_examples::Api;
use vpn_tests::{
    Database, Db, Fleet, eventually,
    fleet::{Pace, Served, lasting_port},
    hosts,
};

use self::feed::{Feed, Way};

const SERVERS: usize = 3;
const SUBSCRIBERS: usize = 8;
/// Changes between two disturbances.
const CHANGES: usize = 10;
/// Before a subscription is opened again.
const PAUSE: Duration = Duration::from_millis(100);

/// What one subscriber saw.
#[derive(Debug, Default)]
struct Seen {
    /// The entry's number, when it came, and whether it was the first behind a joint.
    events: Vec<(i64, Instant, bool)>,
    joints: usize,
}

#[derive(Clone)]
struct Subscriber {
    way: Way,
    servers: Vec<String>,
    token: String,
    /// Leaves by itself after so many events, and comes back at another server.
    leaves_after: usize,
    seen: Arc<Mutex<Seen>>,
}

impl Subscriber {
    fn with<T>(&self, act: impl FnOnce(&mut Seen) -> T) -> T {
        act(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn follow(self, mut cursor: String, first: usize) {
        for turn in first.. {
            let server = &self.servers[turn % self.servers.len()];
            if let Ok(mut feed) = Feed::open(self.way, server, &self.token, &cursor).await {
                let mut taken = 0;
                while let Ok((place, number)) = feed.next().await {
                    cursor = place;
                    self.with(|seen| seen.events.push((number, Instant::now(), taken == 0)));
                    taken += 1;
                    if taken == self.leaves_after {
                        break;
                    }
                }
            }
            self.with(|seen| seen.joints += 1);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Holds what it saw against the log: from `begin` to `end`, all, in order. Gives how many came twice.
    fn judge(&self, begin: i64, end: i64) -> Result<usize> {
        self.with(|seen| {
            let (mut last, mut twice) = (begin, 0);
            for (number, _, joint) in &seen.events {
                match number - last {
                    1 => last = *number,
                    0 if *joint => twice += 1,
                    step => anyhow::bail!("{:?}: {number} came {step} behind {last}, joint: {joint}", self.way),
                }
            }
            ensure!(last == end, "{:?}: {last} was the last that came, of {end}", self.way);
            Ok(twice)
        })
    }
}

/// Makes changes, and knows when each was done.
struct Changes<'a> {
    fleet: &'a Fleet,
    done: BTreeMap<i64, Instant>,
}

impl Changes<'_> {
    async fn head(&self) -> Result<i64> {
        Ok(self.fleet.db.store.read().await?.audit_head().await?.seq)
    }

    async fn make(&mut self) -> Result<()> {
        for _ in 0..CHANGES {
            self.fleet.client().await?;
            let done = Instant::now();
            self.done.insert(self.head().await?, done);
        }
        Ok(())
    }

    /// Makes changes, and waits until all have seen them.
    async fn seen_by(&mut self, subscribers: &[Subscriber]) -> Result<()> {
        self.make().await?;
        let head = self.head().await?;
        eventually("everybody has seen everything", async || {
            let last = |seen: &mut Seen| seen.events.last().map(|(number, ..)| *number);
            Ok(subscribers.iter().all(|one| one.with(last) == Some(head)))
        })
        .await
    }

    /// How long the events took after their change was done, in milliseconds: median and 99th of a hundred.
    fn delivery(&self, subscribers: &[Subscriber]) -> Result<(u128, u128)> {
        let took = |(number, at, _): &(i64, Instant, bool)| {
            self.done.get(number).map(|done| at.saturating_duration_since(*done).as_millis())
        };
        let mut all: Vec<u128> = Vec::new();
        for one in subscribers {
            one.with(|seen| all.extend(seen.events.iter().filter_map(took)));
        }
        all.sort_unstable();
        let at = |part: usize| all.get(all.len() * part / 100).copied().context("there were events");
        Ok((at(50)?, at(99)?))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_missed_on_sqlite() -> Result<()> {
    no_event_is_missed(Database::Sqlite).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_missed_on_postgres() -> Result<()> {
    no_event_is_missed(Database::Postgres).await
}

async fn no_event_is_missed(database: Database) -> Result<()> {
    let fleet = Fleet::on(Db::migrated(database).await?, hosts::with_server().await?, Pace::default()).await?;
    let mut servers = Vec::new();
    for _ in 0..SERVERS {
        servers.push(fleet.server_at(lasting_port()?, "").await?);
    }
    let token = fleet.token("follower", Role::Auditor).await?;
    let mut changes = Changes { fleet: &fleet, done: BTreeMap::new() };
    let (cursor, begin) = newest(&servers[0].url, &token).await?;
    let mut running = JoinSet::new();
    let subscribers = subscribe(&servers, &token, &cursor, &mut running);
    changes.seen_by(&subscribers).await?;

    for server in &mut servers {
        let port = server.url.rsplit(':').next().context("a port")?.parse()?;
        // Dead in the middle of changes, and back in the middle of others.
        server.process.end_now().await;
        changes.make().await?;
        *server = fleet.server_at(port, "").await?;
        changes.seen_by(&subscribers).await?;
    }
    let redis = fleet.sandbox.redis()?;
    redis.stop().await;
    changes.seen_by(&subscribers).await.context("without Redis")?;
    redis.restart().await?;
    changes.seen_by(&subscribers).await.context("with Redis again")?;
    redis.kill().await;
    changes.make().await?;
    redis.restart().await?;
    fleet.flush_redis().await?;
    changes.seen_by(&subscribers).await.context("with a Redis that knows nothing")?;

    running.shutdown().await;
    let end = changes.head().await?;
    let (mut twice, mut joints, mut events) = (0, 0, 0);
    for one in &subscribers {
        twice += one.judge(begin, end)?;
        (joints, events) = one.with(|seen| (joints + seen.joints, events + seen.events.len()));
    }
    ensure!(joints >= SUBSCRIBERS * SERVERS / 2, "hardly anybody was disturbed: {joints}");
    let (median, slow) = changes.delivery(&subscribers)?;
    println!(
        "{database:?}: {events} events to {SUBSCRIBERS} subscribers at {SERVERS} servers, {joints} reconnects, \
         0 missed, {twice} twice; delivered within {median} ms (p50), {slow} ms (p99)"
    );
    for server in servers {
        server.process.stop().await;
    }
    Ok(())
}

/// Half of them by each way, half of each leaving again and again.
fn subscribe(servers: &[Served], token: &str, cursor: &str, running: &mut JoinSet<()>) -> Vec<Subscriber> {
    let servers: Vec<String> = servers.iter().map(|server| server.url.clone()).collect();
    let one = |number: usize| {
        let way = if number.is_multiple_of(2) { Way::WebSocket } else { Way::ServerSentEvents };
        let leaves_after = if number % 4 < 2 { 7 } else { usize::MAX };
        let (servers, token) = (servers.clone(), token.to_owned());
        Subscriber { way, servers, token, leaves_after, seen: Arc::default() }
    };
    let all: Vec<Subscriber> = (0..SUBSCRIBERS).map(one).collect();
    for (number, subscriber) in all.iter().enumerate() {
        running.spawn(subscriber.clone().follow(cursor.to_owned(), number));
    }
    all
}

/// The newest entry of the log: its cursor, behind which one can go on, and its number.
async fn newest(server: &str, token: &str) -> Result<(String, i64)> {
    let answer = Api::new(server, token)
        .query("{ auditLog(first: 1) { edges { cursor node { seq } } } }", serde_json::json!({}))
        .await?;
    let text = |at: &str| answer.pointer(at).and_then(|value| value.as_str()).context("an entry");
    Ok((text("/auditLog/edges/0/cursor")?.to_owned(), text("/auditLog/edges/0/node/seq")?.parse()?))
}
