//! Requests that are turned away before anything is executed.

use async_graphql::{Response as Answer, ServerError};
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
};
use vpn_core::domain::RequestId;

use super::{accept::Media, reply};
use crate::{
    answer,
    error::{self, INTERNAL_SERVER_ERROR, SERVICE_UNAVAILABLE, TOO_MANY_ATTEMPTS, UNAUTHENTICATED, refusal},
};

/// Why a request is turned away.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// `None`: as the media type has it for a document that is refused.
    status: Option<StatusCode>,
    error: Box<ServerError>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status: Some(status), error: Box::new(refusal(code, message)), header: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub(super) fn not_acceptable(message: &str) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message)
    }

    pub(super) fn method_not_allowed(message: &str, allowed: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message).with(header::ALLOW, allowed)
    }

    /// The document is refused.
    pub(super) fn document(error: ServerError) -> Self {
        Self { status: None, error: Box::new(error), header: None }
    }

    /// Nobody is known to be asking.
    pub(super) fn caller(error: ServerError) -> Self {
        let retry_after = |seconds: u64| Some((header::RETRY_AFTER, HeaderValue::from(seconds)));
        let (status, header) = match error::code(&error) {
            Some(UNAUTHENTICATED) => {
                (StatusCode::UNAUTHORIZED, Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))))
            }
            Some(TOO_MANY_ATTEMPTS) => {
                (StatusCode::TOO_MANY_REQUESTS, retry_after(error::retry_after(&error).unwrap_or(5)))
            }
            Some(SERVICE_UNAVAILABLE) => (StatusCode::SERVICE_UNAVAILABLE, retry_after(2)),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        Self { status: Some(status), error: Box::new(error), header }
    }

    /// There are too many already.
    pub(super) fn too_many(error: ServerError) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self { status: Some(status), error: Box::new(error), header: None }.with(header::RETRY_AFTER, "5")
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    pub(super) fn into_response(mut self, media: Media, id: RequestId) -> Response<Body> {
        answer::label_error(&mut self.error, INTERNAL_SERVER_ERROR, id);
        let media = media.of_refusal();
        let status = self.status.unwrap_or_else(|| reply::status_of_refused_document(media));
        let mut response = reply::json(media, status, answer::encode(&Answer::from_errors(vec![*self.error])));
        response.headers_mut().extend(self.header);
        response
    }
}
