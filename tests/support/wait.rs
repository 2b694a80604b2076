//! Waiting for a state instead of for a time.

use std::{future::Future, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::time::Instant;

/// Long enough for lost locks, lapsed claims and further attempts on a slow machine that does many things
/// at once. How long something takes is nowhere what a test is about: this only ends one that hangs.
pub const PATIENCE: Duration = Duration::from_mins(8);

/// Waits until `check` is true; an error that says what did not come true within eight minutes.
pub async fn eventually<F>(what: &str, check: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<bool>>,
{
    within(PATIENCE, what, check).await
}

/// The same, with another patience.
pub async fn within<F>(patience: Duration, what: &str, mut check: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<bool>>,
{
    let until = Instant::now() + patience;
    loop {
        if check().await.with_context(|| format!("while waiting for this: {what}"))? {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("this did not come true within {} s: {what}", patience.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The value of a future that must not take long.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    let late = || format!("this did not happen within {} s: {what}", PATIENCE.as_secs());
    tokio::time::timeout(PATIENCE, future).await.with_context(late)
}
