//! The Lua scripts of the lock, and what they answer. Each is one round trip.

use std::{sync::Arc, time::Duration};

use redis::{RedisError, Script, aio::ConnectionManager};

use super::key;
use crate::domain::{AttemptId, FencingToken};

#[derive(Clone, Debug)]
pub(super) struct Scripts {
    acquire: Arc<Script>,
    renew: Arc<Script>,
    release: Arc<Script>,
}

pub(super) enum Acquired {
    Taken(FencingToken),
    Held(Duration),
}

impl Scripts {
    pub(super) fn load() -> Self {
        let script = |text| Arc::new(Script::new(text));
        Self {
            acquire: script(include_str!("acquire.lua")),
            renew: script(include_str!("renew.lua")),
            release: script(include_str!("release.lua")),
        }
    }

    pub(super) async fn acquire(
        &self,
        redis: &ConnectionManager,
        resource: &str,
        owner: &AttemptId,
        kept: Duration,
        floor: FencingToken,
    ) -> Result<Acquired, RedisError> {
        let (taken, value): (i64, i64) = self
            .acquire
            .key(key(resource, "lock"))
            .key(key(resource, "fence"))
            .arg(owner.as_str())
            .arg(millis(kept))
            .arg(floor.get())
            .invoke_async(&mut redis.clone())
            .await?;
        Ok(if taken == 1 {
            Acquired::Taken(FencingToken::new(value))
        } else {
            Acquired::Held(Duration::from_millis(u64::try_from(value).unwrap_or(0)))
        })
    }

    pub(super) async fn renew(
        &self,
        redis: &ConnectionManager,
        resource: &str,
        owner: &AttemptId,
        kept: Duration,
    ) -> Result<bool, RedisError> {
        let kept: i64 = self
            .renew
            .key(key(resource, "lock"))
            .arg(owner.as_str())
            .arg(millis(kept))
            .invoke_async(&mut redis.clone())
            .await?;
        Ok(kept == 1)
    }

    pub(super) async fn release(
        &self,
        redis: &ConnectionManager,
        resource: &str,
        owner: &AttemptId,
    ) -> Result<(), RedisError> {
        let _was_ours: i64 =
            self.release.key(key(resource, "lock")).arg(owner.as_str()).invoke_async(&mut redis.clone()).await?;
        Ok(())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
