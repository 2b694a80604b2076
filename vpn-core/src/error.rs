//! What a use case can answer instead of its result: a stable code, a text that may be shown, and,
//! apart from it, the cause for the log.

use std::time::Duration;

use crate::{
    domain::Permission, host::CertificateFault, oidc::ProviderError, queue::QueueError, service::Awaited,
    store::StoreError, vault::VaultError,
};

/// Why a use case did not do what it was asked. Nothing was changed, but for a request that awaits approval.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller can put it right.
    #[error("{}", .0.message)]
    Rejected(Rejection),
    /// No credentials, or none that hold. The audit log knows more than the caller is told.
    #[error("a valid access token is needed: send it as `Authorization: Bearer …`")]
    Unauthenticated,
    /// Too many attempts to sign in failed: no other is looked at for so long.
    #[error("too many attempts to sign in: try again in {} seconds", .0.as_secs() + 1)]
    TooManyAttempts(Duration),
    /// Signed tokens cannot be checked: the identity provider gives us no keys.
    #[error("the identity provider cannot be reached, so its tokens cannot be checked: try again in a few seconds")]
    Provider(#[from] ProviderError),
    /// The caller's role does not include it, or their token does not reach it.
    #[error("this needs the permission `{}`, which the role and scopes of this token do not include", .0.as_str())]
    Forbidden(Permission),
    /// It needs a second person, and waits for one: that, and nothing else, was stored.
    #[error("this needs a second person: it waits as {} for somebody else's approval", .0.seen.approval.id)]
    AwaitsApproval(Box<Awaited>),
    /// The database failed.
    #[error("the database failed: {0}")]
    Store(#[from] StoreError),
    /// Redis failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A sealed profile could not be opened.
    #[error("the profile could not be opened: {0}")]
    Vault(#[from] VaultError),
}

/// What the caller can put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// For programs.
    pub code: RejectionCode,
    /// The field of the input that is at fault, by its name in the API; `None` when it is not one field.
    pub field: Option<&'static str>,
    /// For people: what is wrong and what would be right.
    pub message: String,
}

/// Why a request was rejected. The strings are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectionCode {
    /// A value breaks a rule.
    Invalid,
    /// There is nothing with this id.
    NotFound,
    /// Another client, not revoked, or another server has this name.
    NameTaken,
    /// It cannot be done to something in this state.
    WrongState,
    /// The profile was delivered or destroyed.
    ProfileGone,
    /// The idempotency key was used for something else.
    IdempotencyKeyReused,
    /// A second person has to do it.
    SamePerson,
}

impl RejectionCode {
    /// As programs see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::NotFound => "NOT_FOUND",
            Self::NameTaken => "NAME_TAKEN",
            Self::WrongState => "WRONG_STATE",
            Self::ProfileGone => "PROFILE_GONE",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::SamePerson => "SAME_PERSON",
        }
    }
}

impl Error {
    /// For programs; stable.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.code.as_str(),
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::AwaitsApproval(_) => "AWAITS_APPROVAL",
            Self::Store(error) if error.is_retryable() => "SERVICE_UNAVAILABLE",
            Self::Queue(_) | Self::Provider(_) => "SERVICE_UNAVAILABLE",
            Self::TooManyAttempts(_) => "TOO_MANY_ATTEMPTS",
            Self::Store(_) | Self::Vault(_) => "INTERNAL_SERVER_ERROR",
        }
    }

    /// Whether the same call may go through later without anybody's help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Queue(_) | Self::Provider(_) | Self::TooManyAttempts(_) => true,
            _ => false,
        }
    }

    /// What the caller may be told. Says nothing of the platform's insides.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::Store(StoreError::OutcomeUnknown(_)) => {
                "the database was lost while it saved this, and whether it did is not known: look before you ask again, \
                 or ask again with the same idempotencyKey"
                    .to_owned()
            }
            Self::Store(error) if error.is_retryable() => {
                "the database cannot be reached; nothing was changed: try again in a few seconds".to_owned()
            }
            Self::Store(_) => {
                "an internal error; nothing was changed: the log has it under this request's id".to_owned()
            }
            Self::Vault(VaultError::OtherKey { .. }) => {
                "the profile was sealed with another key than the one configured now: an operator of the platform \
                 has to configure the key it was sealed with"
                    .to_owned()
            }
            Self::Vault(_) => "the sealed profile is damaged: revoke the client and create a new one".to_owned(),
            shown => shown.to_string(),
        }
    }
}

/// Short forms for the use cases.
impl Error {
    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::rejected(RejectionCode::Invalid, Some(field), message)
    }

    pub(crate) fn not_found(field: &'static str, what: &str) -> Self {
        Self::rejected(RejectionCode::NotFound, Some(field), format!("there is no {what} with this id"))
    }

    pub(crate) fn wrong_state(message: impl Into<String>) -> Self {
        Self::rejected(RejectionCode::WrongState, None, message)
    }

    pub(crate) fn rejected(code: RejectionCode, field: Option<&'static str>, message: impl Into<String>) -> Self {
        Self::Rejected(Rejection { code, field, message: message.into() })
    }

    pub(crate) fn bad_csr(fault: &CertificateFault) -> Self {
        Self::invalid("csr", fault.to_string())
    }
}
