//! Signing for the log. Whoever signs reads the log and checks it first, and signs nothing that does not
//! continue what was signed before; whoever writes the log need not have the key.

use std::time::Duration;

use tokio::time::Instant;

use super::verify::{VerifyError, begin, catch_up};
use crate::{
    audit::{Checkpoint, Verifier, note::SigningKey},
    store::Store,
};

/// When a checkpoint is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// After so many entries,
    pub entries: u64,
    /// or so long after the last one, if there are any entries.
    pub every: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { entries: 256, every: Duration::from_mins(1) }
    }
}

/// Follows one log and signs for it.
#[derive(Debug)]
pub struct Checkpointer {
    store: Store,
    keys: Vec<SigningKey>,
    /// Once it has begun.
    verifier: Option<Verifier>,
    earlier: Vec<Checkpoint>,
    signed: u64,
    since: Instant,
}

impl Checkpointer {
    /// Signs with these keys what continues `earlier`, which were signed before.
    #[must_use]
    pub fn new(store: Store, keys: Vec<SigningKey>, earlier: Vec<Checkpoint>) -> Self {
        let signed = earlier.iter().map(|checkpoint| checkpoint.size).max().unwrap_or(0);
        Self { store, keys, verifier: None, earlier, signed, since: Instant::now() }
    }

    /// Nothing is signed unseen: where entries were sealed that none of the earlier checkpoints covers, the
    /// log cannot be compared with any.
    async fn begun(&self) -> Result<Verifier, VerifyError> {
        let mut verifier = begin(&mut self.store.read().await?).await?.wanting_values();
        if self.signed > 0 && self.signed < verifier.seq().unsigned_abs() {
            let seen = i64::try_from(self.signed).unwrap_or(i64::MAX);
            return Err(VerifyError::SealedUnseen { until: verifier.seq(), seen });
        }
        verifier.expect(self.earlier.clone())?;
        Ok(verifier)
    }

    /// Checks what has been added to the log, and signs. `None` when there is nothing new.
    pub async fn next(&mut self) -> Result<Option<String>, VerifyError> {
        let mut verifier = match self.verifier.take() {
            Some(verifier) => verifier,
            None => self.begun().await?,
        };
        let caught_up = catch_up(&self.store, &mut verifier).await;
        self.verifier = Some(verifier);
        let checkpoint = caught_up?.checkpoint();
        self.since = Instant::now();
        if checkpoint.size <= self.signed {
            return Ok(None);
        }
        if let Some(key) = self.keys.iter().find(|key| key.public().name() != checkpoint.origin) {
            return Err(VerifyError::OtherKey { key: key.public().name().to_owned(), log: checkpoint.origin });
        }
        self.signed = checkpoint.size;
        Ok(Some(checkpoint.signed(&self.keys)))
    }

    /// The same, if the rhythm wants one now.
    pub async fn next_due(&mut self, rhythm: Rhythm) -> Result<Option<String>, VerifyError> {
        let head = self.store.read().await?.audit_head().await?;
        let waiting = head.seq.unsigned_abs().saturating_sub(self.signed);
        let due = waiting >= rhythm.entries || (waiting > 0 && self.since.elapsed() >= rhythm.every);
        if due { self.next().await } else { Ok(None) }
    }
}
