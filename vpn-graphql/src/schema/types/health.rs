//! Whether the service can do its work.

use std::time::Duration;

use async_graphql::{ID, SimpleObject};
use vpn_core::{domain::Warning, queue::QueueHealth as CoreQueue, service};

use super::{
    DateTime,
    enums::{HealthStatus, HealthWarningCode},
};

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
    /// What somebody has to look at on VPN hosts, such as a CRL that ends soon; by the hosts' names.
    warnings: Vec<HealthWarning>,
}

/// One part of the service.
#[derive(SimpleObject)]
pub(crate) struct HealthCheck {
    /// `database`, `redis`, `queue` or `hosts`. New ones may appear.
    name: &'static str,
    /// How it is.
    status: HealthStatus,
    /// What is wrong and what would help; null when nothing is wrong.
    message: Option<String>,
    /// How long it took to find out.
    latency_ms: i32,
}

/// Something on a VPN host that has to be looked at, before it keeps people out, or lets them in.
#[derive(SimpleObject)]
pub(crate) struct HealthWarning {
    /// What kind.
    code: HealthWarningCode,
    /// The server's global id.
    server_id: ID,
    /// The server's name.
    server_name: String,
    /// When what it is about ends; null when it is about no end.
    ends_at: Option<DateTime>,
    /// What is wrong, and what would help.
    message: String,
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
            warnings: health.warnings.into_iter().map(HealthWarning::from).collect(),
        }
    }
}

impl From<service::HealthCheck> for HealthCheck {
    fn from(check: service::HealthCheck) -> Self {
        let latency_ms = int(check.latency.as_millis());
        Self { name: check.name, status: check.status.into(), message: check.message, latency_ms }
    }
}

impl From<Warning> for HealthWarning {
    fn from(warning: Warning) -> Self {
        Self {
            code: warning.code.into(),
            server_id: ID(warning.server_id.to_string()),
            server_name: warning.server.to_string(),
            ends_at: warning.ends_at.map(DateTime),
            message: warning.message,
        }
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
