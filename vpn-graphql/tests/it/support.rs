//! A tiny API, and ways to talk to it.
#![expect(clippy::unused_async, reason = "async-graphql wants every resolver async")]

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_graphql::{
    Context, Error, ErrorExtensions as _, Object, Request, Response, Schema, ServerError, SimpleObject, Subscription,
};
use axum::{
    Router,
    body::Body,
    http::{self, HeaderMap, StatusCode},
};
use futures_util::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture, stream, stream::BoxStream};
use serde_json::Value;
use tokio::sync::Notify;
use tower::ServiceExt as _;
use vpn_core::{
    clock::Ambient,
    domain::{Caller, RequestId, Role},
    service::Taken,
};
use vpn_graphql::{Api, Check, HttpOptions, Lifetime, Readiness, routes};

pub(crate) struct Query;

/// A thing of which some parts fail.
#[derive(Clone, Copy, Default)]
pub(crate) struct Thing(i32);

#[Object]
impl Thing {
    async fn number(&self) -> i32 {
        // The later in the list, the sooner done.
        tokio::time::sleep(Duration::from_millis(u64::try_from(20 - self.0).unwrap_or(0))).await;
        self.0
    }

    // As every field of ours that may be null and may fail.
    async fn maybe(&self) -> Option<Result<i32, Error>> {
        Some(Err(failure()))
    }

    async fn surely(&self) -> Result<i32, Error> {
        if self.0 == 1 { Err(failure()) } else { Ok(self.0) }
    }

    async fn inner(&self) -> Option<Thing> {
        Some(*self)
    }

    async fn needed(&self) -> Thing {
        *self
    }
}

fn failure() -> Error {
    Error::new("it failed").extend_with(|_, extensions| extensions.set("code", "TEST_FAILED"))
}

#[Object]
impl Query {
    async fn hello(&self, name: Option<String>) -> String {
        format!("hello {}", name.unwrap_or_else(|| "world".into()))
    }

    async fn double(&self, number: i32) -> i32 {
        number * 2
    }

    async fn who(&self, ctx: &Context<'_>) -> Result<String, Error> {
        Ok(ctx.data::<Caller>()?.principal.to_string())
    }

    async fn slow(&self, ms: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        ms
    }

    async fn thing(&self) -> Option<Thing> {
        Some(Thing(1))
    }

    async fn sure_thing(&self) -> Thing {
        Thing(1)
    }

    async fn things(&self) -> Vec<Option<Thing>> {
        (0..3).map(|number| Some(Thing(number))).collect()
    }

    async fn sure_things(&self) -> Option<Vec<Thing>> {
        Some((0..3).map(Thing).collect())
    }

    async fn panics(&self) -> i32 {
        if std::hint::black_box(true) { panic!("as it should") } else { 0 }
    }
}

pub(crate) struct Mutation;

#[derive(SimpleObject)]
struct Step {
    number: i32,
}

#[Object]
impl Mutation {
    async fn step(&self, number: i32) -> Step {
        Step { number }
    }
}

pub(crate) struct Subscriptions;

#[Subscription]
impl Subscriptions {
    async fn count(&self, to: i32, #[graphql(default = 0)] every_ms: u64) -> impl Stream<Item = i32> {
        stream::iter(1..=to).then(move |number| async move {
            tokio::time::sleep(Duration::from_millis(every_ms)).await;
            number
        })
    }

    async fn refused(&self) -> Result<impl Stream<Item = i32>, Error> {
        Err::<stream::Empty<i32>, _>(failure())
    }

    async fn until_token_ends(&self) -> impl Stream<Item = Result<i32, Error>> {
        let ended = Error::new("the token has ended").extend_with(|_, x| x.set("code", "UNAUTHENTICATED"));
        stream::iter([Ok(1), Err(ended)]).chain(stream::pending())
    }

    /// More than anybody reads.
    async fn flood(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = String>, Error> {
        let ebb = Ebb(ctx.data::<Arc<Notify>>()?.clone());
        Ok(stream::repeat_with(move || {
            let _until_it_ends = &ebb;
            "x".repeat(60_000)
        }))
    }
}

/// Says when a flood ends.
struct Ebb(Arc<Notify>);

impl Drop for Ebb {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Knows one token, `good`, as long as it holds.
pub(crate) struct TinyApi {
    schema: Schema<Query, Mutation, Subscriptions>,
    ambient: Ambient,
    pub(crate) token_holds: AtomicBool,
    pub(crate) ready: AtomicBool,
    /// A flood has ended.
    pub(crate) ebb: Arc<Notify>,
}

impl TinyApi {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            schema: Schema::new(Query, Mutation, Subscriptions),
            ambient: Ambient::system(),
            token_holds: AtomicBool::new(true),
            ready: AtomicBool::new(true),
            ebb: Arc::default(),
        })
    }
}

