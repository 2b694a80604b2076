//! The page at `/profile`.

use axum::{body::Body, http::Request};

use crate::support::{Answer, send, tiny};

async fn get(path: &str) -> Answer {
    send(&tiny(), Request::get(path).body(Body::empty()).expect("a request")).await
}

async fn post(body: &str) -> Answer {
    let request = Request::post("/profile").header("content-type", "application/x-www-form-urlencoded");
    send(&tiny(), request.body(Body::from(body.to_owned())).expect("a request")).await
}

fn is_guarded(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let policy = answer.header("content-security-policy");
    for part in ["default-src 'none'", "script-src 'self'", "form-action 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
}

#[tokio::test]
async fn the_page_is_the_same_for_everybody_and_takes_nothing() {
    let page = get("/profile").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    is_guarded(&page);
    assert!(page.text().contains(r#"<form method="post" action="profile""#));
    assert_eq!(get("/profile?code=vpn_link_x").await.text(), page.text());
    // Nothing inline, which the policy would not run.
    assert!(!page.text().contains("onclick") && !page.text().contains("<style") && !page.text().contains("<script>"));
    let script = get("/profile/take.js").await;
    assert_eq!((script.status.as_u16(), script.header("content-type")), (200, "text/javascript; charset=utf-8"));
    assert!(script.text().contains("location.hash"));
}

#[tokio::test]
async fn a_code_that_opens_nothing_is_told_so_and_no_more() {
    for body in ["code=vpn_link_x", "code=", "", "x=y", "\u{e9}"] {
        let answer = post(body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (410, "text/html; charset=utf-8"),
            "{body}"
        );
        is_guarded(&answer);
        assert!(!answer.text().contains("vpn_link"));
    }
    let large = format!("code={}", "x".repeat(2000));
    assert_eq!(post(&large).await.status, 400);
}

#[tokio::test]
async fn trouble_says_when_to_come_again() {
    for (code, status, retry) in [("flood", 429, "60"), ("down", 503, "60"), ("broken", 500, "")] {
        let answer = post(&format!("code={code}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (status, retry));
        is_guarded(&answer);
    }
}

#[tokio::test]
async fn other_methods_are_refused() {
    let request = Request::put("/profile").body(Body::empty()).expect("a request");
    assert_eq!(send(&tiny(), request).await.status, 405);
}
