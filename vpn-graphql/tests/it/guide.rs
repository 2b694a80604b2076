//! The API guide: its examples are run, its tables held against the code.

use serde_json::{Value, json};
use vpn_core::{domain::Role, store::PageRequest};
use vpn_graphql::Limits;

use crate::server::Server;

const GUIDE: &str = include_str!("../../README.md");

/// The blocks of these two languages, in order.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let block = |text: &'static str| text.split_once('\n').filter(|(name, _)| matches!(*name, "graphql" | "json"));
    GUIDE.split("```").skip(1).step_by(2).filter_map(block).collect()
}

/// Whether a value is the one that is shown; `"…"` stands for anything.
fn is_shown(shown: &Value, value: &Value) -> bool {
    match (shown, value) {
        (Value::String(any), _) if any == "…" => !value.is_null(),
        (Value::Object(shown), Value::Object(value)) => {
            shown.len() == value.len()
                && shown.iter().all(|(key, part)| is_shown(part, value.get(key).unwrap_or(&json!(null))))
        }
        (Value::Array(shown), Value::Array(value)) => {
            shown.len() == value.len() && shown.iter().zip(value).all(|(part, value)| is_shown(part, value))
        }
        _ => shown == value,
    }
}

#[tokio::test]
async fn every_example_gives_what_is_shown_behind_it() {
    let server = Server::start().await;
    let operator = server.as_(Role::Operator).await;
    let server_id = server.register().await;
    let (blocks, mut client_id) = (blocks(), String::new());
    assert!(blocks.len() >= 10, "{blocks:?}");
    for pair in blocks.chunks(2) {
        let [("graphql", query), ("json", shown)] = pair else { panic!("an example without its answer: {pair:?}") };
        let query = query.replace("srv_…", &server_id).replace("cli_…", &client_id);
        let data = if query.starts_with("subscription") {
            operator.follow(&query, json!({})).await.next().await
        } else {
            let answer = operator.ask(&query, json!({})).await;
            assert_eq!(answer.get("errors"), None, "{query}");
            answer["data"].clone()
        };
        assert!(is_shown(&serde_json::from_str(shown).expect("JSON"), &data), "{query}: {data}");
        let newest = operator.ask("{ clients(first: 1) { edges { node { id } } } }", json!({})).await;
        newest["data"]["clients"]["edges"][0]["node"]["id"].as_str().unwrap_or_default().clone_into(&mut client_id);
    }
}

#[test]
fn the_limits_are_those_of_the_code() {
    let limits = Limits::default();
    for (what, most) in [
        ("the body of a request", format!("{} bytes", limits.body_bytes)),
        ("a document", format!("{} bytes", limits.document.bytes)),
        ("brackets in brackets", limits.document.brackets.to_string()),
        ("fields in an operation, fragments put in their places", limits.document.fields.to_string()),
        ("aliases in an operation", limits.document.aliases.to_string()),
        ("mutations in an operation", limits.document.mutations.to_string()),
        ("an answer to a query or a mutation", format!("{} seconds", limits.operation.as_secs())),
        ("a message on a WebSocket", format!("{} bytes", limits.message_bytes)),
        ("operations at a time on a WebSocket", limits.socket_operations.to_string()),
        ("subscriptions at a time of one principal", limits.principal_subscriptions.to_string()),
        ("open WebSockets and streams of events", limits.sockets.to_string()),
        ("items of a list", PageRequest::<i64>::MAX.to_string()),
    ] {
        let row = format!("| {what} | {most} |");
        assert!(GUIDE.contains(&row), "not in the guide: {row}");
    }
}

/// Every code that stands in the sources in capitals is explained.
#[test]
fn no_code_is_missing_from_the_table() {
    let sources = [
        include_str!("../../src/error.rs"),
        include_str!("../../src/guard/mod.rs"),
        include_str!("../../src/http/mod.rs"),
        include_str!("../../src/http/body.rs"),
        include_str!("../../src/http/refusal.rs"),
        include_str!("../../src/http/sse.rs"),
        include_str!("../../src/live.rs"),
        include_str!("../../src/operations.rs"),
        include_str!("../../src/ws/connection.rs"),
        include_str!("../../src/ws/operation.rs"),
    ];
    let quoted = sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2));
    let is_code =
        |text: &&str| text.contains('_') && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let codes: Vec<&str> = quoted.filter(is_code).collect();
    assert!(codes.len() > 10, "{codes:?}");
    for code in codes {
        assert!(GUIDE.contains(&format!("`{code}`")), "not explained: {code}");
    }
}

/// The table of what scanners look for names tests that there are.
#[test]
fn every_answer_to_scanners_is_held_by_a_test() {
    let tests = [include_str!("abuse.rs"), include_str!("graphiql.rs"), include_str!("http.rs"), include_str!("ws.rs")];
    let section = GUIDE.split("## What scanners look for").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows: Vec<&str> = section.expect("the section").lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        let name = row.trim_end_matches([' ', '|', '`']).rsplit('`').next().expect("a test's name");
        let test = format!("async fn {name}()");
        assert!(tests.iter().any(|source| source.contains(&test)), "there is no test {name}");
    }
}
