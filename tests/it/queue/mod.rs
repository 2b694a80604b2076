//! The doorbell on a real Redis: rung, answered, and what Redis in trouble does to it.

mod drain;
mod health;
mod redis_in_trouble;
mod rings;
mod takeover;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use vpn_core::{
    clock::Ambient,
    domain::JobId,
    host::Boxed,
    queue::{Bell, Handler, WorkerOptions, answer_rings},
    sandbox::{Options, Sandbox},
};
use vpn_tests::{redis as services, stepping};

/// A Redis of its own: the queue has one name.
async fn redis() -> Result<Sandbox> {
    Ok(Sandbox::start(Options::redis()).await?)
}

fn bell(sandbox: &Sandbox) -> Result<Bell> {
    Ok(Bell::new(services::connect(&sandbox.redis()?.url())?))
}

fn job() -> JobId {
    JobId::generate(&stepping())
}

/// Writes down what it is asked, and works for as long as it is told.
struct Recorder {
    calls: Mutex<Vec<(JobId, Instant)>>,
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// While this is true, work that was begun does not end.
    busy: watch::Sender<bool>,
}

impl Recorder {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            busy: watch::Sender::new(false),
        })
    }

    fn jobs(&self) -> Vec<JobId> {
        self.calls.lock().unwrap().iter().map(|(job, _)| *job).collect()
    }

    fn times_of(&self, job: JobId) -> usize {
        self.jobs().iter().filter(|called| **called == job).count()
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }
}

impl Handler for Recorder {
    fn look_at(&self, job: JobId) -> Boxed<'_, ()> {
        Box::pin(async move {
            self.calls.lock().unwrap().push((job, Instant::now()));
            self.begun.fetch_add(1, Ordering::SeqCst);
            let mut busy = self.busy.subscribe();
            let _open = busy.wait_for(|busy| !busy).await.is_ok();
            self.ended.fetch_add(1, Ordering::SeqCst);
        })
    }
}

/// A worker that answers rings until it is told to stop, or is dropped like one that was killed.
struct Worker {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Worker {
    fn start(url: &str, handler: Arc<Recorder>, concurrency: usize) -> Result<Self> {
        Self::start_with(url, handler, WorkerOptions { concurrency, drain: Duration::from_secs(10) })
    }

    fn start_with(url: &str, handler: Arc<Recorder>, options: WorkerOptions) -> Result<Self> {
        let (stop, redis, url) = (CancellationToken::new(), services::connect(url)?, url.to_owned());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            answer_rings(&url, redis, &Ambient::system(), handler, options, stopped).await;
        });
        Ok(Self { task, stop })
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(vpn_tests::soon("the worker stops", self.task).await??)
    }
}
