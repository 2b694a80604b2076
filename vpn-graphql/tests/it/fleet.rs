//! VPN hosts as the API shows them: their state, and what was seen of them.

use std::time::Duration;

use serde_json::json;
use vpn_core::{
    clock::Timestamp,
    domain::{CrlRenewal, HostFacts, JobFailure, Role, ServerId, Session, Sessions, VpnServer},
    store::Looked,
};

use crate::server::Server;

const CONTACT: &str = "query($id: ID!, $name: String) { node(id: $id) { ... on VpnServer { state hostKey contact { \
     lookedAt answeredAt error { code message } presentedHostKey presentedHostKeyFingerprint openVpn connected \
     crlRenewal facts { protocol capabilities crlNumber crlMadeAt crlNextUpdate caNotAfter serverNotAfter } \
     sessions(first: 2, name: $name) { name address connectedAt bytesReceived bytesSent client { name status } } } } } }";

fn session(name: &str, since: i64) -> Session {
    Session { name: name.into(), address: "198.51.100.7:50123".into(), since, bytes_in: u64::MAX, bytes_out: 2 }
}

/// Notes a look, as a worker does.
async fn seen(server: &Server, id: &str, looked: Looked) {
    let id: ServerId = id.parse().expect("an id");
    let mut tx = server.store().begin().await.expect("a transaction");
    let begun = tx.at();
    tx.claim_look(id, Duration::ZERO).await.expect("claimed");
    tx.note_look(id, begun, &looked).await.expect("noted");
    tx.commit(server.told(), []).await.expect("committed");
}

#[tokio::test]
async fn what_was_seen_of_a_host_is_shown_with_who_is_connected() {
    let server = Server::start().await;
    let operator = server.as_(Role::Operator).await;
    let id = server.register().await;
    let create = "mutation($in: CreateClientInput!) { createClient(input: $in) { client { id } } }";
    operator.ask(create, json!({ "in": { "name": "alice", "serverId": id } })).await;
    let nothing = operator.ask(CONTACT, json!({ "id": id })).await;
    assert_eq!(nothing["data"]["node"]["contact"], json!(null), "{nothing}");
    assert_eq!(nothing["data"]["node"]["state"], "ACTIVE");

    let list = vec![session("mallory", 20), session("alice", 10), session("bob", 30)];
    let looked = Looked {
        facts: Some(HostFacts {
            version: 1,
            crl_number: 1_797_408_000,
            crl_next_update: 1_800_000_000,
            ca_not_after: Some(1_900_000_000),
            ..HostFacts::default()
        }),
        renewal: Some(CrlRenewal::On),
        sessions: Some(Sessions { server: VpnServer::Running, list }),
        ..Looked::default()
    };
    seen(&server, &id, looked).await;
    let shown = operator.ask(CONTACT, json!({ "id": id })).await;
    let contact = &shown["data"]["node"]["contact"];
    assert_eq!((&contact["openVpn"], &contact["connected"]), (&json!("RUNNING"), &json!(3)), "{shown}");
    assert_eq!(contact["facts"]["crlNextUpdate"], json!(Timestamp::from_seconds(1_800_000_000).to_string()));
    assert_eq!(contact["facts"]["crlMadeAt"], json!(Timestamp::from_seconds(1_797_408_000).to_string()));
    assert_eq!(contact["facts"]["caNotAfter"], json!(Timestamp::from_seconds(1_900_000_000).to_string()));
    assert_eq!((&contact["facts"]["serverNotAfter"], &contact["crlRenewal"]), (&json!(null), &json!("ON")));
    let longest = &contact["sessions"][0];
    assert_eq!(longest["client"], json!({ "name": "alice", "status": "PENDING" }), "the longest first: {shown}");
    assert_eq!(longest["bytesReceived"], u64::MAX.to_string());
    assert_eq!(contact["sessions"][1]["client"], json!(null), "nobody of this name is known");
    assert_eq!(contact["sessions"].as_array().map(Vec::len), Some(2));
    let one = operator.ask(CONTACT, json!({ "id": id, "name": "bob" })).await;
    assert_eq!(one["data"]["node"]["contact"]["sessions"][0]["name"], "bob");
}

