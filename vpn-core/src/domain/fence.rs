//! The proof of ownership that every guarded write carries.

use std::fmt;

use crate::clock::Ambient;

/// A number that only grows, handed out with each lease of a client's lock. A write with a lower
/// one than the last that was seen comes from somebody who lost the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(i64);

impl FencingToken {
    /// Below every token that is handed out: what a client starts with.
    pub const ZERO: Self = Self(0);

    /// The highest that a host may show: what is handed out above it has fifteen digits, too, which are all that
    /// hosts take, and that Redis counts without loss.
    pub const MAX: Self = Self(899_999_999_999_999);

    pub(crate) const fn new(token: i64) -> Self {
        Self(token)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One acquisition of a lock: 32 hexadecimal digits, random.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttemptId(String);

impl AttemptId {
    pub(crate) fn generate(ambient: &Ambient) -> Self {
        Self(hex::encode(ambient.random::<16>()))
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Given out by the lock guard and by nothing else: code that has no lock cannot make one, so it
/// cannot call what needs one.
///
/// ```compile_fail
/// let forged = vpn_core::domain::Fence::granted;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    resource: String,
    token: FencingToken,
    attempt: AttemptId,
}

impl Fence {
    /// Only for the lock guard.
    pub(crate) fn granted(resource: String, token: FencingToken, attempt: AttemptId) -> Self {
        Self { resource, token, attempt }
    }

    /// What is locked, such as `client:cli_…`.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The fencing token.
    #[must_use]
    pub const fn token(&self) -> FencingToken {
        self.token
    }

    /// Which acquisition this is.
    #[must_use]
    pub const fn attempt(&self) -> &AttemptId {
        &self.attempt
    }
}
