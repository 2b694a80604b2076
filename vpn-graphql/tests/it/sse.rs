//! GraphQL over Server-Sent Events.

use std::{sync::atomic::Ordering, time::Duration};

use axum::{
    Router,
    body::{Body, BodyDataStream},
    http::{Request, StatusCode},
};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt as _;
use vpn_graphql::{Lifetime, routes};

use crate::support::{TinyApi, options, post, send, tiny};

const EVENTS: [(&str, Option<&str>); 1] = [("accept", Some("text/event-stream"))];

fn asking(query: &str) -> Request<Body> {
    post(json!({ "query": query }).to_string(), &EVENTS)
}

/// The whole stream, comments left out.
async fn events(router: &Router, query: &str) -> String {
    let answer = send(router, asking(query)).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/event-stream; charset=utf-8"));
    answer.text().split_inclusive("\n\n").filter(|event| *event != ":\n\n").collect()
}

fn next(answer: &Value) -> String {
    format!("event: next\ndata: {answer}\n\n")
}

const COMPLETE: &str = "event: complete\ndata:\n\n";

/// An open stream.
async fn open(router: &Router, query: &str) -> BodyDataStream {
    let response = router.clone().oneshot(asking(query)).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().into_data_stream()
}

async fn chunk(stream: &mut BodyDataStream) -> Option<String> {
    let chunk = timeout(Duration::from_secs(5), stream.next()).await.expect("in time")?;
    Some(String::from_utf8(chunk.expect("no error").to_vec()).expect("text"))
}

#[tokio::test]
async fn every_kind_of_operation_ends_with_complete() {
    for (query, answers) in [
        ("subscription { count(to: 2) }", vec![json!({ "count": 1 }), json!({ "count": 2 })]),
        ("{ who }", vec![json!({ "who": "ada" })]),
        ("mutation { step(number: 7) { number } }", vec![json!({ "step": { "number": 7 } })]),
    ] {
        let expected: String = answers.iter().map(|data| next(&json!({ "data": data }))).collect();
        assert_eq!(events(&tiny(), query).await, expected + COMPLETE, "{query}");
    }
}

#[tokio::test]
async fn whoever_would_rather_have_json_gets_events_for_subscriptions_only() {
    let accept = [("accept", Some("application/graphql-response+json, text/event-stream;q=0.5"))];
    for (query, content_type) in [
        ("{ hello }", "application/graphql-response+json; charset=utf-8"),
        ("subscription { count(to: 1) }", "text/event-stream; charset=utf-8"),
    ] {
        let answer = send(&tiny(), post(json!({ "query": query }).to_string(), &accept)).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, content_type));
    }
}

#[tokio::test]
async fn what_is_refused_before_it_runs_is_no_stream() {
    let tower = format!("{{ hello(name: {}", "[".repeat(2_000));
    for (query, code) in [("{", "GRAPHQL_PARSE_FAILED"), (tower.as_str(), "DOCUMENT_TOO_DEEP")] {
        let answer = send(&tiny(), asking(query)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, code.into()));
        assert_eq!(answer.header("content-type"), "application/graphql-response+json; charset=utf-8");
    }
    let mut unknown = asking("subscription { count(to: 1) }");
    unknown.headers_mut().remove("authorization");
    assert_eq!(send(&tiny(), unknown).await.status, 401);
}

#[tokio::test]
async fn errors_are_part_of_the_stream_and_end_what_did_not_begin() {
    for (query, code) in [
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { refused }", "TEST_FAILED"),
        ("{ slow(ms: 5000) }", "TIMEOUT"),
    ] {
        let told = events(&tiny(), query).await;
        let data = told.strip_prefix("event: next\ndata: ").and_then(|rest| rest.strip_suffix(COMPLETE));
        let answer: Value = serde_json::from_str(data.expect("one event")).expect("JSON");
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{query}");
        assert!(answer["errors"][0]["extensions"]["requestId"].is_string(), "{query}");
    }
}

#[tokio::test]
async fn a_token_that_ends_ends_the_stream() {
    let told = events(&tiny(), "subscription { untilTokenEnds }").await;
    assert!(told.starts_with(&next(&json!({ "data": { "untilTokenEnds": 1 } }))), "{told}");
    assert!(told.contains("UNAUTHENTICATED") && told.ends_with(COMPLETE), "{told}");
}

#[tokio::test]
async fn a_quiet_stream_is_kept_alive_by_comments() {
    let mut stream = open(&tiny(), "subscription { count(to: 2, everyMs: 60000) }").await;
    for _ in 0..3 {
        assert_eq!(chunk(&mut stream).await.as_deref(), Some(":\n\n"));
    }
}

#[tokio::test]
async fn a_server_that_ends_ends_its_streams_without_complete_so_that_clients_come_back() {
    let lifetime = Lifetime::default();
    let router = routes(TinyApi::new(), options(), lifetime.clone());
    let mut stream = open(&router, "subscription { count(to: 2, everyMs: 60000) }").await;
    assert_eq!(chunk(&mut stream).await.as_deref(), Some(":\n\n"));
    lifetime.shutdown.cancel();
    assert_eq!(chunk(&mut stream).await, None);
}

#[tokio::test]
async fn one_stream_too_many_is_refused_until_another_ends() {
    let router = tiny();
    let query = "subscription { count(to: 2, everyMs: 60000) }";
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(open(&router, query).await);
    }
    let refused = send(&router, asking(query)).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (429, "TOO_MANY_CONNECTIONS".into()));
    assert_eq!(refused.header("retry-after"), "5");
    streams.pop();
    streams.push(open(&router, query).await);
}

#[tokio::test]
async fn a_principal_may_follow_so_much_and_no_more_on_all_connections_together() {
    let mut options = options();
    options.limits.principal_subscriptions = 2;
    let router = routes(TinyApi::new(), options, Lifetime::default());
    let query = "subscription { count(to: 2, everyMs: 60000) }";
    let first = open(&router, query).await;
    let _second = open(&router, query).await;
    let refused = send(&router, asking(query)).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (429, "TOO_MANY_SUBSCRIPTIONS".into()));
    assert_eq!(events(&router, "{ who }").await, next(&json!({ "data": { "who": "ada" } })) + COMPLETE);
    drop(first);
    let _third = open(&router, query).await;
}

#[tokio::test]
async fn a_token_that_has_ended_starts_no_stream() {
    let api = TinyApi::new();
    let router = routes(api.clone(), options(), Lifetime::default());
    api.token_holds.store(false, Ordering::SeqCst);
    assert_eq!(send(&router, asking("subscription { count(to: 1) }")).await.status, 401);
}

#[tokio::test]
async fn nothing_is_made_in_advance_for_a_reader_that_is_slow() {
    let mut stream = open(&tiny(), "subscription { flood }").await;
    for _ in 0..3 {
        let read = chunk(&mut stream).await.expect("more");
        assert!(read.len() < 70_000, "one event at a time");
    }
}
