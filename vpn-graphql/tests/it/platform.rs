//! The whole server over a database of its own. Redis is away: what is asked for is accepted.

use serde_json::json;
use vpn_core::domain::Role;

use crate::server::Server;

#[tokio::test]
async fn a_client_is_recorded_provisioned_and_revoked() {
    let server = Server::start().await;
    let operator = server.as_(Role::Operator).await;
    let server_id = server.register().await;
    let made = operator
        .ask("mutation($in: CreateClientInput!) { createClient(input: $in) { client { id name status server { name } certificate { serial } } userErrors { code } } }",
            json!({ "in": { "name": "alice", "serverId": server_id } }))
        .await;
    let client = &made["data"]["createClient"]["client"];
    assert_eq!(client["name"], "alice");
    assert_eq!(
        (&client["status"], &client["server"]["name"], &client["certificate"]),
        (&json!("PENDING"), &json!("vpn1"), &json!(null))
    );
    let id = client["id"].clone();

    let queued = operator
        .ask("mutation($id: ID!) { provisionClient(input: { clientId: $id }) { job { id kind state attempts requestedBy client { id } } client { currentJob { kind } } userErrors { code } } }",
            json!({ "id": id }))
        .await;
    let queued = &queued["data"]["provisionClient"];
    assert_eq!(
        (&queued["job"]["kind"], &queued["job"]["state"], &queued["job"]["client"]["id"]),
        (&json!("PROVISION"), &json!("QUEUED"), &id)
    );
    assert_eq!(queued["client"]["currentJob"]["kind"], "PROVISION");

    let revoked = operator
        .ask("mutation($id: ID!) { revokeClient(input: { clientId: $id, reason: \"laptop lost\" }) { client { revokeReason revokeRequestedAt currentJob { kind } } job { kind } userErrors { code } } }",
            json!({ "id": id }))
        .await;
    let revoked = &revoked["data"]["revokeClient"];
    assert_eq!(
        (&revoked["client"]["revokeReason"], &revoked["job"]["kind"]),
        (&json!("laptop lost"), &json!("REVOKE"))
    );
    assert!(
        revoked["client"]["revokeRequestedAt"].as_str().is_some_and(|at| at.ends_with('Z') && at.len() == 27),
        "{revoked}"
    );

    let log = operator
        .ask(
            "{ auditLog(first: 3) { edges { node { action actor client { id } job { kind } outcome hash } } } }",
            json!({}),
        )
        .await;
    let edges = log["data"]["auditLog"]["edges"].as_array().expect("entries").clone();
    assert!(
        edges.iter().any(|edge| edge["node"]["action"] == "revoke.requested" && edge["node"]["client"]["id"] == id),
        "{log}"
    );
}

#[tokio::test]
async fn what_the_caller_can_put_right_is_data() {
    let server = Server::start().await;
    let operator = server.as_(Role::Operator).await;
    let server_id = server.register().await;
    let create = "mutation($in: CreateClientInput!) { createClient(input: $in) { client { id } userErrors { code field message } } }";
    for (input, code, field) in [
        (json!({ "name": "-", "serverId": server_id }), "INVALID", json!(["name"])),
        (json!({ "name": "bob", "serverId": "nonsense" }), "NOT_FOUND", json!(["serverId"])),
        (
            json!({ "name": "bob", "serverId": "srv_00000000000000000000000000000000" }),
            "NOT_FOUND",
            json!(["serverId"]),
        ),
    ] {
        let answer = operator.ask(create, json!({ "in": input })).await;
        let payload = &answer["data"]["createClient"];
        assert_eq!(
            (&payload["client"], &payload["userErrors"][0]["code"], &payload["userErrors"][0]["field"]),
            (&json!(null), &json!(code), &field)
        );
    }
    let input = json!({ "in": { "name": "bob", "serverId": server_id, "idempotencyKey": "k1" } });
    let first = operator.ask(create, input.clone()).await;
    assert_eq!(first, operator.ask(create, input).await, "a repeat gives the first answer again");
    let taken = operator.ask(create, json!({ "in": { "name": "bob", "serverId": server_id } })).await;
    assert_eq!(taken["data"]["createClient"]["userErrors"][0]["code"], "NAME_TAKEN");
}

