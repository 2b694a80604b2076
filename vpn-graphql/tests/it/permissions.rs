//! Who may do what: every field of the three roots, asked over the API with every role and every scope.

use std::fmt::Write as _;

use serde_json::{Value, json};
use vpn_core::domain::{PERMISSIONS, Permission, Role, Scope, Scopes};

use crate::server::{Person, Server};

const GUIDE: &str = include_str!("../../README.md");
const SCHEMA: &str = include_str!("../../schema.graphql");

/// What stands between these two marks.
fn section(name: &str) -> &'static str {
    let (_, rest) = GUIDE.split_once(&format!("<!-- {name}: ")).expect("the section begins");
    let (_, rest) = rest.split_once("-->\n").expect("its mark ends");
    rest.split_once(&format!("<!-- /{name} -->")).expect("the section ends").0
}

/// Each field, as `Type.field`, and the first permission that the guide says it needs.
fn rows() -> Vec<(&'static str, Option<Permission>)> {
    let row = |line: &'static str| {
        let mut words = line.split('`').skip(1).step_by(2);
        let field = words.next()?;
        let named = |name: &str| Permission::all().find(|it| it.as_str() == name).expect("a known permission");
        Some((field, words.next().map(named)))
    };
    section("fields").lines().skip(2).filter_map(row).collect()
}

/// The fields of the three roots in the committed schema.
fn fields() -> Vec<String> {
    let mut found = Vec::new();
    for root in ["Query", "Mutation", "Subscription"] {
        let (_, body) = SCHEMA.split_once(&format!("\ntype {root} {{\n")).expect("a root");
        let (body, _) = body.split_once("\n}\n").expect("its end");
        let is_name = |name: &&str| name.starts_with("  ") && name[2..].chars().all(char::is_alphanumeric);
        let names = body.lines().filter_map(|line| line.split(['(', ':']).next()).filter(is_name);
        found.extend(names.map(|name| format!("{root}.{}", name.trim())));
    }
    found
}

#[test]
fn the_guide_has_the_table_of_the_code() {
    let mut table = String::from(
        "| permission | scope | viewer | operator | auditor | admin | to |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in &PERMISSIONS {
        let marks: Vec<&str> = Role::ALL.iter().map(|role| if row.roles.contains(role) { "yes" } else { "" }).collect();
        let (name, scope, marks) = (row.name, row.scope.as_str(), marks.join(" | "));
        writeln!(table, "| `{name}` | `{scope}` | {marks} | {} |", row.what).expect("it is a string");
    }
    assert_eq!(section("permissions"), table, "README.md: put this table there:\n{table}");
}

#[test]
fn every_field_has_its_row() {
    let (rows, fields) = (rows(), fields());
    assert!(fields.len() > 20, "{fields:?}");
    let named: Vec<&str> = rows.iter().map(|(field, _)| *field).collect();
    for field in &fields {
        assert!(named.contains(&field.as_str()), "{field} has no row in the guide's table of fields");
    }
    for field in named {
        assert!(fields.iter().any(|known| known == field), "{field} is not in the schema");
    }
}

/// How the field is asked for. What comes of it does not matter, only whether it was forbidden.
fn document(field: &str, client: &str) -> String {
    match field {
        "Query.viewer" => "{ viewer { principal } }".into(),
        "Query.node" => "{ node(id: \"x\") { id } }".into(),
        "Query.client" => format!("{{ client(id: \"{client}\") {{ id }} }}"),
        "Query.clients" => "{ clients { edges { cursor } } }".into(),
        "Query.servers" => "{ servers { id } }".into(),
        "Query.job" => "{ job(id: \"job_00000000000000000000000000000000\") { id } }".into(),
        "Query.jobs" => "{ jobs { edges { cursor } } }".into(),
        "Query.auditLog" => "{ auditLog { edges { cursor } } }".into(),
        "Query.auditTree" => "{ auditTree { size } }".into(),
        "Query.tokens" => "{ tokens { edges { cursor } } }".into(),
        "Query.approvals" => "{ approvals { edges { cursor } } }".into(),
        "Query.health" => "{ health { status } }".into(),
        "Mutation.registerServer" => mutation("registerServer", "name: \"\", host: \"\", hostKey: \"\""),
        "Mutation.pinHostKey" => mutation("pinHostKey", "serverId: \"x\", fingerprint: \"x\""),
        "Mutation.moveServer" => mutation("moveServer", "serverId: \"x\""),
        "Mutation.confirmConfiguration" => mutation("confirmConfiguration", "serverId: \"x\", sha256: \"x\""),
        "Mutation.disableServer" => mutation("disableServer", "serverId: \"x\""),
        "Mutation.enableServer" => mutation("enableServer", "serverId: \"x\""),
        "Mutation.retireServer" => mutation("retireServer", "serverId: \"x\""),
        "Mutation.createClient" => mutation("createClient", "name: \"\", serverId: \"x\""),
        "Mutation.provisionClient" => mutation("provisionClient", "clientId: \"x\""),
        "Mutation.revokeClient" => mutation("revokeClient", "clientId: \"x\", reason: \"x\""),
        "Mutation.retryJob" => mutation("retryJob", "jobId: \"x\""),
        "Mutation.createProfileLink" => mutation("createProfileLink", "clientId: \"x\""),
        "Mutation.deliverProfile" => mutation("deliverProfile", "clientId: \"x\""),
        "Mutation.createToken" => mutation("createToken", "principal: \"\", role: VIEWER, validForDays: 1"),
        "Mutation.revokeToken" => mutation("revokeToken", "tokenId: \"x\""),
        "Mutation.approveRequest" => mutation("approveRequest", "approvalId: \"x\""),
        "Mutation.denyRequest" => mutation("denyRequest", "approvalId: \"x\", reason: \"x\""),
        "Subscription.clientStatus" => format!("subscription {{ clientStatus(id: \"{client}\") {{ cursor }} }}"),
        "Subscription.jobEvents" => live("jobEvents"),
        "Subscription.approvalEvents" => live("approvalEvents"),
        "Subscription.auditEntries" => live("auditEntries"),
        other => panic!("{other} is new: say here how it is asked for"),
    }
}

