//! The execution rules of the specification on which versions of async-graphql differ.

use serde_json::json;

use crate::support::{post, run, send, tiny};

/// The answer's `data`, as the very text that was sent: the order of keys counts.
async fn data(query: &str) -> String {
    let answer = run(&tiny(), query).await;
    let text = answer.text();
    let at = text.find("\"data\":").expect("data");
    text[at + 7..text.len() - 1].to_owned()
}

#[tokio::test]
async fn keys_come_in_the_order_of_the_document_whatever_ends_first() {
    let query = "{ a: slow(ms: 30) hello b: slow(ms: 1) ...F c: slow(ms: 10) } fragment F on Query { z: slow(ms: 20) y: double(number: 2) }";
    assert_eq!(data(query).await, r#"{"a":30,"hello":"hello world","b":1,"z":20,"y":4,"c":10}"#);
}

#[tokio::test]
async fn lists_keep_their_order() {
    assert_eq!(data("{ things { number } }").await, r#"{"things":[{"number":0},{"number":1},{"number":2}]}"#);
}

#[tokio::test]
async fn mutations_run_one_after_another_in_the_order_of_the_document() {
    assert_eq!(
        data("mutation { b: step(number: 1) { number } a: step(number: 2) { number } }").await,
        r#"{"b":{"number":1},"a":{"number":2}}"#
    );
}

#[tokio::test]
async fn a_failed_nullable_field_is_null_and_its_siblings_stay() {
    let answer = run(&tiny(), "{ thing { number maybe } }").await.json();
    assert_eq!(answer["data"], json!({ "thing": { "number": 1, "maybe": null } }));
    assert_eq!(answer["errors"][0]["path"], json!(["thing", "maybe"]));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "TEST_FAILED");
}

#[tokio::test]
async fn a_failed_field_that_must_not_be_null_nulls_the_nearest_parent_that_may() {
    for (query, data) in [
        ("{ thing { surely } hello }", json!({ "thing": null, "hello": "hello world" })),
        ("{ thing { inner { needed { surely } } number } }", json!({ "thing": { "inner": null, "number": 1 } })),
        ("{ sureThing { surely } hello }", json!(null)),
        ("{ things { surely } }", json!({ "things": [{ "surely": 0 }, null, { "surely": 2 }] })),
        ("{ sureThings { surely } hello }", json!({ "sureThings": null, "hello": "hello world" })),
    ] {
        let answer = run(&tiny(), query).await;
        assert_eq!(answer.status, 200, "{query}");
        assert_eq!(answer.json()["data"], data, "{query}");
        assert!(answer.json().as_object().expect("an object").contains_key("data"), "{query}");
        assert_eq!(answer.json()["errors"].as_array().map(Vec::len), Some(1), "{query}");
    }
}

#[tokio::test]
async fn an_unknown_directive_is_refused_wherever_it_stands() {
    for query in
        ["{ hello @nonsense }", "{ __typename @nonsense }", "query @nonsense { hello }", "{ ... @nonsense { hello } }"]
    {
        let answer = run(&tiny(), query).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "GRAPHQL_VALIDATION_FAILED".into()), "{query}");
    }
}

#[tokio::test]
async fn defaults_of_variables_count_in_skip_and_include() {
    assert_eq!(data("query($yes: Boolean = true) { hello @skip(if: $yes) a: double(number: 1) }").await, r#"{"a":2}"#);
    assert_eq!(
        data("query($no: Boolean = false) { hello @include(if: $no) a: double(number: 1) }").await,
        r#"{"a":2}"#
    );
}

#[tokio::test]
async fn variables_need_to_fit_the_operation_that_is_asked_for_and_no_other() {
    let document = "query A($in: Int!) { ...F double(number: $in) } query B($in: String) { ...F hello(name: $in) } \
         mutation C($in: Int!) { step(number: $in) { number } } fragment F on Query { thing { ...G } } fragment G on Thing { number }";
    for (name, given, expected) in [
        ("A", json!(2), json!({ "thing": { "number": 1 }, "double": 4 })),
        ("B", json!("you"), json!({ "thing": { "number": 1 }, "hello": "hello you" })),
        ("C", json!(3), json!({ "step": { "number": 3 } })),
    ] {
        let body = json!({ "query": document, "operationName": name, "variables": { "in": given } });
        let answer = send(&tiny(), post(body.to_string(), &[])).await;
        assert_eq!(answer.json(), json!({ "data": expected }), "{name}");
    }
}

#[tokio::test]
async fn the_same_field_twice_is_one_key_with_both_selections() {
    assert_eq!(
        data("{ thing { number } thing { inner { number } } }").await,
        r#"{"thing":{"number":1,"inner":{"number":1}}}"#
    );
}
