//! What scanners for GraphQL look for (the checks of graphql-cop), and how this server answers.
//!
//! Three of its findings are choices: the page at `/graphiql` is served (`graphiql = false` ends that),
//! queries may be asked with GET, and a misspelt field is met with a suggestion. All need a token, which
//! no browser sends by itself, and whoever has one may read the schema; `introspection = false` ends that,
//! and the suggestions with it.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use vpn_core::domain::Role;
use vpn_graphql::{DocumentLimits, HttpOptions, Lifetime, Operations, routes};

use crate::{
    server::Server,
    support::{NEW, TinyApi, post, run, send, tiny},
};

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn nothing_is_told_without_a_token_not_even_the_schema() {
    let server = Server::start().await;
    let nobody = server.with_token("none");
    for query in ["{ __schema { types { name } } }", "{ __typename }", "{ nonsense }", "qwerty {"] {
        assert_eq!(code(&nobody.ask(query, json!({})).await), "UNAUTHENTICATED", "{query}");
    }
}

#[tokio::test]
async fn introspection_can_be_turned_off_and_suggestions_with_it() {
    let mut options = HttpOptions::default();
    options.limits.document.introspect = false;
    let (closed, open) = (Server::with(options).await, Server::start().await);
    let (outsider, insider) = (closed.as_(Role::Admin).await, open.as_(Role::Viewer).await);
    for query in ["{ __schema { queryType { name } } }", "{ __type(name: \"Query\") { name } }"] {
        assert_eq!(code(&outsider.ask(query, json!({})).await), "INTROSPECTION_DISABLED", "{query}");
        assert_eq!(insider.ask(query, json!({})).await.get("errors"), None, "{query}");
    }
    let misspelt = "{ clientz { edges { node { id } } } }";
    let told = |answer: Value| answer["errors"][0]["message"].as_str().unwrap_or_default().to_owned();
    assert!(told(insider.ask(misspelt, json!({})).await).contains("Did you mean"));
    assert!(!told(outsider.ask(misspelt, json!({})).await).contains("Did you mean"));
    assert_eq!(outsider.ask("{ __typename viewer { role } }", json!({})).await["data"]["__typename"], "Query");
}

#[tokio::test]
async fn documents_that_are_made_to_be_costly_are_refused() {
    let server = Server::start().await;
    let viewer = server.as_(Role::Viewer).await;
    let aliases = (0..101).map(|n| format!("alias{n}: __typename")).collect::<Vec<_>>().join(" ");
    let circular = "fields { type { ".repeat(5) + "name" + &" } }".repeat(5);
    for (name, query, refusal) in [
        ("alias overloading", format!("{{ {aliases} }}"), "DOCUMENT_TOO_COMPLEX"),
        (
            "directive overloading",
            "{ __typename @aa@aa@aa@aa@aa@aa@aa@aa@aa@aa }".to_owned(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "known directives",
            format!("{{ viewer {{ role {} }} }}", "@skip(if: false) ".repeat(10)),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("field duplication", format!("{{ {} }}", "__typename ".repeat(500)), "DOCUMENT_TOO_COMPLEX"),
        ("circular introspection", format!("{{ __schema {{ types {{ {circular} }} }} }}"), "DOCUMENT_TOO_COMPLEX"),
        (
            "circular types",
            format!(
                "{{ jobs {{ edges {{ node {{ {} id {} }} }} }} }}",
                "client { currentJob { ".repeat(9),
                "} }".repeat(9)
            ),
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ] {
        let answer = viewer.ask(&query, json!({})).await;
        assert_eq!(code(&answer), refusal, "{name}: {answer}");
        assert_eq!(answer.get("data"), None, "{name}");
    }
}

#[tokio::test]
async fn batches_are_refused() {
    let batch = json!(vec![json!({ "query": "{ hello }" }); 10]).to_string();
    assert_eq!(send(&tiny(), post(batch, &[])).await.status, 400);
}

#[tokio::test]
async fn no_page_of_another_site_can_make_a_browser_change_anything() {
    let get = Request::get("/graphql?query=mutation%7B__typename%7D").header("authorization", "Bearer good");
    assert_eq!(send(&tiny(), get.body(Body::empty()).expect("a request")).await.status, 405);
    let form = [("content-type", Some("application/x-www-form-urlencoded")), ("accept", Some(NEW))];
    assert_eq!(send(&tiny(), post("query=mutation%7B__typename%7D", &form)).await.status, 415);
    // Cookies are no proof of anything here.
    let cookie = [("authorization", None), ("cookie", Some("token=good; authorization=Bearer good"))];
    let answer = send(&tiny(), post(r#"{"query":"{ hello }"}"#, &cookie)).await;
    assert_eq!(answer.status, 401);
    assert!(!answer.headers.contains_key("access-control-allow-origin") && !answer.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn no_answer_carries_traces_or_what_is_inside() {
    for query in ["{ __typename }", "qwerty { abc }", "{ thing { surely } }", "{ panics }"] {
        let told = run(&tiny(), query).await.text().to_lowercase();
        for part in ["tracing", "stack", "exception", ".rs", "as it should"] {
            assert!(!told.contains(part), "{part} in {told}");
        }
    }
}

#[tokio::test]
async fn a_server_with_a_list_of_operations_runs_no_others() {
    const LISTED: &str = "query Hello($name: String) { hello(name: $name) }";
    const NAME: &str = "4ceaff872f41e40384e91b30e1a76100d149e25f3ee10aef88a1a7e308869a67";
    let operations =
        Operations::parse(&json!({ NAME: LISTED }).to_string(), &DocumentLimits::default()).expect("a list");
    let options = HttpOptions { operations: Some(operations), ..HttpOptions::default() };
    let router = routes(TinyApi::new(), options, Lifetime::default());
    let ask = async |body: Value| send(&router, post(body.to_string(), &[])).await;
    let expected = json!({ "data": { "hello": "hello you" } });
    let variables = json!({ "name": "you" });
    assert_eq!(ask(json!({ "query": LISTED, "variables": variables })).await.json(), expected);
    assert_eq!(ask(json!({ "documentId": format!("sha256:{NAME}"), "variables": variables })).await.json(), expected);
    for body in [
        json!({ "query": "{ hello }" }),
        json!({ "query": "{ __schema { types { name } } }" }),
        json!({ "query": "{ hello }", "documentId": format!("sha256:{NAME}") }),
        json!({ "documentId": "sha256:00" }),
        json!({ "documentId": "../../etc/passwd" }),
    ] {
        let answer = ask(body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "OPERATION_NOT_ALLOWED".into()), "{body}");
    }
    assert_eq!(ask(json!({})).await.status, 400);
    let uri = format!("/graphql?documentId=sha256:{NAME}&variables=%7B%22name%22:%22you%22%7D");
    let get = Request::get(uri).header("authorization", "Bearer good").body(Body::empty()).expect("a request");
    assert_eq!(send(&router, get).await.json(), expected);
}

#[tokio::test]
async fn a_server_without_a_list_knows_no_document_by_a_name() {
    let answer = send(&tiny(), post(r#"{"documentId":"sha256:00"}"#, &[])).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "OPERATION_NOT_ALLOWED".into()));
}

#[test]
fn what_vpnctl_asks_can_be_listed_as_it_is() {
    use sha2::Digest as _;
    let document = include_str!("../../vpnctl/operations.graphql");
    let name = hex::encode(sha2::Sha256::digest(document));
    let listed = Operations::parse(&json!({ name: document }).to_string(), &DocumentLimits::default());
    assert_eq!(listed.map(|listed| listed.count()).ok(), Some(1));
}