fn mutation(name: &str, input: &str) -> String {
    format!("mutation {{ {name}(input: {{ {input} }}) {{ userErrors {{ code }} }} }}")
}

/// From the beginning, so that an event comes at once.
fn live(name: &str) -> String {
    let beginning = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, "evt_0");
    format!("subscription {{ {name}(after: \"{beginning}\") {{ cursor }} }}")
}

async fn is_forbidden(person: &Person<'_>, document: &str) -> bool {
    let code = if document.starts_with("subscription") {
        let first = person.follow(document, json!({})).await.first().await;
        first["payload"][0]["extensions"]["code"].clone()
    } else {
        person.ask(document, json!({})).await["errors"][0]["extensions"]["code"].clone()
    };
    assert!(matches!(&code, Value::Null) || code == "FORBIDDEN", "{document}: {code}");
    code == "FORBIDDEN"
}

/// A client with a job, so that there is something to follow.
async fn something_to_see(server: &Server) -> String {
    let (admin, server_id) = (server.as_(Role::Admin).await, server.register().await);
    let create = "mutation($in: CreateClientInput!) { createClient(input: $in) { client { id } } }";
    let made = admin.ask(create, json!({ "in": { "name": "alice", "serverId": server_id } })).await;
    let id = made["data"]["createClient"]["client"]["id"].as_str().expect("an id").to_owned();
    admin.ask(&mutation("provisionClient", &format!("clientId: \"{id}\"")), json!({})).await;
    server.ask_for_approval(&id).await;
    id
}

#[tokio::test]
async fn every_field_is_allowed_and_denied_as_the_table_says() {
    let server = Server::start().await;
    let client = something_to_see(&server).await;
    let mut kinds: Vec<(Role, Scopes)> = Role::ALL.map(|role| (role, Scopes::ALL)).into();
    // The admin has every permission, so each scope shows what it reaches; the operator, that it gives nothing.
    for role in [Role::Admin, Role::Operator] {
        kinds.extend(Scope::ALL.map(|scope| (role, Scopes::from_iter([scope]))));
    }
    for (role, scopes) in kinds {
        let person = server.narrowed(role, scopes).await;
        for (field, permission) in rows() {
            let may = permission.is_none_or(|it| role.may(it) && scopes.contains(it.scope()));
            let forbidden = is_forbidden(&person, &document(field, &client)).await;
            assert_eq!(forbidden, !may, "{field} asked by {} with {scopes}", role.as_str());
        }
        let log = format!("{{ client(id: \"{client}\") {{ auditLog {{ edges {{ cursor }} }} }} }}");
        let may = [Permission::ReadClients, Permission::ReadAudit]
            .iter()
            .all(|it| role.may(*it) && scopes.contains(it.scope()));
        assert_eq!(is_forbidden(&person, &log).await, !may, "VpnClient.auditLog, {} with {scopes}", role.as_str());
        let may = [Permission::ReadClients, Permission::ReadDrift]
            .iter()
            .all(|it| role.may(*it) && scopes.contains(it.scope()));
        let forbidden = is_forbidden(&person, "{ servers { drift { total } } }").await;
        assert_eq!(forbidden, !may, "VpnServer.drift, {} with {scopes}", role.as_str());
    }
}

#[tokio::test]
async fn other_peoples_tokens_need_more() {
    let server = Server::start().await;
    let admin = server.as_(Role::Admin).await;
    let query = "query($of: String) { tokens(filter: { principal: $of }) { edges { node { id principal } } } }";
    for role in Role::ALL {
        let person = server.as_(role).await;
        let all = person.ask("{ tokens { edges { node { principal } } } }", json!({})).await;
        let all = all["data"]["tokens"]["edges"].as_array().expect("a list").clone();
        let sees_all = role.may(Permission::ReadTokens);
        assert_eq!(all.iter().any(|edge| edge["node"]["principal"] != role.as_str()), sees_all, "{all:?}");
        let others = person.ask(query, json!({ "of": "root" })).await;
        assert_eq!(others["errors"][0]["extensions"]["code"] == "FORBIDDEN", !sees_all, "{others}");
        // Nobody but an admin ends another's token; everybody ends their own.
        let made = admin
            .ask(
                "mutation { createToken(input: { principal: \"x\", role: VIEWER, validForDays: 1 }) { token { id } } }",
                json!({}),
            )
            .await;
        let end = |id: &Value| mutation("revokeToken", &format!("tokenId: {id}"));
        let foreign = person.ask(&end(&made["data"]["createToken"]["token"]["id"]), json!({})).await;
        let forbidden = foreign["errors"][0]["extensions"]["code"] == "FORBIDDEN";
        assert_eq!(forbidden, !role.may(Permission::ManageTokens), "{foreign}");
        let own = person.ask(query, json!({ "of": role.as_str() })).await;
        let id = own["data"]["tokens"]["edges"][0]["node"]["id"].clone();
        let ended = person.ask(&end(&id), json!({})).await;
        assert_eq!(ended["data"]["revokeToken"]["userErrors"], json!([]), "{ended}");
        assert_eq!(
            person.ask("{ viewer { role } }", json!({})).await["errors"][0]["extensions"]["code"],
            "UNAUTHENTICATED"
        );
    }
}
