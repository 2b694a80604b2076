//! Errors as GraphQL has them. The only place where errors of the core become errors of the API.

use async_graphql::{Error, ErrorExtensions as _, ServerError};
use vpn_core::{
    error::{Error as CoreError, Rejection, RejectionCode},
    service::Awaited,
};

use crate::schema::UserError;

/// What the caller sends cannot be understood or is out of bounds.
pub(crate) const BAD_USER_INPUT: &str = "BAD_USER_INPUT";
/// No token, or one that is wrong or has ended.
pub(crate) const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
/// Too many attempts to sign in failed.
pub(crate) const TOO_MANY_ATTEMPTS: &str = "TOO_MANY_ATTEMPTS";
/// How long to wait, beside that code.
const RETRY_AFTER: &str = "retryAfterSeconds";
/// The database or another part is out of reach; the same request may go through later.
pub(crate) const SERVICE_UNAVAILABLE: &str = "SERVICE_UNAVAILABLE";
/// A fault of ours. What it was is in the log, under the request's id.
pub(crate) const INTERNAL_SERVER_ERROR: &str = "INTERNAL_SERVER_ERROR";
/// The document breaks a rule of GraphQL or of the schema.
pub(crate) const GRAPHQL_VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";

/// An error without a place in the document.
pub(crate) fn refusal(code: &str, message: impl Into<String>) -> ServerError {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code);
    error
}

/// The error's code, if it has one.
pub(crate) fn code(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        async_graphql::Value::String(code) => Some(code),
        _ => None,
    }
}

/// A value in the request is at fault.
pub(crate) fn bad_input(message: impl Into<String>) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", BAD_USER_INPUT))
}

/// What the core refused, as a top-level error: for authentication, permission and faults, and for
/// reads that name what is not there.
#[expect(clippy::needless_pass_by_value, reason = "it is used as `map_err(told)`")]
pub(crate) fn told(error: CoreError) -> Error {
    let (code, message) = public(&error);
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

/// The same, where there is no document yet.
pub(crate) fn told_to_transport(error: &CoreError) -> ServerError {
    let (code, message) = public(error);
    let mut refused = refusal(code, message);
    if let CoreError::TooManyAttempts(wait) = error {
        refused.extensions.get_or_insert_default().set(RETRY_AFTER, wait.as_secs() + 1);
    }
    refused
}

/// How many seconds to wait, if the error says so.
pub(crate) fn retry_after(error: &ServerError) -> Option<u64> {
    match error.extensions.as_ref()?.get(RETRY_AFTER)? {
        async_graphql::Value::Number(seconds) => seconds.as_u64(),
        _ => None,
    }
}

/// What a mutation came to, all of which is data. Faults stay errors.
pub(crate) struct Outcome<T> {
    /// What it gives, if it was done.
    pub(crate) done: Option<T>,
    /// What waits for a second person, if it needs one.
    pub(crate) awaited: Option<Awaited>,
    /// What the caller can put right.
    pub(crate) user_errors: Vec<UserError>,
}

pub(crate) fn as_data<T>(outcome: Result<T, CoreError>) -> Result<Outcome<T>, Error> {
    match outcome {
        Ok(done) => Ok(Outcome { done: Some(done), awaited: None, user_errors: Vec::new() }),
        Err(CoreError::AwaitsApproval(awaited)) => {
            Ok(Outcome { done: None, awaited: Some(*awaited), user_errors: Vec::new() })
        }
        Err(CoreError::Rejected(Rejection { code, field, message })) => {
            let field = field.map(|path| path.split('.').map(ToOwned::to_owned).collect());
            let user_errors = vec![UserError { code: code.into(), message, field }];
            Ok(Outcome { done: None, awaited: None, user_errors })
        }
        Err(fault) => Err(told(fault)),
    }
}

/// What only a bug can bring about.
pub(crate) fn bug(what: &str) -> Error {
    tracing::error!(what, "a request met a bug");
    Error::new("internal error").extend_with(|_, extensions| extensions.set("code", INTERNAL_SERVER_ERROR))
}

/// Code and text that may be shown. Faults are logged here, and nowhere else on this side.
fn public(error: &CoreError) -> (&'static str, String) {
    let code = match error {
        CoreError::Rejected(Rejection { code: code @ RejectionCode::NotFound, .. }) => code.as_str(),
        CoreError::Rejected(_) => BAD_USER_INPUT,
        other => other.code(),
    };
    match code {
        INTERNAL_SERVER_ERROR => tracing::error!(error = chain(error), "a request met a fault"),
        SERVICE_UNAVAILABLE => tracing::warn!(error = chain(error), "a part of the service is out of reach"),
        _ => {}
    }
    (code, error.public_message())
}

/// The error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use vpn_core::{error::RejectionCode, store::StoreError};

    use super::*;

    fn code_of(error: Error) -> Option<String> {
        let error = error.into_server_error(async_graphql::Pos::default());
        code(&error).map(ToOwned::to_owned)
    }

    #[test]
    fn a_fault_tells_its_code_and_nothing_of_the_inside() {
        let fault = CoreError::Store(StoreError::Damaged { table: "clients", what: "an odd serial".into() });
        let error = told(fault);
        assert!(!error.message.contains("clients") && !error.message.contains("serial"), "{}", error.message);
        assert_eq!(code_of(error).as_deref(), Some(INTERNAL_SERVER_ERROR));
        assert_eq!(code_of(told(CoreError::Unauthenticated)).as_deref(), Some(UNAUTHENTICATED));
    }

    #[test]
    fn what_the_caller_can_put_right_is_data_and_a_fault_is_not() {
        let rejection =
            Rejection { code: RejectionCode::Invalid, field: Some("address.port"), message: "too high".into() };
        let outcome = as_data::<()>(Err(CoreError::Rejected(rejection))).expect("data");
        assert!(outcome.done.is_none());
        assert_eq!(outcome.user_errors[0].field.as_deref(), Some(["address".to_owned(), "port".to_owned()].as_slice()));
        assert!(as_data::<()>(Err(CoreError::Unauthenticated)).is_err());
        assert!(matches!(as_data(Ok(7)), Ok(Outcome { done: Some(7), user_errors, .. }) if user_errors.is_empty()));
    }
}
