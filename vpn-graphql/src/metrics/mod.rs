//! `/metrics`: what Prometheus collects. It has an address of its own, because there are no tokens on it.
//!
//! Everything is counted from the database, so all servers say the same, and a restart resets nothing.

mod page;
mod platform;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::Mutex;
use vpn_core::service::Platform;

/// How long an answer is given again, so that nobody can keep the database busy by asking.
const FRESH: Duration = Duration::from_secs(1);
/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(5);

struct Metrics {
    platform: Platform,
    /// The last answer. Whoever asks while one is being made waits for it.
    last: Mutex<Option<(Instant, StatusCode, String)>>,
}

/// `/metrics` of the platform, and nothing else.
pub fn metrics(platform: Platform) -> Router {
    let state = Arc::new(Metrics { platform, last: Mutex::default() });
    Router::new().route("/metrics", get(scrape)).with_state(state)
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> Response {
    let mut last = metrics.last.lock().await;
    if let Some((at, status, page)) = &*last
        && at.elapsed() < FRESH
    {
        return answer(*status, page.clone());
    }
    let (status, page) = match tokio::time::timeout(PATIENCE, metrics.platform.tallies()).await {
        Ok(Ok(tallies)) => (StatusCode::OK, platform::page(&tallies)),
        // Prometheus takes it for down: `up` is 0.
        Ok(Err(error)) => {
            tracing::warn!(error.code = error.code(), %error, "the metrics could not be made");
            (StatusCode::SERVICE_UNAVAILABLE, "the metrics could not be made: see the server's log\n".to_owned())
        }
        Err(_) => {
            tracing::warn!("the metrics could not be made: the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n".to_owned())
        }
    };
    *last = Some((Instant::now(), status, page.clone()));
    answer(status, page)
}

fn answer(status: StatusCode, page: String) -> Response {
    // https://prometheus.io/docs/instrumenting/exposition_formats/#basic-info
    let headers = [
        (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, page).into_response()
}
