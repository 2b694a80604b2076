//! The `GraphiQL` page and its files, carried by the program: no other host is asked for anything.

use std::io::Read as _;

use axum::{
    body::Body,
    extract::Path,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};
use flate2::read::GzDecoder;

/// Name and contents of each file, compressed with gzip when the page was built.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/graphiql.rs"));

/// Scripts and workers only from here, and no page may frame it. The editor sets styles inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; \
    style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `/graphiql`: the page itself.
pub(crate) async fn page(headers: HeaderMap) -> Response<Body> {
    serve("index.html", &headers, "no-cache")
}

/// `/graphiql/…`: what the page is made of. The names hold a hash of the contents.
pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response<Body> {
    let hashed = name.starts_with("assets/");
    serve(&name, &headers, if hashed { "public, max-age=31536000, immutable" } else { "no-cache" })
}

fn serve(name: &str, request: &HeaderMap, caching: &'static str) -> Response<Body> {
    let Some((_, packed)) = FILES.iter().find(|(own, _)| *own == name) else {
        return status(StatusCode::NOT_FOUND);
    };
    let gzip = accepts_gzip(request);
    let body = if gzip {
        Body::from(*packed)
    } else {
        match unpack(packed) {
            Some(bytes) => Body::from(bytes),
            None => return status(StatusCode::INTERNAL_SERVER_ERROR),
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Every browser does. Others, such as `curl` without options, get the file as it is.
fn accepts_gzip(request: &HeaderMap) -> bool {
    request
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
            name.trim().eq_ignore_ascii_case("gzip") && !refused
        })
}

fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        Some("ttf") => "font/ttf",
        _ => "application/octet-stream",
    }
}
