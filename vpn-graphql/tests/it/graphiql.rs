//! The page at `/graphiql`, and everything that it names.

use std::io::Read as _;

use axum::{body::Body, http::Request};
use flate2::read::GzDecoder;
use vpn_graphql::{HttpOptions, Lifetime, routes};

use crate::support::{Answer, TinyApi, send, tiny};

async fn fetch(path: &str, encoding: Option<&str>) -> Answer {
    let mut request = Request::get(path);
    if let Some(encoding) = encoding {
        request = request.header("accept-encoding", encoding);
    }
    send(&tiny(), request.body(Body::empty()).expect("a request")).await
}

/// What stands between `before` and the next quote, each time.
fn quoted<'a>(page: &'a str, before: &'a str) -> Vec<&'a str> {
    page.match_indices(before).filter_map(|(at, _)| page[at + before.len()..].split('"').next()).collect()
}

#[tokio::test]
async fn the_page_and_every_file_that_it_names_are_served() {
    let page = fetch("/graphiql", None).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), "no-cache");
    let names: Vec<&str> = ["src=\"", "href=\"", "content=\""]
        .into_iter()
        .flat_map(|before| quoted(page.text(), before))
        .filter(|name| name.starts_with('/'))
        .collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let file = fetch(name, Some("gzip, br")).await;
        assert_eq!(file.status, 200, "{name}");
        assert_eq!(file.header("content-encoding"), "gzip", "{name}");
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable", "{name}");
        assert!(
            matches!(file.header("content-type"), "text/javascript; charset=utf-8" | "text/css; charset=utf-8"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn nothing_is_loaded_from_elsewhere() {
    let page = fetch("/graphiql", None).await;
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("default-src 'none'; script-src 'self';") && !policy.contains("http"), "{policy}");
    let scripts = policy.split("; ").filter(|part| part.starts_with("script-src") || part.starts_with("worker-src"));
    assert_eq!(scripts.collect::<Vec<_>>(), ["script-src 'self'", "worker-src 'self'"], "nothing inline, no eval");
    for part in ["base-uri 'none'", "form-action 'none'", "connect-src 'self'"] {
        assert!(policy.split("; ").any(|own| own == part), "{part} is not in {policy}");
    }
    assert!(!page.text().contains("<script>") && !page.text().contains("src=\"http"));
}

#[tokio::test]
async fn who_does_not_take_gzip_gets_the_same_bytes_unpacked() {
    let packed = fetch("/graphiql", Some("gzip")).await;
    let mut unpacked = String::new();
    GzDecoder::new(packed.body.as_slice()).read_to_string(&mut unpacked).expect("gzip");
    for encoding in [None, Some("br"), Some("gzip;q=0")] {
        let plain = fetch("/graphiql", encoding).await;
        assert_eq!(plain.text(), unpacked, "{encoding:?}");
        assert!(!plain.headers.contains_key("content-encoding"), "{encoding:?}");
    }
}

#[tokio::test]
async fn nothing_else_is_served_below_it() {
    for path in [
        "/graphiql/",
        "/graphiql/assets/",
        "/graphiql/../Cargo.toml",
        "/graphiql/assets/none.js",
        "/graphiql/index.html.gz",
    ] {
        assert_eq!(fetch(path, None).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn it_can_be_left_out() {
    let router = routes(TinyApi::new(), HttpOptions { graphiql: false, ..HttpOptions::default() }, Lifetime::default());
    assert_eq!(send(&router, Request::get("/graphiql").body(Body::empty()).expect("a request")).await.status, 404);
}
