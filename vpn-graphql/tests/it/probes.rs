//! `/healthz` and `/readyz`.

use std::sync::atomic::Ordering;

use axum::{Router, body::Body, http::Request};
use serde_json::json;
use vpn_graphql::{Lifetime, routes};

use crate::support::{Answer, TinyApi, options, send};

async fn probe(router: &Router, path: &str) -> Answer {
    send(router, Request::get(path).body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn a_server_that_can_work_says_so() {
    let router = routes(TinyApi::new(), options(), Lifetime::default());
    assert_eq!(probe(&router, "/healthz").await.json(), json!({ "status": "ok" }));
    let answer = probe(&router, "/readyz").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({ "status": "ok", "checks": { "database": { "status": "ok", "took_ms": 2 } } }));
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_server_that_cannot_work_is_not_ready_but_alive() {
    let api = TinyApi::new();
    api.ready.store(false, Ordering::SeqCst);
    let router = routes(api.clone(), options(), Lifetime::default());
    let answer = probe(&router, "/readyz").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (503, &json!("down")));
    assert_eq!(probe(&router, "/healthz").await.status, 200);
    api.ready.store(true, Ordering::SeqCst);
    assert_eq!(probe(&router, "/readyz").await.status, 503, "the answer is kept for a second");
}

#[tokio::test]
async fn a_server_that_ends_is_not_ready() {
    let lifetime = Lifetime::default();
    let router = routes(TinyApi::new(), options(), lifetime.clone());
    lifetime.shutdown.cancel();
    assert_eq!(probe(&router, "/readyz").await.status, 503);
    assert_eq!(probe(&router, "/healthz").await.status, 200);
}
