//! Idempotency: the same caller, key and input get the first answer again, for 24 hours.

use std::future::Future;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::Platform;
use crate::{
    domain::Caller,
    error::{Error, RejectionCode},
    store::{IdempotencyRecord, Remembered, StoreError, Tx},
};

/// How often a transaction that lost against another one is tried.
const TRIES: u32 = 5;

/// A call that may be a repetition.
pub(super) struct Call<'a> {
    principal: &'a str,
    key: Option<&'a str>,
    operation: &'static str,
    request_hash: [u8; 32],
}

impl<'a> Call<'a> {
    /// Of this operation with this input. The key has 1 to 128 printable ASCII characters.
    pub(super) fn new(
        caller: &'a Caller,
        key: Option<&'a str>,
        operation: &'static str,
        input: &impl Serialize,
    ) -> Result<Self, Error> {
        if key.is_some_and(|key| !(1..=128).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Error::invalid("idempotencyKey", "an idempotency key has 1 to 128 printable ASCII characters"));
        }
        let canonical = serde_json_canonicalizer::to_vec(input)
            .map_err(|error| Error::invalid("input", format!("the input cannot be written down: {error}")))?;
        let request_hash = Sha256::digest(canonical).into();
        Ok(Self { principal: caller.principal.as_str(), key, operation, request_hash })
    }

    /// What the first call made, if there was one.
    pub(super) async fn repeated(&self, tx: &mut Tx) -> Result<Option<Remembered>, Error> {
        let Some(key) = self.key else { return Ok(None) };
        let now = tx.at();
        let Some(record) = tx.idempotency_key(self.principal, key, now).await? else { return Ok(None) };
        if record.operation != self.operation || record.request_hash != self.request_hash {
            return Err(Error::rejected(
                RejectionCode::IdempotencyKeyReused,
                Some("idempotencyKey"),
                "this idempotency key was used with another input: take a new key for a new request",
            ));
        }
        Ok(Some(record.result))
    }

    /// To be called last before the commit.
    pub(super) async fn remember(&self, tx: &mut Tx, result: Remembered) -> Result<(), StoreError> {
        let Some(key) = self.key else { return Ok(()) };
        let record =
            IdempotencyRecord { operation: self.operation.to_owned(), request_hash: self.request_hash, result };
        tx.remember(self.principal, key, &record).await
    }
}

impl Platform {
    /// Runs a transaction, and runs it again when another one got in its way: a deadlock, or two calls
    /// with one idempotency key, of which the second must find what the first has made. The last
    /// failure is given as it is.
    pub(super) async fn transact<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut tries = 1;
        loop {
            match attempt().await {
                Err(Error::Store(StoreError::Contended(_))) if tries < TRIES => tries += 1,
                // Once: a name that is taken stays taken.
                Err(Error::Store(StoreError::Duplicate(_))) if tries == 1 => tries += 1,
                other => return other,
            }
        }
    }
}
