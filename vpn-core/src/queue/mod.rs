//! The doorbell: a queue in Redis that tells workers to look at a job. The only module that knows
//! apalis.
//!
//! Nothing here is believed. A ring may come twice, late, or never: SQL decides what is done, and the
//! sweeper rings again for what was missed. Why each setting is what it is stands beside it; the facts
//! about apalis 1.0 were measured.

mod bell;
#[cfg(feature = "worker")]
mod poll;
mod upkeep;
#[cfg(feature = "worker")]
mod worker;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::JobId;

pub use bell::{Bell, Doorbell, QueueError};
pub use upkeep::QueueHealth;
#[cfg(feature = "worker")]
pub use upkeep::purge_done;
#[cfg(feature = "worker")]
pub use worker::{Handler, WorkerOptions, answer_rings};

/// How many rings may be in Redis at once: about 8,000 due ones would brick the library's fetch.
pub const MAX_IN_QUEUE: i64 = 5000;

/// The channel on which every ring is announced, so that an idle worker need not wait for its poll.
const WAKE_CHANNEL: &str = "vpn:wake";

/// What is queued: a pointer to a row. Everything that matters is in SQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ring {
    version: u8,
    job_id: String,
    generation: i64,
}

impl Ring {
    const VERSION: u8 = 1;

    fn new(job: JobId, generation: i64) -> Self {
        Self { version: Self::VERSION, job_id: job.to_string(), generation }
    }

    /// A key that outlived its lost task would silently swallow the next push: so the generation is
    /// part of it.
    fn idempotency_key(&self) -> String {
        format!("{}:{}", self.job_id, self.generation)
    }
}

/// The one configuration that API and workers must share.
fn config() -> apalis_redis::Config {
    apalis_redis::Config::default()
        .queue("vpn:jobs")
        // Above 1, tasks that are buffered behind the concurrency stop heartbeats and acknowledgements,
        // and the same job runs twice.
        .batch_size(1)
        // Whole seconds only. A worker counts as lost after 30 s.
        .heartbeat_interval(Duration::from_secs(5))
        .missed_heartbeats(6)
        // `None` would disable deduplication.
        .idempotency_ttl(Some(Duration::from_hours(24)))
        // Without it nothing is ever acknowledged.
        .persist_results(true)
        .lock_tasks(true)
}
