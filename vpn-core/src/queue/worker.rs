//! Answering rings: an apalis worker that is started again, under a fresh name, whenever Redis made
//! it fail, and that drains when it is told to stop.

use std::{sync::Arc, time::Duration};

use apalis::prelude::{
    AbortError, BackendExt as _, BoxDynError, Data, Event, EventListenerExt as _, WorkerBuilder, WorkerBuilderExt as _,
    WorkerContext,
};
use apalis_redis::{Config, RedisStorage};
use futures_util::StreamExt as _;
use redis::aio::ConnectionManager;
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Ring, WAKE_CHANNEL, config, poll::WakeOrTick, upkeep};
use crate::{clock::Ambient, domain::JobId, host::Boxed};

/// What is done at a ring.
pub trait Handler: Send + Sync + 'static {
    /// Looks at the job. Must not be cut off by a Redis in trouble: it runs in a task of its own.
    fn look_at(&self, job: JobId) -> Boxed<'_, ()>;
}

/// How rings are answered.
#[derive(Clone, Copy, Debug)]
pub struct WorkerOptions {
    /// Jobs at once.
    pub concurrency: usize,
    /// How long a stopping worker waits for its jobs.
    pub drain: Duration,
}

/// Done tasks are kept this long in Redis, for looking at.
const KEEP_DONE: Duration = Duration::from_hours(1);

/// What the task handler gets; apalis hands it out.
#[derive(Clone)]
struct Shared {
    handler: Arc<dyn Handler>,
    tracker: TaskTracker,
}

/// Answers rings until `stop`, then drains. Returns when all that was begun has ended, or when the
/// drain limit has passed.
pub async fn answer_rings(
    url: &str,
    redis: ConnectionManager,
    ambient: &Ambient,
    handler: Arc<dyn Handler>,
    options: WorkerOptions,
    stop: CancellationToken,
) {
    let config = config();
    let shared = Shared { handler, tracker: TaskTracker::new() };
    let (wake, wakes) = watch::channel(0);
    let listener = tokio::spawn(listen(url.to_owned(), wake, stop.clone()));
    let upkeep = tokio::spawn(purge_from_time_to_time(redis.clone(), stop.clone()));
    let mut backoff = Backoff::default();
    // One limit for all that has to end, counted from when the worker was told to stop.
    let mut limit = None;
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let worker = Attempt { config: &config, redis: &redis, shared: &shared, wakes: &wakes, ambient };
        limit = worker.run(options, &stop).await;
        if !stop.is_cancelled() {
            backoff.wait(begun, &stop).await;
        }
    }
    shared.tracker.close();
    // Jobs that outlived their apalis worker (Redis in trouble) get the same grace.
    let limit = limit.unwrap_or_else(|| Instant::now() + options.drain);
    if tokio::time::timeout_at(limit, shared.tracker.wait()).await.is_err() {
        tracing::warn!(jobs.running = shared.tracker.len(), "the drain limit passed: these jobs go to another worker");
    }
    listener.abort();
    upkeep.abort();
}

/// One life of an apalis worker.
struct Attempt<'a> {
    config: &'a Config,
    redis: &'a ConnectionManager,
    shared: &'a Shared,
    wakes: &'a watch::Receiver<u64>,
    ambient: &'a Ambient,
}

