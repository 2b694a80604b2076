//! GraphQL over WebSocket: `/graphql/ws`, subprotocol graphql-transport-ws.

mod connection;
mod message;
mod operation;
mod outlet;

use axum::{
    extract::{State, WebSocketUpgrade},
    http::{HeaderMap, StatusCode, Uri, header, uri::Authority},
    response::{IntoResponse, Response},
};

use crate::{address::Connected, server::Server};

/// The handler of `/graphql/ws`.
pub(crate) async fn upgrade(
    State(server): State<Server>,
    Connected(address): Connected,
    uri: Uri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !is_own_origin(&uri, &headers) && !is_allowed_origin(&headers, &server.options.allowed_origins) {
        return (StatusCode::FORBIDDEN, "pages of this origin may not connect").into_response();
    }
    let Ok(connection) = server.live.connection() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], "too many connections").into_response();
    };
    let tracker = server.lifetime.open.clone();
    let max = server.options.limits.message_bytes;
    upgrade
        .protocols([message::PROTOCOL])
        // For each socket; the default of 128 KiB is what a thousand idle ones would cost most.
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(max)
        .max_frame_size(max)
        .on_upgrade(move |socket| {
            tracker.track_future(async move {
                connection::serve(socket, server, address).await;
                drop(connection);
            })
        })
}

/// Browsers ask nobody before they open a WebSocket to another site, so its origin is checked here.
/// What is no browser sends none.
fn is_own_origin(uri: &Uri, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    // HTTP/2 has it in the address.
    let host = host.or_else(|| uri.authority().map(Authority::as_str));
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

fn is_allowed_origin(headers: &HeaderMap, allowed: &[String]) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| allowed.iter().any(|it| origin.as_bytes() == it.as_bytes()))
}
