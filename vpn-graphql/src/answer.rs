//! Answers as the GraphQL specification wants them, the same on every transport.

use std::collections::BTreeMap;

use async_graphql::{Response, ServerError, Value};
use serde::Serialize;
use vpn_core::domain::RequestId;

use crate::error::{self, BAD_USER_INPUT, GRAPHQL_VALIDATION_FAILED};

/// How many faults of one document are told.
const MAX_FAULTS: usize = 20;

/// Errors first, and no `data` at all when nothing was executed.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ServerError],
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: &'a BTreeMap<String, Value>,
}

/// Whether nothing was executed (a *request error*). An error of execution says where it arose.
pub(crate) fn is_request_error(response: &Response) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}

/// Gives every error the request's id, and a code to those for which async-graphql has none.
///
/// Of a document's faults only the first ones are told: a small document can have very many.
pub(crate) fn label(response: &mut Response, id: RequestId) {
    let refused = is_request_error(response);
    if refused {
        response.errors.truncate(MAX_FAULTS);
    }
    let fallback = if refused { GRAPHQL_VALIDATION_FAILED } else { BAD_USER_INPUT };
    for error in &mut response.errors {
        label_error(error, fallback, id);
    }
}

/// Whether a subscription did not begin: what came instead of its first event is an error.
pub(crate) fn did_not_begin(response: &Response) -> bool {
    response.data == Value::Null && !response.errors.is_empty()
}

/// Gives one error the request's id, and a code if it has none.
pub(crate) fn label_error(error: &mut ServerError, fallback: &str, id: RequestId) {
    let missing = error::code(error).is_none();
    let extensions = error.extensions.get_or_insert_default();
    if missing {
        extensions.set("code", fallback);
    }
    extensions.set("requestId", id.to_string());
}

/// The answer in JSON.
pub(crate) fn encode(response: &Response) -> Vec<u8> {
    let data = (!is_request_error(response)).then_some(&response.data);
    let body = Body { errors: &response.errors, data, extensions: &response.extensions };
    // Values of GraphQL are always JSON.
    serde_json::to_vec(&body).unwrap_or_default()
}
