//! Whether the platform can do its work right now.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

use super::Platform;
use crate::{
    domain::{Caller, Permission, Warning},
    error::Error,
    lock::{RedisUnfit, check_redis},
    queue::QueueHealth,
    store::StoreError,
};

/// A part that has not answered by then is away. Short, because probes wait for it.
const PATIENCE: Duration = Duration::from_millis(900);
/// A job that is due and waits longer than this is a sign that nobody works.
const WAITED_TOO_LONG: Duration = Duration::from_mins(1);

/// How a part is, or the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthStatus {
    /// It works.
    Ok,
    /// Requests are accepted, and may be done later; or something has to be looked at before it keeps people out.
    Degraded,
    /// Requests are refused.
    Down,
}

impl HealthStatus {
    /// As logs and `/readyz` have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// One part.
#[derive(Clone, Debug)]
pub struct HealthCheck {
    /// `database`, `redis`, `queue` or `hosts`.
    pub name: &'static str,
    /// How it is.
    pub status: HealthStatus,
    /// What is wrong and what would help; `None` when nothing is wrong.
    pub message: Option<String>,
    /// How long it took to find out.
    pub latency: Duration,
}

/// The whole.
#[derive(Clone, Debug)]
pub struct Health {
    /// The worst of the parts.
    pub status: HealthStatus,
    /// The parts.
    pub checks: Vec<HealthCheck>,
    /// Where the queue in Redis stands; `None` while Redis is away.
    pub queue: Option<QueueHealth>,
    /// How long the job that is due and has waited longest has waited; `None` while the database is away.
    pub oldest_due: Option<Duration>,
    /// What somebody has to look at on VPN hosts, by their names.
    pub warnings: Vec<Warning>,
}

impl Platform {
    /// Whether the platform can do its work, for those who may know.
    pub async fn health(&self, caller: &Caller) -> Result<Health, Error> {
        self.authorise(caller, Permission::ReadHealth).await?;
        let (mut health, (hosts, warnings)) = tokio::join!(self.readiness(), self.hosts_health());
        health.status = health.status.max(hosts.status);
        health.checks.push(hosts);
        health.warnings = warnings;
        Ok(health)
    }

    /// The same without the VPN hosts, for the probe of a load balancer: requests are accepted whatever hosts do.
    pub async fn readiness(&self) -> Health {
        let (database, redis, queue) = tokio::join!(self.database_health(), self.redis_health(), self.queue_health());
        let ((database, oldest_due), (queue, numbers)) = (database, queue);
        let mut checks = vec![database, redis, queue];
        if let (Some(late), Some(queue)) = (oldest_due.filter(|age| *age > WAITED_TOO_LONG), checks.last_mut())
            && queue.status == HealthStatus::Ok
        {
            queue.status = HealthStatus::Degraded;
            queue.message =
                Some(format!("a job that is due has waited for {} s: look at the workers' logs", late.as_secs()));
        }
        let status = checks.iter().map(|check| check.status).max().unwrap_or(HealthStatus::Down);
        Health { status, checks, queue: numbers, oldest_due, warnings: Vec::new() }
    }

    /// Whether Redis answers, and is fit for locks. `None` when it does not answer.
    pub async fn check_redis(&self) -> Option<Result<(), RedisUnfit>> {
        tokio::time::timeout(PATIENCE, check_redis(&self.deps.redis)).await.ok()
    }

    async fn database_health(&self) -> (HealthCheck, Option<Duration>) {
        let look = async {
            self.store().opened().await?;
            self.store().read().await?.oldest_due().await
        };
        let (found, latency) = timed(look).await;
        let (status, message, age) = match found {
            Some(Ok(age)) => (HealthStatus::Ok, None, Some(age)),
            Some(Err(error)) => (HealthStatus::Down, Some(format!("{error}")), None),
            None => (HealthStatus::Down, Some("the database does not answer".to_owned()), None),
        };
        (HealthCheck { name: "database", status, message, latency }, age)
    }

    /// Without Redis, requests are accepted and done later.
    async fn redis_health(&self) -> HealthCheck {
        let (found, latency) = timed(self.check_redis()).await;
        let message = match found.flatten() {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(format!("{error}; jobs are accepted and wait until it is back")),
            None => Some("Redis does not answer; jobs are accepted and wait until it is back".to_owned()),
        };
        let status = if message.is_none() { HealthStatus::Ok } else { HealthStatus::Degraded };
        HealthCheck { name: "redis", status, message, latency }
    }

    /// What was last seen of the hosts, and what ends on them.
    async fn hosts_health(&self) -> (HealthCheck, Vec<Warning>) {
        let (found, latency) = timed(self.host_warnings()).await;
        let (warnings, message) = match found {
            Some(Ok(warnings)) => {
                let mut grave = warnings.iter().filter(|it| it.code.degrades()).map(|it| it.message.clone());
                let first = grave.next();
                let others = grave.count();
                let message =
                    first.map(|it| if others == 0 { it } else { format!("{it}; warnings beside it: {others}") });
                (warnings, message)
            }
            Some(Err(error)) => (Vec::new(), Some(format!("what hosts have said cannot be read: {error}"))),
            None => (Vec::new(), Some("what hosts have said cannot be read: the database does not answer".to_owned())),
        };
        let status = if message.is_none() { HealthStatus::Ok } else { HealthStatus::Degraded };
        (HealthCheck { name: "hosts", status, message, latency }, warnings)
    }

    async fn host_warnings(&self) -> Result<Vec<Warning>, StoreError> {
        let (now, hosts) = self.known_hosts().await?;
        Ok(hosts.iter().flat_map(|host| host.warnings(now)).collect())
    }

    async fn queue_health(&self) -> (HealthCheck, Option<QueueHealth>) {
        let (found, latency) = timed(self.deps.bell.health()).await;
        let (message, numbers) = match found {
            Some(Ok(queue)) if queue.workers == 0 => {
                (Some("no worker is running: start vpn-worker, or look at its log".to_owned()), Some(queue))
            }
            Some(Ok(queue)) if queue.dead > 0 => (
                Some(format!("{} queue entries were given up: that is a bug, please report it", queue.dead)),
                Some(queue),
            ),
            Some(Ok(queue)) => (None, Some(queue)),
            Some(Err(_)) | None => (Some("the queue cannot be asked while Redis is away".to_owned()), None),
        };
        let status = if message.is_none() { HealthStatus::Ok } else { HealthStatus::Degraded };
        (HealthCheck { name: "queue", status, message, latency }, numbers)
    }
}

async fn timed<T>(look: impl Future<Output = T>) -> (Option<T>, Duration) {
    let begun = Instant::now();
    let found = tokio::time::timeout(PATIENCE, look).await.ok();
    (found, begun.elapsed())
}
