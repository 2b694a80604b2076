//! Why an attempt did not reach its end, and what that means for the job.

use crate::{
    boundary::Struck,
    domain::JobFailure,
    host::{CertificateFault, Evidence, HostError},
    lock::LeaseLost,
    store::StoreError,
    vault::VaultError,
};

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("the database failed: {0}")]
    Store(#[from] StoreError),
    #[error("{0}: another attempt follows")]
    Lease(#[from] LeaseLost),
    #[error("the profile could not be sealed: {0}")]
    Vault(#[from] VaultError),
    /// What the host made is not what was asked for.
    #[error(
        "the host made something else than what was asked for: {0}; do not trust this host before you have looked at it"
    )]
    Certificate(#[from] CertificateFault),
    /// The host was told to forget a key that the platform does not have.
    #[error(
        "the host has forgotten the private key, and the platform does not have the profile (was its database restored \
         from a backup? then look at it with `vpn-worker reconcile`): revoke this client and create a new one"
    )]
    KeyLost,
    /// A person asked for the client's end meanwhile.
    #[error("the client's revocation was asked for while it was being provisioned")]
    Overtaken,
}

impl From<Struck> for StepError {
    fn from(struck: Struck) -> Self {
        Self::Store(struck.into())
    }
}

impl StepError {
    const fn code(&self) -> &'static str {
        match self {
            Self::Host(error) => error.kind().code(),
            Self::Store(error) => error.code(),
            Self::Lease(_) => "LOCK_LOST",
            Self::Vault(_) => "PROFILE_NOT_SEALED",
            Self::Certificate(_) => "CERTIFICATE_MISMATCH",
            Self::KeyLost => "KEY_LOST",
            Self::Overtaken => "REVOCATION_REQUESTED",
        }
    }

    /// Whether another attempt may succeed without anybody's help.
    pub(super) const fn is_retryable(&self) -> bool {
        match self {
            Self::Host(error) => error.kind().is_retryable(),
            Self::Store(error) => error.is_retryable(),
            Self::Lease(_) => true,
            _ => false,
        }
    }

    /// What ran on the host, if anything did.
    pub(super) const fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Host(error) => error.evidence(),
            _ => None,
        }
    }

    pub(super) fn failure(&self) -> JobFailure {
        JobFailure { code: self.code().to_owned(), message: self.to_string() }
    }
}
