//! Whose turn it is, among the tests that run programs of their own.
//!
//! Each has several, with leases that a machine which does too much lets lapse all the time: then what
//! was begun is begun again, which is more to do.

use std::{num::NonZero, sync::LazyLock, thread::available_parallelism};

use anyhow::Result;
use tokio::sync::{Semaphore, SemaphorePermit};

/// As many as there are cores.
static TURNS: LazyLock<(Semaphore, u32)> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, NonZero::get);
    (Semaphore::new(cores), u32::try_from(cores).unwrap_or(u32::MAX))
});

/// While this lives, something runs its programs. Nobody waits for a second one with the first in hand.
pub type Turn = SemaphorePermit<'static>;

/// A turn beside others.
pub async fn turn() -> Result<Turn> {
    Ok(TURNS.0.acquire().await?)
}

/// All turns: nothing else runs programs.
pub async fn alone() -> Result<Turn> {
    Ok(TURNS.0.acquire_many(TURNS.1).await?)
}
