//! HTTP answers.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

use super::accept::Media;

/// An answer that is never kept by a cache.
pub(super) fn json(media: Media, status: StatusCode, body: Vec<u8>) -> Response<Body> {
    reply(media, status, Body::from(body))
}

/// An answer in events, which no proxy may collect before it passes them on.
pub(super) fn events(body: Body) -> Response<Body> {
    let mut response = reply(Media::Events, StatusCode::OK, body);
    // nginx would, and listens to this.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn reply(media: Media, status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media.content_type());
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The status of an answer to a document that cannot be executed.
pub(super) fn status_of_refused_document(media: Media) -> StatusCode {
    match media {
        Media::Json => StatusCode::OK,
        Media::GraphQl | Media::Events => StatusCode::BAD_REQUEST,
    }
}
