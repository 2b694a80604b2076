//! The parameters of a GraphQL request, as a body or a query string has them.

use async_graphql::{Request, ServerError, Variables};
use axum::{
    extract::Query,
    http::{HeaderMap, Uri, header},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::operations::{Asked, Operations};

/// The parameters. Others are passed over, as the specification asks for.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Given")]
pub(crate) struct Params {
    asked: Asked,
    operation_name: Option<String>,
    variables: Variables,
}

/// The same as they are given.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    #[serde(default)]
    query: Option<String>,
    /// The name of a document that the server has, `sha256:…`, instead of the document.
    #[serde(default)]
    document_id: Option<String>,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Variables,
    /// Looked at for its type only: nothing here makes use of it.
    #[serde(default)]
    #[expect(dead_code, reason = "a request whose `extensions` is no object is malformed")]
    extensions: Option<Map<String, Value>>,
}

impl TryFrom<Given> for Params {
    type Error = &'static str;

    fn try_from(given: Given) -> Result<Self, Self::Error> {
        let Given { query, document_id, operation_name, variables, .. } = given;
        let asked = query.map(Asked::Document).or(document_id.map(Asked::Named));
        let asked = asked.ok_or("missing field `query`, or `documentId`")?;
        Ok(Self { asked, operation_name, variables })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueryString {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

impl Params {
    /// From the body of a POST. No batches: one request is one document.
    pub(super) fn of_body(body: &[u8]) -> Result<Self, String> {
        // serde would read them from an array, too.
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => {
                serde_json::from_slice(body).map_err(|error| format!("the body is no GraphQL request: {error}"))
            }
            Some(b'[') => Err("batches are not supported: send one request at a time".to_owned()),
            _ => Err("the body must be a JSON object".to_owned()),
        }
    }

    /// From the query string of a GET. An empty parameter is one that was left out.
    pub(super) fn of_uri(uri: &Uri) -> Result<Self, String> {
        let Query(given) = Query::<QueryString>::try_from_uri(uri).map_err(|rejection| rejection.body_text())?;
        let given_json = |name: &str, text: Option<String>| match text.filter(|text| !text.is_empty()) {
            None => Ok(Map::new()),
            Some(text) => serde_json::from_str(&text).map_err(|_| format!("`{name}` must be a JSON object")),
        };
        let variables = given_json("variables", given.variables)?;
        let given = Given {
            query: given.query,
            document_id: given.document_id,
            operation_name: given.operation_name.filter(|name| !name.is_empty()),
            variables: Variables::from_json(Value::Object(variables)),
            extensions: given_json("extensions", given.extensions).map(Some)?,
        };
        given.try_into().map_err(str::to_owned)
    }

    /// As async-graphql takes them; with a list of operations, only what is in it.
    pub(crate) fn into_request(self, listed: Option<&Operations>) -> Result<Request, ServerError> {
        let mut request = Request::new(self.asked.document(listed)?).variables(self.variables);
        request.operation_name = self.operation_name;
        Ok(request)
    }
}

/// Only JSON in UTF-8. A form of another site, or its `no-cors` fetch, cannot send that without
/// asking first, so no browser can be made to send a mutation.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let charset = |part: &str| {
        let (name, value) = part.split_once('=')?;
        name.eq_ignore_ascii_case("charset").then(|| value.trim_matches('"').to_ascii_lowercase())
    };
    is_json && parts.filter_map(charset).all(|charset| charset == "utf-8")
}