#[tokio::test]
async fn permissions_are_kept_and_a_refusal_nulls_no_more_than_it_must() {
    let server = Server::start().await;
    let viewer = server.as_(Role::Viewer).await;
    let answer = viewer
        .ask("{ viewer { principal role permissions tokenExpiresAt } node(id: \"aud_1\") { id } }", json!({}))
        .await;
    assert_eq!(answer["data"]["viewer"]["role"], "VIEWER");
    assert_eq!(answer["data"]["viewer"]["permissions"], json!(["client.read", "health.read", "token.own"]));
    assert_eq!(answer["data"]["node"], json!(null));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN");
    assert_eq!(answer["errors"][0]["path"], json!(["node"]));
    for query in [
        "{ auditLog { edges { cursor } } }",
        "{ tokens(filter: { principal: \"root\" }) { edges { cursor } } }",
        "mutation { createToken(input: { principal: \"x\", role: ADMIN, validForDays: 1 }) { secret } }",
    ] {
        let answer = viewer.ask(query, json!({})).await;
        assert_eq!(
            (&answer["data"], &answer["errors"][0]["extensions"]["code"]),
            (&json!(null), &json!("FORBIDDEN")),
            "{query}"
        );
    }
}

#[tokio::test]
async fn lists_are_walked_by_their_cursors() {
    let server = Server::start().await;
    let operator = server.as_(Role::Operator).await;
    let server_id = server.register().await;
    for number in 0..5 {
        let query = "mutation($in: CreateClientInput!) { createClient(input: $in) { client { id } } }";
        operator.ask(query, json!({ "in": { "name": format!("c{number}"), "serverId": server_id } })).await;
    }
    let query = "query($after: String) { clients(first: 2, after: $after) { edges { cursor node { name server { id } currentJob { id } } } pageInfo { hasNextPage hasPreviousPage endCursor } } }";
    let (mut names, mut after) = (Vec::new(), json!(null));
    loop {
        let answer = operator.ask(query, json!({ "after": after })).await;
        let list = &answer["data"]["clients"];
        names.extend(list["edges"].as_array().expect("edges").iter().map(|edge| edge["node"]["name"].clone()));
        assert_eq!(list["pageInfo"]["hasPreviousPage"], json!(!after.is_null()));
        after = list["pageInfo"]["endCursor"].clone();
        if list["pageInfo"]["hasNextPage"] == json!(false) {
            break;
        }
    }
    assert_eq!(names, ["c4", "c3", "c2", "c1", "c0"]);
    for (query, message) in [
        ("{ clients(after: \"x\") { edges { cursor } } }", "`after`"),
        ("{ clients(first: 0) { edges { cursor } } }", "`first`"),
        ("{ clients(first: 101) { edges { cursor } } }", "`first`"),
        ("{ clients(filter: { serverId: \"x\" }) { edges { cursor } } }", "`serverId`"),
    ] {
        let answer = operator.ask(query, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{query}");
        assert!(answer["errors"][0]["message"].as_str().is_some_and(|text| text.contains(message)), "{answer}");
    }
}

#[tokio::test]
async fn anything_is_fetched_again_by_its_id() {
    let server = Server::start().await;
    let auditor = server.as_(Role::Auditor).await;
    let id = server.register().await;
    let query = "query($id: ID!) { node(id: $id) { __typename id } }";
    for (id, found) in [
        (json!(id), json!({ "__typename": "VpnServer", "id": id })),
        (json!("aud_1"), json!({ "__typename": "AuditEntry", "id": "aud_1" })),
        (json!("aud_99999"), json!(null)),
        (json!("cli_00000000000000000000000000000000"), json!(null)),
        (json!("nonsense"), json!(null)),
    ] {
        assert_eq!(auditor.ask(query, json!({ "id": id })).await["data"]["node"], found);
    }
}

#[tokio::test]
async fn a_list_is_read_in_pages_from_both_ends() {
    let server = Server::start().await;
    let operator = server.as_(Role::Operator).await;
    let server_id = server.register().await;
    for name in ["a", "b", "c", "d", "e"] {
        let create = "mutation($in: CreateClientInput!) { createClient(input: $in) { userErrors { code } } }";
        operator.ask(create, json!({ "in": { "name": name, "serverId": server_id } })).await;
    }
    let list = "query($first: Int, $after: String, $last: Int, $before: String) { servers { clients(first: $first, after: $after, last: $last, before: $before) {
        edges { node { name } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";
    let page = async |variables| {
        let answer = operator.ask(list, variables).await;
        let clients = answer["data"]["servers"][0]["clients"].clone();
        let edges = clients["edges"].as_array().unwrap_or(&Vec::new()).clone();
        let names: String = edges.iter().filter_map(|edge| edge["node"]["name"].as_str()).collect();
        (names, clients["pageInfo"].clone())
    };
    let (names, info) = page(json!({ "first": 2 })).await;
    assert_eq!((names.as_str(), &info["hasNextPage"], &info["hasPreviousPage"]), ("ed", &json!(true), &json!(false)));
    let (names, info) = page(json!({ "first": 2, "after": info["endCursor"] })).await;
    assert_eq!((names.as_str(), &info["hasNextPage"], &info["hasPreviousPage"]), ("cb", &json!(true), &json!(true)));
    let (names, info) = page(json!({ "last": 9, "before": info["startCursor"] })).await;
    assert_eq!((names.as_str(), &info["hasNextPage"], &info["hasPreviousPage"]), ("ed", &json!(true), &json!(false)));
    let (names, info) = page(json!({ "last": 2 })).await;
    assert_eq!((names.as_str(), &info["hasNextPage"], &info["hasPreviousPage"]), ("ba", &json!(false), &json!(true)));
    for odd in [json!({ "first": 1, "last": 1 }), json!({ "last": 0 }), json!({ "before": "x" })] {
        assert_eq!(operator.ask(list, odd).await["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    }
}

#[tokio::test]
async fn lists_can_be_narrowed_by_time() {
    let server = Server::start().await;
    let auditor = server.as_(Role::Auditor).await;
    server.register().await;
    let list = "query($filter: AuditFilter) { auditLog(filter: $filter) { edges { node { at } } } }";
    let count = async |range| {
        let answer = auditor.ask(list, json!({ "filter": range })).await;
        answer["data"]["auditLog"]["edges"].as_array().map(Vec::len)
    };
    let all = count(json!({})).await;
    assert_eq!(count(json!({ "since": "2020-01-01T00:00:00Z", "until": "2100-01-01T01:00:00.5+01:00" })).await, all);
    assert_eq!(count(json!({ "until": "2020-01-01T00:00:00Z" })).await, Some(0));
    for odd in [json!({ "since": "yesterday" }), json!({ "since": 7 }), json!({ "since": "2020-01-01" })] {
        let answer = auditor.ask(list, json!({ "filter": odd })).await;
        assert!(answer["errors"][0]["message"].as_str().is_some(), "{answer}");
    }
}

#[tokio::test]
async fn graphiqls_introspection_passes_every_limit() {
    let server = Server::start().await;
    let answer = server.as_(Role::Viewer).await.ask(include_str!("introspection.graphql"), json!({})).await;
    assert_eq!(answer.get("errors"), None, "{answer}");
    assert!(answer["data"]["__schema"]["types"].as_array().is_some_and(|types| types.len() > 40));
}

#[tokio::test]
async fn what_costs_too_much_is_refused() {
    let server = Server::start().await;
    let viewer = server.as_(Role::Viewer).await;
    let dear = "{ clients(first: 100) { edges { node { jobs(first: 100) { edges { node { id } } } } } } }";
    let answer = viewer.ask(dear, json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED", "{answer}");
    let fair =
        "{ clients(first: 100) { edges { node { id name status server { id name } currentJob { id state step } } } } }";
    assert_eq!(viewer.ask(fair, json!({})).await.get("errors"), None);
}

#[tokio::test]
async fn a_token_can_be_made_used_and_ended() {
    let server = Server::start().await;
    let admin = server.as_(Role::Admin).await;
    let made = admin
        .ask("mutation { createToken(input: { principal: \"robot\", role: VIEWER, validForDays: 7 }) { token { id principal role } secret userErrors { code } } }", json!({}))
        .await;
    let made = &made["data"]["createToken"];
    let robot = server.with_token(made["secret"].as_str().expect("a secret"));
    assert_eq!(robot.ask("{ viewer { principal } }", json!({})).await["data"]["viewer"]["principal"], "robot");
    let ended = admin
        .ask(
            "mutation($id: ID!) { revokeToken(input: { tokenId: $id }) { token { revokedAt } userErrors { code } } }",
            json!({ "id": made["token"]["id"] }),
        )
        .await;
    assert!(ended["data"]["revokeToken"]["token"]["revokedAt"].is_string());
    assert_eq!(
        robot.ask("{ viewer { principal } }", json!({})).await["errors"][0]["extensions"]["code"],
        "UNAUTHENTICATED"
    );
}

#[tokio::test]
async fn the_pages_examples_fit_the_schema() {
    let server = Server::start().await;
    let admin = server.as_(Role::Admin).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/graphiql/src/examples");
    let variables = std::fs::read_to_string(format!("{folder}/variables.json")).expect("variables");
    let variables: serde_json::Value = serde_json::from_str(&variables).expect("JSON");
    for (file, name) in [
        ("overview", "Overview"),
        ("audit-log", "AuditLog"),
        ("create-client", "CreateClient"),
        ("provision-client", "ProvisionClient"),
        ("deliver-profile", "DeliverProfile"),
        ("revoke-client", "RevokeClient"),
    ] {
        let query = std::fs::read_to_string(format!("{folder}/{file}.graphql")).expect("an example");
        let answer = admin.ask(&query, variables.get(name).cloned().unwrap_or(json!({}))).await;
        assert_eq!(answer.get("errors"), None, "{file}: {answer}");
    }
    let watch = std::fs::read_to_string(format!("{folder}/watch-client.graphql")).expect("an example");
    let mut events = admin.follow(&watch, variables["WatchClient"].clone()).await;
    assert_eq!(events.error().await, "BAD_USER_INPUT", "only the id is not one yet");
}

#[tokio::test]
async fn a_client_is_followed_live_and_nothing_is_missed() {
    let server = Server::start().await;
    let operator = server.as_(Role::Operator).await;
    let server_id = server.register().await;
    let made = operator
        .ask(
            "mutation($in: CreateClientInput!) { createClient(input: $in) { client { id } } }",
            json!({ "in": { "name": "eve", "serverId": server_id } }),
        )
        .await;
    let id = made["data"]["createClient"]["client"]["id"].as_str().expect("an id").to_owned();
    let watch = "subscription($id: ID!, $after: String) { clientStatus(id: $id, after: $after) { cursor at status clientId job { id kind state step attempts lastError { code } } } }";

    let mut events = operator.follow(watch, json!({ "id": id })).await;
    let first = events.next().await["clientStatus"].clone();
    assert_eq!((&first["status"], &first["job"]), (&json!("PENDING"), &json!(null)));
    operator
        .ask("mutation($id: ID!) { provisionClient(input: { clientId: $id }) { job { id } } }", json!({ "id": id }))
        .await;
    let second = events.next().await["clientStatus"].clone();
    assert_eq!((&second["job"]["kind"], &second["job"]["state"]), (&json!("PROVISION"), &json!("QUEUED")));
    drop(events);

    let mut again = operator.follow(watch, json!({ "id": id, "after": first["cursor"] })).await;
    assert_eq!(again.next().await["clientStatus"], second, "what was missed comes first");

    let mut unknown = operator.follow(watch, json!({ "id": "cli_00000000000000000000000000000000" })).await;
    assert_eq!(unknown.error().await, "NOT_FOUND");
}

#[tokio::test]
async fn an_auditor_gets_the_proofs_that_the_documentation_tells_of() {
    let server = Server::start().await;
    for _ in 0..5 {
        server.register().await;
    }
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../vpn-core/src/audit/README.md"))
        .expect("the page");
    let (_, query) = page.split_once("```graphql\n").expect("the query begins");
    let (query, _) = query.split_once("```").expect("the query ends");
    let auditor = server.as_(Role::Auditor).await;
    let told = auditor.ask(query, json!({ "id": "aud_3", "seq": "3", "size": "5", "old": "4" })).await;
    assert_eq!(told["data"]["node"]["seq"], "3");
    let hashes = |name: &str| told["data"]["auditTree"][name].as_array().map(Vec::len);
    assert_eq!((hashes("inclusionProof"), hashes("consistencyProof")), (Some(3), Some(1)), "{told}");
    let refused = auditor.ask(query, json!({ "id": "aud_3", "seq": "3", "size": "500", "old": "4" })).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{refused}");
    let viewer = server.as_(Role::Viewer).await;
    let refused = viewer.ask("{ auditTree { rootHash } }", json!({})).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN", "{refused}");
}

#[tokio::test]
async fn the_log_is_filtered_by_time() {
    let server = Server::start().await;
    server.register().await;
    let auditor = server.as_(Role::Auditor).await;
    let query = "query($filter: AuditFilter!) { auditLog(filter: $filter) { edges { node { at } } } }";
    let count = async |filter: serde_json::Value| {
        let told = auditor.ask(query, json!({ "filter": filter })).await;
        told["data"]["auditLog"]["edges"].as_array().map(Vec::len)
    };
    assert_eq!(count(json!({ "since": "2020-01-01T00:00:00+02:00" })).await, Some(3));
    assert_eq!(count(json!({ "until": "2020-01-01T00:00:00Z" })).await, Some(0));
    let refused = auditor.ask(query, json!({ "filter": { "since": "yesterday" } })).await;
    assert!(refused["errors"][0]["message"].as_str().is_some_and(|said| said.contains("RFC 3339")), "{refused}");
}

#[tokio::test]
async fn an_auditor_follows_the_log_live_and_a_viewer_does_not() {
    let server = Server::start().await;
    let auditor = server.as_(Role::Auditor).await;
    let viewer = server.as_(Role::Viewer).await;
    let query = "subscription($after: String) { auditEntries(after: $after) { cursor at entry { seq action } } }";
    let log = auditor.ask("{ auditLog(first: 1) { edges { node { seq } } } }", json!({})).await;
    let head: i64 =
        log["data"]["auditLog"]["edges"][0]["node"]["seq"].as_str().expect("a number").parse().expect("one");
    let beginning = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, "evt_0");
    let mut events = auditor.follow(query, json!({ "after": beginning })).await;
    for seq in 1..=head {
        assert_eq!(events.next().await["auditEntries"]["entry"]["seq"], seq.to_string());
    }
    server.register().await;
    let live = events.next().await["auditEntries"].clone();
    assert_eq!(live["entry"], json!({ "seq": (head + 1).to_string(), "action": "server.registered" }));
    assert_eq!(viewer.follow(query, json!({})).await.error().await, "FORBIDDEN");
}
