//! VPN hosts as the API shows them: their state, and what was seen of them.

use std::time::Duration;

use serde_json::json;
use vpn_core::{
    clock::Timestamp,
    domain::{
        CrlRenewal, Difference, DriftReport, HostFacts, JobFailure, OpenVpnState, Role, Serial, ServerId, Session,
        Sessions, Subject,
    },
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
        sessions: Some(Sessions { server: OpenVpnState::Running, list }),
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

const DRIFT: &str = "{ servers { drift { checkedAt error { code } total configuration confirmedConfiguration \
     differences(first: 2) { kind subject serial client { name } message cure } } } }";

/// Notes a comparison, as a worker does.
async fn compared(server: &Server, id: &str, came: Result<DriftReport, JobFailure>) {
    let id: ServerId = id.parse().expect("an id");
    let mut tx = server.store().begin().await.expect("a transaction");
    let begun = tx.at();
    tx.claim_comparison(id, Duration::ZERO).await.expect("claimed");
    tx.note_comparison(id, begun, &came).await.expect("noted");
    tx.commit(server.told(), []).await.expect("committed");
}

#[tokio::test]
async fn where_a_host_and_the_platform_differ_is_shown_with_the_cure() {
    let server = Server::start().await;
    let auditor = server.as_(Role::Auditor).await;
    let admin = server.as_(Role::Admin).await;
    let id = server.register().await;
    let create = "mutation($in: CreateClientInput!) { createClient(input: $in) { client { id } } }";
    let made = admin.ask(create, json!({ "in": { "name": "alice", "serverId": id } })).await;
    let nothing = auditor.ask(DRIFT, json!({})).await;
    assert_eq!(nothing["data"]["servers"][0]["drift"], json!(null), "{nothing}");

    let client_id = made["data"]["createClient"]["client"]["id"].as_str().expect("an id").parse().ok();
    let serial: Serial = "41234567890ABCDEF01234567890ABCD".parse().expect("a serial");
    let of = Subject { serial, name: "alice".parse().ok(), client_id };
    let unknown = Difference::UnknownSession { name: "mallory".into(), address: "198.51.100.7:1".into() };
    let found = vec![Difference::SessionsUnknown, Difference::CertificateMissing { of }, unknown];
    compared(&server, &id, Ok(DriftReport::of("aa".repeat(32), found))).await;
    let shown = auditor.ask(DRIFT, json!({})).await;
    let drift = &shown["data"]["servers"][0]["drift"];
    assert_eq!((&drift["total"], &drift["error"]), (&json!(3), &json!(null)), "{shown}");
    let kinds: Vec<_> = drift["differences"].as_array().expect("a list").iter().map(|it| it["kind"].clone()).collect();
    assert_eq!(kinds, ["UNKNOWN_SESSION", "CERTIFICATE_MISSING"], "the worst first, and no more than asked for");
    let second = &drift["differences"][1];
    assert_eq!((&second["client"], &drift["differences"][0]["client"]), (&json!({ "name": "alice" }), &json!(null)));
    assert_eq!(second["serial"], "41234567890ABCDEF01234567890ABCD");
    assert!(second["cure"].as_str().is_some_and(|cure| cure.contains("revoke")), "{second}");

    let failure = JobFailure { code: "HOST_UNREACHABLE".into(), message: "away".into() };
    compared(&server, &id, Err(failure)).await;
    let shown = auditor.ask(DRIFT, json!({})).await;
    let later = &shown["data"]["servers"][0]["drift"];
    assert_eq!(later["error"]["code"], "HOST_UNREACHABLE");
    assert_eq!((&later["total"], &later["checkedAt"]), (&json!(3), &drift["checkedAt"]), "what was known is kept");
}

#[tokio::test]
async fn a_configuration_is_confirmed_as_it_was_found() {
    let server = Server::start().await;
    let admin = server.as_(Role::Admin).await;
    let id = server.register().await;
    let confirm = "mutation($in: ConfirmConfigurationInput!) { confirmConfiguration(input: $in) \
         { server { drift { confirmedConfiguration } } userErrors { code field message } } }";
    let (first, found) = ("aa".repeat(32), "bb".repeat(32));
    let asked = async |sha256: &str| {
        let answer = admin.ask(confirm, json!({ "in": { "serverId": id, "sha256": sha256 } })).await;
        answer["data"]["confirmConfiguration"].clone()
    };
    assert_eq!(asked(&first).await["userErrors"][0]["code"], "WRONG_STATE", "nobody has looked");
    for configuration in [&first, &found] {
        compared(&server, &id, Ok(DriftReport::of(configuration.clone(), Vec::new()))).await;
    }
    let wrong = asked(&first).await["userErrors"][0].clone();
    assert_eq!((&wrong["code"], &wrong["field"]), (&json!("INVALID"), &json!(["sha256"])));
    assert!(wrong["message"].as_str().is_some_and(|message| message.contains(&found)), "{wrong}");
    for _ in 0..2 {
        let done = asked(&found).await;
        assert_eq!(done["server"]["drift"]["confirmedConfiguration"], found, "{done}");
    }
}
