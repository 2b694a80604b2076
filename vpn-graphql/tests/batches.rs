//! A page of a list costs the same number of statements whatever its length. In a process of its own,
//! because statements are counted where all of a process's logs go.
#![cfg(test)]
#![expect(dead_code, reason = "the helpers serve the other tests, too")]

#[path = "it/server.rs"]
mod server;
#[path = "it/support.rs"]
mod support;

use std::{fmt, sync::Mutex};

use serde_json::json;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};
use vpn_core::domain::Role;

use self::server::Server;

static STATEMENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps every statement that sqlx logs.
struct Statements;

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            let mut text = Text(String::new());
            event.record(&mut text);
            STATEMENTS.lock().expect("no panic").push(text.0);
        }
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if matches!(field.name(), "summary" | "db.statement") {
            self.0.push_str(&format!("{value:?} ").replace("\\n", " "));
        }
    }
}

/// How many statements read this table since the last time.
fn reads_of(table: &str) -> usize {
    let statements = STATEMENTS.lock().expect("no panic");
    let from = format!("FROM {table} ");
    let seen = statements.iter().map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" "));
    seen.filter(|statement| statement.contains("SELECT") && statement.contains(&from)).count()
}

#[tokio::test]
async fn a_longer_page_takes_no_more_statements() {
    tracing_subscriber::registry().with(Statements).init();
    let server = Server::start().await;
    let operator = server.as_(Role::Operator).await;
    let server_id = server.register().await;
    for number in 0..12 {
        let made = operator
            .ask(
                "mutation($in: CreateClientInput!) { createClient(input: $in) { client { id } } }",
                json!({ "in": { "name": format!("c{number}"), "serverId": server_id } }),
            )
            .await;
        let id = &made["data"]["createClient"]["client"]["id"];
        let provision = "mutation($id: ID!) { provisionClient(input: { clientId: $id }) { job { id } } }";
        operator.ask(provision, json!({ "id": id })).await;
    }
    let clients =
        "query($n: Int) { clients(first: $n) { edges { node { server { name } currentJob { client { name } } } } } }";
    let log =
        "query($n: Int) { auditLog(first: $n) { edges { node { client { name server { name } } job { state } } } } }";
    let nested = "query($n: Int) { clients(first: $n) { edges { node { jobs(first: 3) { edges { node { id state } } } auditLog(last: 2) { edges { node { seq } } } } } } }";
    let servers =
        "query($n: Int) { servers { clients(first: $n) { edges { node { name jobs { edges { node { id } } } } } } } }";
    let jobs =
        "query($n: Int) { jobs(last: $n) { edges { node { state client { name server { name } } retryOf { id } } } } }";
    for query in [clients, log, nested, servers, jobs] {
        let mut counts = Vec::new();
        for first in [2, 24] {
            STATEMENTS.lock().expect("no panic").clear();
            let answer = operator.ask(query, json!({ "n": first })).await;
            assert_eq!(answer.get("errors"), None, "{answer}");
            counts.push(["servers", "clients", "jobs", "audit_log"].map(reads_of));
        }
        assert_eq!(counts.first(), counts.last(), "{query}");
        assert!(counts.iter().flatten().all(|count| *count <= 2), "{query}: {counts:?}");
        assert!(counts.iter().flatten().any(|count| *count > 0), "nothing was counted: {query}");
    }
}