fn refusal(code: &str) -> ServerError {
    let mut error = ServerError::new("no", None);
    error.extensions.get_or_insert_default().set("code", code);
    error
}

impl Api for TinyApi {
    fn request_id(&self) -> RequestId {
        RequestId::generate(&self.ambient)
    }

    fn authenticate<'a>(
        &'a self,
        bearer: Option<&'a str>,
        _address: Option<IpAddr>,
        request: RequestId,
    ) -> BoxFuture<'a, Result<Caller, ServerError>> {
        let outcome = match bearer {
            Some("good") if self.token_holds.load(Ordering::SeqCst) => {
                Ok(Caller::embedded("ada".parse().expect("a name"), Role::Operator, request))
            }
            Some("down") => Err(refusal("SERVICE_UNAVAILABLE")),
            _ => Err(refusal("UNAUTHENTICATED")),
        };
        async move { outcome }.boxed()
    }

    fn execute(&self, request: Request, caller: Caller) -> BoxFuture<'_, Response> {
        self.schema.execute(request.data(caller)).boxed()
    }

    fn subscribe(&self, request: Request, caller: Caller) -> BoxStream<'static, Response> {
        self.schema.execute_stream(request.data(caller).data(self.ebb.clone()))
    }

    fn take_profile<'a>(
        &'a self,
        secret: &'a str,
        _: Option<IpAddr>,
        _: RequestId,
    ) -> BoxFuture<'a, Result<Taken, ServerError>> {
        let outcome = match secret {
            "down" => Err(refusal("SERVICE_UNAVAILABLE")),
            "broken" => Err(refusal("INTERNAL_SERVER_ERROR")),
            "flood" => Ok(Taken::TooMany),
            _ => Ok(Taken::Nothing),
        };
        async move { outcome }.boxed()
    }

    fn readiness(&self) -> BoxFuture<'_, Readiness> {
        async {
            let ready = self.ready.load(Ordering::SeqCst);
            let status = if ready { "ok" } else { "down" };
            Readiness { ready, checks: vec![Check { name: "database", status, took: Duration::from_millis(2) }] }
        }
        .boxed()
    }
}

/// The routes over the tiny API, with limits that tests need not wait for.
pub(crate) fn options() -> HttpOptions {
    let mut options =
        HttpOptions { allowed_origins: vec!["https://console.example.org".into()], ..HttpOptions::default() };
    // Long enough for a machine that stands still for a moment.
    options.limits.operation = Duration::from_secs(2);
    options.limits.init_wait = Duration::from_secs(2);
    options.limits.ping_every = Duration::from_secs(2);
    options.limits.write_wait = Duration::from_secs(5);
    options.limits.socket_operations = 3;
    options.limits.sockets = 5;
    options
}

pub(crate) fn tiny() -> Router {
    routes(TinyApi::new(), options(), Lifetime::default())
}

/// An answer, with its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The code of the first error.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) async fn send(router: &Router, request: http::Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.expect("infallible");
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body").to_vec();
    Answer { status: head.status, headers: head.headers, body }
}

pub(crate) const NEW: &str = "application/graphql-response+json";

/// A POST with these headers; `None` leaves out one that is usual.
pub(crate) fn post(body: impl Into<Body>, headers: &[(&str, Option<&str>)]) -> http::Request<Body> {
    let mut all =
        vec![("authorization", Some("Bearer good")), ("content-type", Some("application/json")), ("accept", Some(NEW))];
    for (name, value) in headers {
        all.retain(|(usual, _)| usual != name);
        all.push((name, *value));
    }
    let mut request = http::Request::post("/graphql");
    for (name, value) in all {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request.body(body.into()).expect("a request")
}

/// Runs a document.
pub(crate) async fn run(router: &Router, query: &str) -> Answer {
    send(router, post(serde_json::json!({ "query": query }).to_string(), &[])).await
}
