//! Reading the body of a request.

use std::time::Duration;

use axum::{
    body::{Body, BodyDataStream},
    http::StatusCode,
};
use futures_util::StreamExt as _;

use super::refusal::Refusal;

/// How much of a body that is too large is read and thrown away.
const TOLERANCE: usize = 4;

/// The whole body, of at most `max` bytes, within `wait`.
///
/// It is read before anything else is decided: a connection that is closed on unread bytes is
/// reset, and then the caller may never see why it was refused.
pub(crate) async fn read(body: Body, max: usize, wait: Duration) -> Result<Vec<u8>, Refusal> {
    match tokio::time::timeout(wait, collect(body.into_data_stream(), max)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "the body took too long to arrive")),
    }
}

async fn collect(mut chunks: BodyDataStream, max: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut seen = 0_usize;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::bad_request("the body broke off"))?;
        seen = seen.saturating_add(chunk.len());
        if seen <= max {
            bytes.extend_from_slice(&chunk);
        } else if seen > max.saturating_mul(TOLERANCE) {
            break;
        }
    }
    if seen > max {
        let message = format!("the body is larger than {max} bytes");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", message));
    }
    Ok(bytes)
}
