//! The issuer's keys, kept and fetched again: when they are old, and when a token names one that is not
//! known, but then not more often than the issuer can be asked to bear.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde_json::Value;

use super::{Patience, ProviderError, Source};

/// Keys in one set, at most.
const MAX_KEYS: usize = 100;

/// Keys that a token may be signed with.
pub(super) enum Matching {
    Some(Vec<Arc<DecodingKey>>),
    None,
}

/// A key that is for checking signatures.
struct Key {
    id: Option<String>,
    /// The only algorithm it is for, if it says so.
    only: Option<Algorithm>,
    decoding: Arc<DecodingKey>,
    /// The curve decides on the algorithm.
    curve: Option<Algorithm>,
}

impl Key {
    /// `None` for a key that is for something else, or that is too weak or unknown to us.
    fn read(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let common = &jwk.common;
        let signs = common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
        let verifies = common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        // A symmetric key in a public set is a mistake or a trap.
        if !signs || !verifies || matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_)) {
            return None;
        }
        let only = match common.key_algorithm {
            Some(algorithm) => Some(Algorithm::try_from(algorithm).ok()?),
            None => None,
        };
        let curve = match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(it) => Some(match it.curve {
                EllipticCurve::P256 => Algorithm::ES256,
                EllipticCurve::P384 => Algorithm::ES384,
                _ => return None,
            }),
            _ => None,
        };
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: common.key_id.clone(), only, decoding: Arc::new(key), curve })
    }

    fn fits(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        let named = id.is_none_or(|id| self.id.as_deref() == Some(id));
        let family = self.decoding.family() == algorithm.family() && algorithm.family() != AlgorithmFamily::Hmac;
        named
            && family
            && self.only.is_none_or(|only| only == algorithm)
            && self.curve.is_none_or(|curve| curve == algorithm)
    }
}

#[derive(Default)]
struct State {
    keys: Arc<Vec<Key>>,
    /// When these were had.
    fetched: Option<Instant>,
    /// When they were asked for, with whatever outcome.
    tried: Option<Instant>,
    trouble: Option<ProviderError>,
}

pub(super) struct Keys {
    source: Source,
    patience: Patience,
    state: Mutex<State>,
    /// Held by the one who asks the issuer.
    fetching: tokio::sync::Mutex<()>,
}

impl Keys {
    pub(super) fn new(source: Source, patience: Patience) -> Self {
        Self { source, patience, state: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// Keys with this id, or with any if the token names none, that are for this algorithm. An error when
    /// there are no keys that are young enough to be used.
    pub(super) async fn matching(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Instant,
    ) -> Result<Matching, ProviderError> {
        match self.look(id, algorithm, now) {
            (Matching::Some(keys), true) => return Ok(Matching::Some(keys)),
            (Matching::Some(keys), false) => {
                // One of all asks the issuer; the others go on with what there is.
                if let Ok(_one) = self.fetching.try_lock() {
                    self.fetch(now).await;
                } else {
                    return Ok(Matching::Some(keys));
                }
            }
            (Matching::None, _) => {
                let _one = self.fetching.lock().await;
                self.fetch(now).await;
            }
        }
        match self.look(id, algorithm, now) {
            (Matching::None, _) if !self.has_any(now) => Err(self.trouble()),
            (found, _) => Ok(found),
        }
    }

    /// What matches, and whether it need not be fetched again yet. Nothing matches among keys that are
    /// too old.
    fn look(&self, id: Option<&str>, algorithm: Algorithm, now: Instant) -> (Matching, bool) {
        let state = self.lock();
        let age = state.fetched.map(|at| now.saturating_duration_since(at));
        if age.is_none_or(|age| age > self.patience.stale) {
            return (Matching::None, false);
        }
        let keys: Vec<_> =
            state.keys.iter().filter(|key| key.fits(id, algorithm)).map(|key| key.decoding.clone()).collect();
        let fresh = age.is_some_and(|age| age < self.patience.fresh);
        // Without an id, a key is only taken when there is no choice.
        let found =
            if keys.is_empty() || id.is_none() && keys.len() > 1 { Matching::None } else { Matching::Some(keys) };
        (found, fresh)
    }

    fn has_any(&self, now: Instant) -> bool {
        self.lock().fetched.is_some_and(|at| now.saturating_duration_since(at) <= self.patience.stale)
    }

    fn trouble(&self) -> ProviderError {
        self.lock().trouble.clone().unwrap_or_else(|| ProviderError("it was asked a moment ago".to_owned()))
    }

    /// Asks the issuer, unless it was asked a moment ago. To be called by one at a time.
    async fn fetch(&self, now: Instant) {
        {
            let mut state = self.lock();
            if state.tried.is_some_and(|at| now.saturating_duration_since(at) < self.patience.between) {
                return;
            }
            // Before the issuer is asked: whoever gives up waiting must not bring the next one to ask at once.
            state.tried = Some(now);
        }
        match self.source.keys().await {
            Ok(set) => {
                let keys: Vec<Key> = set.iter().take(MAX_KEYS).filter_map(Key::read).collect();
                tracing::info!(oidc.keys = keys.len(), "the identity provider's keys were fetched");
                let mut state = self.lock();
                state.keys = Arc::new(keys);
                state.fetched = Some(now);
                state.trouble = None;
            }
            Err(error) => {
                tracing::warn!(%error, "the identity provider's keys could not be fetched");
                self.lock().trouble = Some(error);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
