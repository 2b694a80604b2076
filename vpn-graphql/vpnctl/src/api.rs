//! Requests to the API, and what its answers mean.

use std::time::Duration;

use graphql_client::{GraphQLQuery, QueryBody};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{context::Target, failure::Failure};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// The server gives an operation 10 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The server writes something into a stream of events every 15 s.
const SILENT_AT_MOST: Duration = Duration::from_secs(45);

/// The API, as one principal.
pub(crate) struct Api {
    http: Client,
    url: Url,
    token: String,
}

/// What an answer holds besides data.
#[derive(Debug, Deserialize)]
struct Problem {
    message: String,
    #[serde(default)]
    path: Vec<Value>,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extensions {
    code: Option<String>,
    request_id: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Value>,
    #[serde(default)]
    errors: Vec<Problem>,
}

impl Api {
    pub(crate) fn open(target: &Target) -> Result<Self, Failure> {
        let built = Client::builder()
            .user_agent(concat!("vpnctl/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(SILENT_AT_MOST)
            // A token is for the server that it was meant for.
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let http = built.map_err(|error| Failure::unanswered(chain(&error)))?;
        Ok(Self { http, url: target.url.clone(), token: target.token.clone() })
    }

    /// Runs a query or a mutation.
    pub(crate) async fn ask<Q: GraphQLQuery>(&self, variables: Q::Variables) -> Result<Q::ResponseData, Failure> {
        let request = self.post(&Q::build_query(variables), "application/graphql-response+json");
        let response = self.send(request.timeout(ANSWER_WITHIN)).await?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| self.cut(&error))?;
        parse(&bytes).unwrap_or_else(|| Err(self.foreign(status)))
    }

    /// Runs a mutation that may be asked for again with this key: says so when its answer is lost.
    pub(crate) async fn change<Q: GraphQLQuery>(
        &self,
        key: &str,
        variables: Q::Variables,
    ) -> Result<Q::ResponseData, Failure> {
        let advice = format!(
            "It may have been done all the same. To ask again without doing it twice, repeat the command with --idempotency-key {key}"
        );
        self.ask::<Q>(variables).await.map_err(|failure| failure.if_perhaps_done(&advice))
    }

    /// Opens a stream of events.
    pub(crate) async fn stream<Q: GraphQLQuery>(&self, variables: Q::Variables) -> Result<Response, Failure> {
        let response = self.send(self.post(&Q::build_query(variables), "text/event-stream")).await?;
        let status = response.status();
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if status == StatusCode::OK && kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            return Ok(response);
        }
        let bytes = response.bytes().await.map_err(|error| self.cut(&error))?;
        match parse::<Value>(&bytes) {
            Some(Err(failure)) => Err(failure),
            Some(Ok(_)) | None => Err(self.foreign(status)),
        }
    }

    fn post<V: Serialize>(&self, body: &QueryBody<V>, accept: &str) -> RequestBuilder {
        self.http.post(self.url.clone()).bearer_auth(&self.token).header(header::ACCEPT, accept).json(body)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        request.send().await.map_err(|error| self.cut(&error))
    }

    /// A connection that did not come about, or was lost.
    pub(crate) fn cut(&self, error: &reqwest::Error) -> Failure {
        // Without a connection nothing was sent.
        let perhaps_done = !(error.is_connect() || error.is_builder());
        let message = format!("no answer from {}: {}", self.url, chain(error));
        Failure::Unanswered { message, perhaps_done }
    }

    /// An answer that is not the API's: a proxy's, or another program's.
    fn foreign(&self, status: StatusCode) -> Failure {
        let message = format!("{} answered {status}, and not as the API does: is the URL right?", self.url);
        Failure::Unanswered { message, perhaps_done: status.is_server_error() }
    }
}

/// What an answer says; `None` when it is no answer of GraphQL.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Option<Result<T, Failure>> {
    let answer: Answer = serde_json::from_slice(bytes).ok()?;
    if let Some(problem) = answer.errors.into_iter().next() {
        return Some(Err(problem.into()));
    }
    let data = serde_json::from_value(answer.data?);
    let odd = |error| Failure::Odd(format!("the answer is not what this version of vpnctl knows: {error}"));
    Some(data.map_err(odd))
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let Problem { message, path, extensions: Extensions { code, request_id } } = problem;
        let code = code.unwrap_or_default();
        let request = request_id.map(|id| format!(" (request {id})")).unwrap_or_default();
        let text = format!("{code}: {message}{request}");
        match code.as_str() {
            // Below what was asked for: that itself was answered, and a mutation was done.
            "FORBIDDEN" if path.len() > 1 => Self::Odd(text),
            "UNAUTHENTICATED" => Self::Unauthenticated(text),
            "SERVICE_UNAVAILABLE" | "TIMEOUT" | "REQUEST_TIMEOUT" | "INTERNAL_SERVER_ERROR" => {
                Self::Unanswered { message: text, perhaps_done: true }
            }
            "TOO_MANY_ATTEMPTS" | "TOO_MANY_CONNECTIONS" | "TOO_MANY_SUBSCRIPTIONS" | "TOO_MANY_OPERATIONS" => {
                Self::unanswered(text)
            }
            _ => Self::Refused(text),
        }
    }
}

