//! `/healthz`: the process runs. `/readyz`: it can do its work, so send it requests.

use std::time::{Duration, Instant};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::{
    api::{Api, Readiness},
    server::Server,
};

/// How long an answer is given again, so that nobody can keep the database busy by asking.
const FRESH: Duration = Duration::from_secs(1);

/// The last answer. Whoever asks while it is being made waits for it.
#[derive(Default)]
pub(crate) struct ReadinessCache(Mutex<Option<(Instant, Readiness)>>);

impl ReadinessCache {
    async fn get(&self, api: &dyn Api) -> Readiness {
        let mut last = self.0.lock().await;
        match &*last {
            Some((at, readiness)) if at.elapsed() < FRESH => readiness.clone(),
            _ => {
                let readiness = api.readiness().await;
                *last = Some((Instant::now(), readiness.clone()));
                readiness
            }
        }
    }
}

/// Always 200, as long as anything answers.
pub(crate) async fn healthz() -> Response {
    answer(StatusCode::OK, json!({ "status": "ok" }))
}

/// 200, or 503 with the reason.
pub(crate) async fn readyz(State(server): State<Server>) -> Response {
    if server.lifetime.shutdown.is_cancelled() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "draining", "checks": {} }));
    }
    let Readiness { ready, checks } = server.readiness.get(&*server.api).await;
    let checks: Map<String, Value> = checks
        .into_iter()
        .map(|check| {
            let took = u64::try_from(check.took.as_millis()).unwrap_or(u64::MAX);
            (check.name.to_owned(), json!({ "status": check.status, "took_ms": took }))
        })
        .collect();
    let (status, text) = if ready { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "down") };
    answer(status, json!({ "status": text, "checks": checks }))
}

fn answer(status: StatusCode, body: Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
