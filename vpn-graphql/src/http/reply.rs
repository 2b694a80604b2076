//! HTTP answers.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

use super::accept::Media;

/// An answer that is never kept by a cache.
pub(super) fn json(media: Media, status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
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
        Media::GraphQl => StatusCode::BAD_REQUEST,
    }
}
