//! Errors as GraphQL has them. The only place where errors of the core become errors of the API.

use async_graphql::ServerError;

/// What the caller sends cannot be understood or is out of bounds.
pub(crate) const BAD_USER_INPUT: &str = "BAD_USER_INPUT";
/// No token, or one that is wrong or has ended.
pub(crate) const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
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