impl Attempt<'_> {
    /// Gives when it has to be over, if it was told to stop.
    async fn run(&self, options: WorkerOptions, stop: &CancellationToken) -> Option<Instant> {
        // A name that was used before fails to register, or steals the living one's tasks.
        let context = WorkerContext::new(&format!("vpn-worker-{}", hex::encode(self.ambient.random::<8>())));
        let backend = RedisStorage::<serde_json::Value>::new(self.redis.clone())
            .with_config(self.config.clone())
            .poll_with_strategy(WakeOrTick::new(self.wakes.clone()));
        let worker = WorkerBuilder::new(context.clone())
            .backend(backend)
            // Without it the concurrency is unlimited.
            .concurrency(options.concurrency)
            .catch_panic()
            .data(self.shared.clone())
            .on_event(|_, event| {
                if let Event::Error(error) = event {
                    tracing::warn!(%error, "a ring could not be answered");
                }
            })
            .build(take);
        let mut running = tokio::spawn(worker.run());
        tokio::select! {
            ended = &mut running => {
                tracing::warn!(worker.name = context.name(), outcome = ?ended, "the queue worker ended, another one starts");
                None
            }
            () = stop.cancelled() => {
                let limit = Instant::now() + options.drain;
                self.drain(&context, limit).await;
                running.abort();
                Some(limit)
            }
        }
    }

    /// `pause` keeps heartbeats and acknowledgements going while jobs finish; `stop` does not.
    async fn drain(&self, context: &WorkerContext, until: Instant) {
        let paused = context.pause();
        while context.task_count() > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let stopped = context.stop();
        if paused.is_err() || stopped.is_err() || context.task_count() > 0 {
            tracing::warn!(
                worker.name = context.name(),
                "the queue worker did not stop in order; what it had comes back in 30 s"
            );
            return;
        }
        let mut redis = self.redis.clone();
        let error = match tokio::time::timeout_at(until, upkeep::release(&mut redis, self.config, context)).await {
            Ok(Ok(_given_back)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(worker.name = context.name(), error, "the queue worker could not be signed off");
    }
}

/// The payload is taken as it comes: one that does not decode would otherwise kill the worker at
/// every redelivery. It goes to the dead set instead.
async fn take(raw: serde_json::Value, shared: Data<Shared>) -> Result<(), BoxDynError> {
    let ring: Ring = serde_json::from_value(raw).map_err(AbortError::new)?;
    let job: JobId = ring.job_id.parse().map_err(AbortError::new)?;
    if ring.version != Ring::VERSION {
        return Err(AbortError::new(std::io::Error::other("a ring of another version")).into());
    }
    let handler = Arc::clone(&shared.handler);
    // A task of its own: when Redis is in trouble this future is dropped; the SSH session must not be.
    let looked = shared.tracker.spawn(async move { handler.look_at(job).await }).await;
    // Whatever came of it is in SQL. Should SQL be away, the sweeper rings again once it is back: apalis
    // would try 25 times and then give the ring up.
    looked.map_err(|panic| AbortError::new(panic).into())
}

/// Wakes the worker at every announced ring. Lost announcements cost a poll interval, nothing else.
async fn listen(url: String, wake: watch::Sender<u64>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let subscribed = async {
            let mut pubsub = redis::Client::open(url.as_str())?.get_async_pubsub().await?;
            pubsub.subscribe(WAKE_CHANNEL).await?;
            Ok::<_, redis::RedisError>(pubsub)
        };
        if let Ok(pubsub) = subscribed.await {
            let mut messages = pubsub.into_on_message();
            while messages.next().await.is_some() {
                wake.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
        pause(Duration::from_secs(1), &stop).await;
    }
}

async fn purge_from_time_to_time(mut redis: ConnectionManager, stop: CancellationToken) {
    while !stop.is_cancelled() {
        pause(Duration::from_secs(30), &stop).await;
        if let Err(error) = upkeep::purge_done(&mut redis, KEEP_DONE).await {
            tracing::debug!(%error, "done tasks could not be removed from Redis");
        }
    }
}

/// Between the lives of a worker: 0.2 s, doubled up to 5 s, and from the beginning after a good minute.
struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(Duration::from_millis(200))
    }
}

impl Backoff {
    async fn wait(&mut self, begun: Instant, stop: &CancellationToken) {
        if begun.elapsed() > Duration::from_mins(1) {
            *self = Self::default();
        }
        pause(self.0, stop).await;
        self.0 = (self.0 * 2).min(Duration::from_secs(5));
    }
}

async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stop.cancelled() => {}
    }
}