#[tokio::test]
async fn a_host_is_confirmed_by_the_fingerprint_of_the_key_that_it_shows() {
    let server = Server::start().await;
    let admin = server.as_(Role::Admin).await;
    let register = "mutation { registerServer(input: { name: \"new\", host: \"vpn.example.org\" }) { server { id state hostKey } } }";
    let made = admin.ask(register, json!({})).await;
    let made = &made["data"]["registerServer"]["server"];
    assert_eq!((&made["state"], &made["hostKey"]), (&json!("UNCONFIRMED"), &json!(null)), "{made}");
    let id = made["id"].as_str().expect("an id").to_owned();
    let failure = JobFailure { code: "HOST_KEY_UNKNOWN".into(), message: "has no pinned host key".into() };
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    let looked = Looked { failure: Some(failure), presented_key: Some(key.into()), ..Looked::default() };
    seen(&server, &id, looked).await;

    let contact = admin.ask(CONTACT, json!({ "id": id })).await;
    let contact = &contact["data"]["node"]["contact"];
    assert_eq!(contact["error"]["code"], "HOST_KEY_UNKNOWN");
    let fingerprint = contact["presentedHostKeyFingerprint"].clone();
    let pin = "mutation($in: PinHostKeyInput!) { pinHostKey(input: $in) { server { state hostKey } userErrors { code field } } }";
    let wrong = admin.ask(pin, json!({ "in": { "serverId": id, "fingerprint": "SHA256:x" } })).await;
    assert_eq!(wrong["data"]["pinHostKey"]["userErrors"][0], json!({ "code": "INVALID", "field": ["fingerprint"] }));
    let pinned = admin.ask(pin, json!({ "in": { "serverId": id, "fingerprint": fingerprint } })).await;
    assert_eq!(pinned["data"]["pinHostKey"]["server"], json!({ "state": "ACTIVE", "hostKey": key }));
    for (mutation, state) in [("disableServer", "DISABLED"), ("enableServer", "ACTIVE"), ("retireServer", "RETIRED")] {
        let document =
            format!("mutation($id: ID!) {{ {mutation}(input: {{ serverId: $id }}) {{ server {{ state }} }} }}");
        let done = admin.ask(&document, json!({ "id": id })).await;
        assert_eq!(done["data"][mutation]["server"]["state"], state, "{done}");
    }
}

#[tokio::test]
async fn health_warns_of_what_ends_on_a_host() {
    let server = Server::start().await;
    let viewer = server.as_(Role::Viewer).await;
    let id = server.register().await;
    let query = "{ health { status checks { name status } warnings { code serverId serverName endsAt message } } }";
    let fine = viewer.ask(query, json!({})).await;
    assert_eq!(fine["data"]["health"]["warnings"], json!([]), "{fine}");

    let facts =
        HostFacts { version: 1, crl_number: 1_700_000_000, crl_next_update: 1_702_592_000, ..HostFacts::default() };
    seen(&server, &id, Looked { facts: Some(facts), renewal: Some(CrlRenewal::Off), ..Looked::default() }).await;
    let health = viewer.ask(query, json!({})).await["data"]["health"].clone();
    let hosts = json!({ "name": "hosts", "status": "DEGRADED" });
    assert!(health["checks"].as_array().is_some_and(|checks| checks.contains(&hosts)), "{health}");
    let [ended, off] = health["warnings"].as_array().map(Vec::as_slice).expect("warnings") else {
        panic!("two warnings: {health}")
    };
    assert_eq!((&ended["code"], &ended["serverId"]), (&json!("CRL_ENDED"), &json!(id)));
    assert_eq!(ended["endsAt"], json!(Timestamp::from_seconds(1_702_592_000).to_string()));
    let name = ended["serverName"].as_str().expect("a name");
    assert!(ended["message"].as_str().is_some_and(|message| message.contains(name)), "{ended}");
    assert_eq!((&off["code"], &off["endsAt"]), (&json!("CRL_RENEWAL_OFF"), &json!(null)));
}
