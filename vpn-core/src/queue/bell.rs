//! Ringing.

use std::sync::Arc;

use apalis::prelude::TaskBuilder;
use apalis_redis::{Config, queries};
use redis::{AsyncCommands as _, aio::ConnectionManager};

use super::{QueueHealth, Ring, WAKE_CHANNEL, config, upkeep};
use crate::{domain::JobId, host::Boxed};

/// Redis could not be told. Nothing is lost: the sweeper rings again.
#[derive(Debug, thiserror::Error)]
#[error("the queue in Redis cannot be reached: {0}")]
pub struct QueueError(pub(super) String);

/// Something that tells workers to look at a job.
pub trait Doorbell: Send + Sync {
    /// Rings once for this generation; ringing again for the same generation is without effect.
    fn ring(&self, job: JobId, generation: i64) -> Boxed<'_, Result<(), QueueError>>;

    /// Where the queue stands.
    fn health(&self) -> Boxed<'_, Result<QueueHealth, QueueError>>;
}

/// The bell in Redis.
#[derive(Clone)]
pub struct Bell {
    redis: ConnectionManager,
    config: Arc<Config>,
}

impl Bell {
    /// On this connection.
    #[must_use]
    pub fn new(redis: ConnectionManager) -> Self {
        Self { redis, config: Arc::new(config()) }
    }

    async fn push(&self, ring: Ring) -> Result<(), String> {
        let mut redis = self.redis.clone();
        let key = ring.idempotency_key();
        let payload = serde_json::to_vec(&ring).map_err(|error| error.to_string())?;
        let task = TaskBuilder::new(payload).idempotency_key(&key).build();
        queries::push_tasks(&mut redis, &self.config, &[task]).await.map_err(|error| error.to_string())?;
        let _listeners: i64 = redis.publish(WAKE_CHANNEL, ring.job_id).await.map_err(|error| error.to_string())?;
        Ok(())
    }
}

impl Doorbell for Bell {
    fn ring(&self, job: JobId, generation: i64) -> Boxed<'_, Result<(), QueueError>> {
        Box::pin(async move { self.push(Ring::new(job, generation)).await.map_err(QueueError) })
    }

    fn health(&self) -> Boxed<'_, Result<QueueHealth, QueueError>> {
        Box::pin(async move {
            let mut redis = self.redis.clone();
            upkeep::health(&mut redis, &self.config).await.map_err(|error| QueueError(error.to_string()))
        })
    }
}