/// A problem that the caller can put right.
#[derive(Deserialize)]
struct UserError {
    code: String,
    message: String,
    field: Option<Vec<String>>,
}

/// What waits for a second person.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    id: String,
    expires_at: String,
}

/// Fails with what the caller can put right, if there is something, or with what waits for a second person;
/// gives the part that a mutation is asked for otherwise.
pub(crate) fn taken<T>(part: Option<T>, approval: &impl Serialize, user_errors: &impl Serialize) -> Result<T, Failure> {
    let errors: Vec<UserError> = again(user_errors)?;
    if !errors.is_empty() {
        let told = errors.into_iter().map(|UserError { code, message, field }| match field {
            Some(field) => format!("{code}: {} {message}", field.join(".")),
            None => format!("{code}: {message}"),
        });
        return Err(Failure::Refused(told.collect::<Vec<_>>().join("\n")));
    }
    match (part, again::<Option<Waiting>>(approval)?) {
        (Some(part), _) => Ok(part),
        (None, Some(Waiting { id, expires_at })) => Err(Failure::Waits(format!(
            "it was asked for, and waits: somebody else has to approve {id} before {expires_at} (vpnctl approval approve)"
        ))),
        (None, None) => Err(Failure::Odd("the server said neither what it did nor why not".to_owned())),
    }
}

/// The same in another form: the types of each operation are its own.
fn again<T: DeserializeOwned>(told: &impl Serialize) -> Result<T, Failure> {
    let same = serde_json::to_value(told).and_then(serde_json::from_value);
    same.map_err(|error| Failure::Odd(format!("the answer is not what this version of vpnctl knows: {error}")))
}

/// The error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(answer: &Value) -> Option<Result<Value, Failure>> {
        parse(&serde_json::to_vec(answer).expect("JSON"))
    }

    fn refused(code: &str) -> Failure {
        let error = json!({ "message": "so it is", "extensions": { "code": code, "requestId": "req_1" } });
        told(&json!({ "data": null, "errors": [error] })).expect("an answer").expect_err("a failure")
    }

    #[test]
    fn every_kind_of_error_has_its_exit_code() {
        for (code, exit) in [
            ("FORBIDDEN", 3),
            ("BAD_USER_INPUT", 3),
            ("GRAPHQL_VALIDATION_FAILED", 3),
            ("SOMETHING_NEW", 3),
            ("SERVICE_UNAVAILABLE", 4),
            ("INTERNAL_SERVER_ERROR", 4),
            ("TIMEOUT", 4),
            ("REQUEST_TIMEOUT", 4),
            ("TOO_MANY_ATTEMPTS", 4),
            ("TOO_MANY_SUBSCRIPTIONS", 4),
            ("UNAUTHENTICATED", 5),
        ] {
            let failure = refused(code);
            assert_eq!(failure.exit_code(), exit, "{code}");
            assert_eq!(failure.to_string(), format!("{code}: so it is (request req_1)"));
        }
    }

    #[test]
    fn a_mutation_of_which_a_part_may_not_be_seen_is_not_taken_for_refused() {
        let of = |path: Value| {
            let error = json!({ "message": "no", "path": path, "extensions": { "code": "FORBIDDEN" } });
            told(&json!({ "data": null, "errors": [error] })).expect("an answer").expect_err("a failure")
        };
        assert!(matches!(of(json!(["revokeClient"])), Failure::Refused(_)));
        let Failure::Odd(text) = of(json!(["revokeClient", "job", "client"])).if_perhaps_done("look") else {
            panic!("refused")
        };
        assert_eq!(text, "FORBIDDEN: no\nlook");
    }

    #[test]
    fn what_is_no_answer_of_graphql_is_none() {
        assert!(parse::<Value>(b"<html>502 Bad Gateway</html>").is_none());
        assert!(told(&json!({ "message": "not found" })).is_none());
        assert!(told(&json!({ "data": null })).is_none());
        assert_eq!(told(&json!({ "data": { "a": 1 } })).expect("an answer").expect("data"), json!({ "a": 1 }));
    }

    #[test]
    fn what_the_caller_can_put_right_is_told_with_its_field() {
        let errors = json!([{ "code": "INVALID", "message": "is too long", "field": ["name"] }, { "code": "WRONG_STATE", "message": "it is revoked", "field": null }]);
        let Err(Failure::Refused(text)) = taken(None::<()>, &(), &errors) else { panic!("taken") };
        assert_eq!(text, "INVALID: name is too long\nWRONG_STATE: it is revoked");
        assert!(matches!(taken(Some(7), &(), &json!([])), Ok(7)));
        assert!(matches!(taken(None::<()>, &(), &json!([])), Err(Failure::Odd(_))));
        let waits = taken(None::<()>, &json!({ "id": "apr_1", "expiresAt": "2030-01-01T00:00:00Z" }), &json!([]));
        let Err(Failure::Waits(text)) = waits else { panic!("it waits") };
        assert!(text.contains("apr_1") && text.contains("2030"), "{text}");
    }
}
