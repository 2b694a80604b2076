//! `/profile`: where a link to a profile leads.
//!
//! What opens the link is behind the `#` of its address. So the page is the same for everybody and knows
//! nothing: whoever only looks, a preview of a messenger for example, uses nothing up. The profile goes to
//! whoever presses the button, which sends the code in the body of a POST.

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderValue, Request, Response, StatusCode, header},
};
use vpn_core::{
    domain::RequestId,
    secrecy::{ExposeSecret as _, SecretString},
    service::{Delivered, Taken},
};

use crate::{address::Connected, error, http::body, server::Server};

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("take.js");
const HTML: &str = "text/html; charset=utf-8";

/// One script, from here; the form goes here, and nowhere else.
const POLICY: &str =
    "default-src 'none'; script-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A form with one code in it.
const BODY_BYTES: usize = 1024;

/// `GET /profile`.
pub(crate) async fn page() -> Response<Body> {
    answer(StatusCode::OK, HTML, Body::from(PAGE))
}

/// `GET /profile/take.js`.
pub(crate) async fn script() -> Response<Body> {
    answer(StatusCode::OK, "text/javascript; charset=utf-8", Body::from(SCRIPT))
}

/// `POST /profile`: the profile, as a file.
pub(crate) async fn take(
    State(server): State<Server>,
    Extension(id): Extension<RequestId>,
    Connected(address): Connected,
    request: Request<Body>,
) -> Response<Body> {
    let body = match body::read(request.into_body(), BODY_BYTES, server.options.limits.body_wait).await {
        Ok(body) => zeroize_on_drop(body),
        Err(_) => return told(StatusCode::BAD_REQUEST, "This is not what the page sends. Open the link again."),
    };
    let code = body.expose_secret().strip_prefix("code=").unwrap_or_default();
    match server.api.take_profile(code, address, id).await {
        Ok(Taken::Profile(delivered)) => file(&delivered),
        Ok(Taken::Nothing) => told(
            StatusCode::GONE,
            "There is no profile behind this link: it was used, or has expired. Ask whoever sent it for a new one.",
        ),
        Ok(Taken::TooMany) => {
            retry(StatusCode::TOO_MANY_REQUESTS, "Too many wrong links were tried. Try again in a minute.", 60)
        }
        Err(refused) if error::code(&refused) == Some(error::SERVICE_UNAVAILABLE) => {
            retry(StatusCode::SERVICE_UNAVAILABLE, "The service is out of reach. Try again in a minute.", 60)
        }
        Err(_) => told(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong. Tell whoever sent the link."),
    }
}

/// The code is good for a profile until it is used.
fn zeroize_on_drop(body: Vec<u8>) -> SecretString {
    SecretString::from(String::from_utf8(body).unwrap_or_default())
}

/// A common name has no character that a header would mind.
fn file(delivered: &Delivered) -> Response<Body> {
    let profile = delivered.profile.expose_secret().to_owned();
    let mut response = answer(StatusCode::OK, "application/x-openvpn-profile", Body::from(profile));
    let disposition = format!("attachment; filename=\"{}.ovpn\"", delivered.client.name);
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

fn told(status: StatusCode, text: &str) -> Response<Body> {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>VPN profile</title>\n<p>{text}</p>\n</html>\n"
    );
    answer(status, HTML, Body::from(page))
}

fn retry(status: StatusCode, text: &str, seconds: u32) -> Response<Body> {
    let mut response = told(status, text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn answer(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
