//! The routes, and what happens around each request.

use std::{any::Any, sync::Arc, time::Instant};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Response, StatusCode, header},
    middleware::{self, Next},
    routing::{any, get},
};
use tower_http::{catch_panic::CatchPanicLayer, sensitive_headers::SetSensitiveRequestHeadersLayer};
use tracing::Instrument as _;
use vpn_core::service::Platform;

use crate::{
    api::Api,
    graphiql, health, http,
    options::HttpOptions,
    platform::PlatformApi,
    profile_link,
    server::{Lifetime, Server},
    ws,
};

/// The platform's routes. WebSockets are closed when `lifetime` ends.
pub fn router(platform: Platform, options: HttpOptions, lifetime: Lifetime) -> Router {
    let api = PlatformApi::new(platform, options.limits.document.introspect);
    routes(Arc::new(api), options, lifetime)
}

/// All routes over anything that answers.
///
/// There is no CORS layer: without its headers, browsers let no page of another origin read us.
pub fn routes(api: Arc<dyn Api>, options: HttpOptions, lifetime: Lifetime) -> Router {
    let graphiql = options.graphiql;
    let server = Server::new(api, options, lifetime);
    let mut routes = Router::new()
        .route("/graphql", any(http::graphql))
        .route("/graphql/ws", any(ws::upgrade))
        .route("/profile", get(profile_link::page).post(profile_link::take))
        .route("/profile/take.js", get(profile_link::script))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz));
    if graphiql {
        routes = routes.route("/graphiql", get(graphiql::page)).route("/graphiql/{*file}", get(graphiql::asset));
    }
    // The last layer is the outermost.
    routes
        .layer(middleware::from_fn_with_state(server.clone(), observe))
        .layer(SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION, header::COOKIE]))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(server)
}

/// Gives the request its id, one line in the log, and the answer the headers that all have.
///
/// The id is always ours: it goes into the audit log, where a caller must not be able to forge it.
async fn observe(State(server): State<Server>, mut request: Request, next: Next) -> Response<Body> {
    let id = server.api.request_id();
    let begun = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", request.id = %id);
    request.extensions_mut().insert(id);
    let mut response = next.run(request).instrument(span.clone()).await;
    harden(&mut response);
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert("x-request-id", id);
    }
    let status = response.status().as_u16();
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let _entered = span.entered();
    if matches!(path.as_str(), "/healthz" | "/readyz") {
        tracing::debug!(http.path = path, http.status = status, duration_ms, "probe answered");
    } else {
        tracing::info!(http.method = %method, http.path = path, http.status = status, duration_ms, "request answered");
    }
    response
}

/// Browsers guess no types, tell nobody where they come from, and show nothing of ours in a frame.
fn harden(response: &mut Response<Body>) {
    const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
}

/// What was wrong is in the log, where the panic was reported; nobody else learns it.
fn panicked(_: Box<dyn Any + Send>) -> Response<Body> {
    const BODY: &str = r#"{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}"#;
    let mut response = Response::new(Body::from(BODY));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    harden(&mut response);
    response
}
