//! Whether the service can do its work.

use std::time::Duration;

use async_graphql::SimpleObject;
use vpn_core::{queue::QueueHealth as CoreQueue, service};

use super::enums::HealthStatus;

/// Whether the service can do its work right now.
#[derive(SimpleObject)]
pub(crate) struct Health {
    /// The worst of the parts.
    status: HealthStatus,
    /// The version of this server.
    version: &'static str,
    /// Where the queue stands; null while it cannot be asked.
    queue: Option<QueueHealth>,
    /// The parts.
    checks: Vec<HealthCheck>,
}

/// One part of the service.
#[derive(SimpleObject)]
pub(crate) struct HealthCheck {
    /// `database`, `redis` or `queue`. New ones may appear.
    name: &'static str,
    /// How it is.
    status: HealthStatus,
    /// What is wrong and what would help; null when nothing is wrong.
    message: Option<String>,
    /// How long it took to find out.
    latency_ms: i32,
}

/// Where the queue stands.
#[derive(SimpleObject)]
pub(crate) struct QueueHealth {
    /// Entries that wait for a worker.
    ready: i32,
    /// Entries that wait for their time.
    delayed: i32,
    /// Entries that a worker is at.
    running: i32,
    /// Entries that were given up. There should be none.
    dead: i32,
    /// Workers that are alive.
    workers: i32,
    /// How long the job that is due and has waited longest has waited; null while the database is away.
    oldest_due_seconds: Option<i32>,
}

impl From<service::Health> for Health {
    fn from(health: service::Health) -> Self {
        let oldest_due = health.oldest_due;
        Self {
            status: health.status.into(),
            version: env!("CARGO_PKG_VERSION"),
            queue: health.queue.map(|queue| QueueHealth::new(&queue, oldest_due)),
            checks: health.checks.into_iter().map(HealthCheck::from).collect(),
        }
    }
}

impl From<service::HealthCheck> for HealthCheck {
    fn from(check: service::HealthCheck) -> Self {
        let latency_ms = int(check.latency.as_millis());
        Self { name: check.name, status: check.status.into(), message: check.message, latency_ms }
    }
}

impl QueueHealth {
    fn new(queue: &CoreQueue, oldest_due: Option<Duration>) -> Self {
        Self {
            ready: int(queue.ready),
            delayed: int(queue.delayed),
            running: int(queue.running),
            dead: int(queue.dead),
            workers: int(queue.workers),
            oldest_due_seconds: oldest_due.map(|age| int(age.as_secs())),
        }
    }
}

/// As an `Int`, which ends at 2^31.
fn int(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
