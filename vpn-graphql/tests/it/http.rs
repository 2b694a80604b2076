//! GraphQL over HTTP: statuses, headers, what is refused and how.

use std::time::{Duration, Instant};

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use serde_json::json;
use vpn_core::domain::RequestId;

use crate::support::{Answer, NEW, post, run, send, tiny};

fn get(query_string: &str) -> Request<Body> {
    Request::get(format!("/graphql?{query_string}"))
        .header(header::AUTHORIZATION, "Bearer good")
        .header(header::ACCEPT, NEW)
        .body(Body::empty())
        .expect("a request")
}

fn status_and_code(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

#[tokio::test]
async fn a_query_is_answered_in_the_type_that_was_asked_for() {
    for (accept, content_type) in [
        (Some(NEW), "application/graphql-response+json; charset=utf-8"),
        (Some("application/json"), "application/json; charset=utf-8"),
        (Some("*/*"), "application/json; charset=utf-8"),
        (None, "application/json; charset=utf-8"),
    ] {
        let answer = send(&tiny(), post(r#"{"query":"{ hello who }"}"#, &[("accept", accept)])).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), content_type);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("vary"), "accept");
        assert_eq!(answer.json(), json!({ "data": { "hello": "hello world", "who": "ada" } }));
    }
}

#[tokio::test]
async fn a_type_that_cannot_be_made_is_refused() {
    for accept in ["text/html", "text/*", "application/json;q=0"] {
        let answer = send(&tiny(), post(r#"{"query":"{ hello }"}"#, &[("accept", Some(accept))])).await;
        assert_eq!(status_and_code(&answer), (406, "NOT_ACCEPTABLE".into()), "{accept}");
    }
}

#[tokio::test]
async fn only_json_is_taken() {
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/graphql"),
        Some("application/json; charset=iso-8859-1"),
    ] {
        let answer = send(&tiny(), post(r#"{"query":"{ hello }"}"#, &[("content-type", content_type)])).await;
        assert_eq!(status_and_code(&answer), (415, "UNSUPPORTED_MEDIA_TYPE".into()), "{content_type:?}");
    }
    for content_type in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
        let answer = send(&tiny(), post(r#"{"query":"{ hello }"}"#, &[("content-type", Some(content_type))])).await;
        assert_eq!(answer.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn a_malformed_request_is_refused_in_words_for_people() {
    for body in [
        "",
        " ",
        "{",
        "null",
        "7",
        "\"{ hello }\"",
        "{}",
        r#"{"query":7}"#,
        r#"{"query":null}"#,
        r#"[{"query":"{ hello }"}]"#,
        r#"["{ hello }"]"#,
        "[]",
        r#"{"query":"{ hello }","variables":[]}"#,
        r#"{"query":"{ hello }","variables":"{}"}"#,
        r#"{"query":"{ hello }","extensions":[]}"#,
        r#"{"query":"{ hello }","operationName":7}"#,
        "{\"query\":\"\u{fffd}",
    ] {
        for accept in [NEW, "application/json"] {
            let answer = send(&tiny(), post(body, &[("accept", Some(accept))])).await;
            assert_eq!(status_and_code(&answer), (400, "BAD_REQUEST".into()), "{body}");
            assert!(answer.json().get("data").is_none(), "{body}");
        }
    }
    let answer = send(&tiny(), post(vec![b'{', 0xff], &[])).await;
    assert_eq!(status_and_code(&answer), (400, "BAD_REQUEST".into()));
}

#[tokio::test]
async fn what_is_not_needed_may_be_null_or_left_out() {
    let body = r#"{"query":"query A { hello } query B { who }","operationName":"B","variables":null,"extensions":null,"id":1}"#;
    assert_eq!(send(&tiny(), post(body, &[])).await.json(), json!({ "data": { "who": "ada" } }));
}

#[tokio::test]
async fn a_document_that_is_refused_is_a_400_or_for_old_clients_a_200() {
    for (query, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ double }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { hello } query B { hello }", "GRAPHQL_VALIDATION_FAILED"),
        ("query($n: Int!) { double(number: $n) }", "BAD_USER_INPUT"),
        ("query($n: Int! = \"x\") { double(number: $n) }", "GRAPHQL_VALIDATION_FAILED"),
    ] {
        let body = json!({ "query": query }).to_string();
        for (accept, status) in [(NEW, 400), ("application/json", 200)] {
            let answer = send(&tiny(), post(body.clone(), &[("accept", Some(accept))])).await;
            assert_eq!(status_and_code(&answer), (status, code.into()), "{query}: {}", answer.text());
            assert!(answer.json().get("data").is_none(), "{query}");
        }
    }
}

#[tokio::test]
async fn variables_of_the_wrong_type_are_refused_before_anything_is_done() {
    for value in [json!("x"), json!(1.5), json!([1]), json!({}), json!(null)] {
        let body = json!({ "query": "query($n: Int!) { double(number: $n) }", "variables": { "n": value } });
        let answer = send(&tiny(), post(body.to_string(), &[])).await;
        assert_eq!(answer.status, 400, "{value}: {}", answer.text());
    }
}

#[tokio::test]
async fn every_error_carries_the_requests_id() {
    for query in ["{ nothing }", "{ thing { maybe } }"] {
        let answer = run(&tiny(), query).await;
        let id = answer.header("x-request-id").to_owned();
        assert!(id.parse::<RequestId>().is_ok(), "{id}");
        assert_eq!(answer.json()["errors"][0]["extensions"]["requestId"], id);
    }
}

#[tokio::test]
async fn a_request_id_cannot_be_forged() {
    let forged = "req_00000000000000000000000000000000";
    let answer = send(&tiny(), post(r#"{"query":"{ hello }"}"#, &[("x-request-id", Some(forged))])).await;
    assert_ne!(answer.header("x-request-id"), forged);
}

#[tokio::test]
async fn queries_may_be_asked_with_get_and_mutations_may_not() {
    let answer =
        send(&tiny(), get("query=query($n:String){hello(name:$n)}&variables={%22n%22:%22you%22}&operationName=")).await;
    assert_eq!(answer.json(), json!({ "data": { "hello": "hello you" } }));
    let answer = send(&tiny(), get("query=mutation{step(number:1){number}}")).await;
    assert_eq!(status_and_code(&answer), (405, "METHOD_NOT_ALLOWED".into()));
    assert_eq!(answer.header("allow"), "POST");
    for odd in [
        "",
        "query",
        "variables={}",
        "query={hello}&variables=[]",
        "query={hello}&variables={",
        "query={hello}&extensions=1",
    ] {
        let answer = send(&tiny(), get(odd)).await;
        assert_eq!(answer.status, 400, "{odd}");
    }
}

#[tokio::test]
async fn other_methods_are_told_which_ones_there_are() {
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let mut request = post(r#"{"query":"{ hello }"}"#, &[]);
        *request.method_mut() = method;
        let answer = send(&tiny(), request).await;
        assert_eq!(status_and_code(&answer), (405, "METHOD_NOT_ALLOWED".into()));
        assert_eq!(answer.header("allow"), "GET, HEAD, POST");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn a_subscription_is_sent_to_the_websocket() {
    let answer = run(&tiny(), "subscription { count(to: 3) }").await;
    assert_eq!(status_and_code(&answer), (406, "NOT_ACCEPTABLE".into()));
    assert!(answer.text().contains("/graphql/ws"));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let body = format!(r#"{{"query":"{{ hello }}","variables":{{"a":"{}"}}}}"#, "x".repeat(256 * 1024));
    assert_eq!(status_and_code(&send(&tiny(), post(body, &[])).await), (413, "PAYLOAD_TOO_LARGE".into()));
}

#[tokio::test]
async fn whoever_is_not_known_gets_nothing() {
    for token in [None, Some("Bearer bad"), Some("good"), Some("Basic good"), Some("Bearer ")] {
        for body in [r#"{"query":"{ hello }"}"#, r#"{"query":"{ __schema { types { name } } }"}"#, "{"] {
            let answer = send(&tiny(), post(body, &[("authorization", token)])).await;
            assert_eq!(status_and_code(&answer), (401, "UNAUTHENTICATED".into()), "{token:?}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert!(answer.json().get("data").is_none());
        }
    }
}

#[tokio::test]
async fn a_service_that_cannot_know_its_caller_says_when_to_come_back() {
    let answer = send(&tiny(), post(r#"{"query":"{ hello }"}"#, &[("authorization", Some("Bearer down"))])).await;
    assert_eq!(status_and_code(&answer), (503, "SERVICE_UNAVAILABLE".into()));
    assert_eq!(answer.header("retry-after"), "2");
}

#[tokio::test]
async fn an_operation_that_takes_too_long_is_given_up() {
    let answer = run(&tiny(), "{ slow(ms: 5000) }").await;
    assert_eq!(status_and_code(&answer), (504, "TIMEOUT".into()));
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing() {
    let answer = run(&tiny(), "{ panics }").await;
    assert_eq!(status_and_code(&answer), (500, "INTERNAL_SERVER_ERROR".into()));
    assert!(!answer.text().contains("as it should"));
}

#[tokio::test]
async fn every_answer_is_hardened() {
    for path in ["/graphql", "/healthz", "/nowhere", "/graphiql"] {
        let answer = send(&tiny(), Request::get(path).body(Body::empty()).expect("a request")).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{path}");
    }
}

#[tokio::test]
async fn attacks_are_refused_at_once() {
    let many = |n: usize, one: fn(usize) -> String| (0..n).map(one).collect::<Vec<_>>().join(" ");
    let doubling = many(60, |i| format!("fragment F{i} on Query {{ ...F{n} ...F{n} }}", n = i + 1));
    let aliases = many(100, |i| format!("a{i}: hello"));
    let deep = format!("{{ {}number{} }}", "thing { inner { ".repeat(30), " }".repeat(60));
    for (name, query) in [
        ("brackets", format!("{{ hello(name: {}", "[".repeat(2_000))),
        ("objects", format!("{{ hello(name: {}", "{a:".repeat(2_000))),
        ("doubling", format!("{{ ...F0 }} {doubling} fragment F60 on Query {{ hello }}")),
        ("doubling nothing", format!("{{ ...F0 }} {doubling} fragment F60 on Query {{ ...Nowhere }}")),
        ("aliases", format!("{{ {aliases} }}")),
        ("deep", deep),
        ("cycle", "{ ...A } fragment A on Query { ...A }".to_owned()),
        ("directives", format!("{{ hello {} }}", "@skip(if: false) ".repeat(1_000))),
        ("long", format!("{{ hello }} #{}", "x".repeat(40_000))),
    ] {
        let begun = Instant::now();
        let answer = run(&tiny(), &query).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        assert!(begun.elapsed() < Duration::from_secs(10), "{name}: {:?}", begun.elapsed());
        assert!(answer.body.len() < 20_000, "{name}: an answer of {} bytes", answer.body.len());
    }
}
