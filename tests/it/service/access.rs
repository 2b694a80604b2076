//! Who may: every use case, asked by every role.

use anyhow::Result;
use vpn_core::{
    domain::{Caller, Permission, Role, Scope, Scopes, TokenId},
    error::Error,
    service::{
        CreateClient, CreateProfileLink, CreateToken, MoveServer, ProvisionClient, RegisterServer, RetryJob,
        RevokeClient,
    },
    store::{AuditFilter, ClientFilter, JobFilter, PageRequest, TokenFilter},
};
use vpn_tests::{Database, TestPlatform, platform::caller};

/// Asks each use case once. What comes of it does not matter, only whether it was forbidden.
async fn ask_everything(test: &TestPlatform, caller: &Caller) -> Vec<(&'static str, Permission, Result<(), Error>)> {
    use Permission as P;
    let platform = &test.platform;
    let none = || "x".to_owned();
    let first = PageRequest::first(1);
    let server =
        RegisterServer { name: none(), host: none(), port: 1, user: none(), host_key: None, idempotency_key: None };
    let create = CreateClient { name: String::new(), server_id: none(), idempotency_key: None };
    let provision = ProvisionClient {
        client_id: none(),
        csr: None,
        validity_days: 1,
        address: None,
        routes: Vec::new(),
        idempotency_key: None,
    };
    let revoke = RevokeClient { client_id: none(), reason: none(), idempotency_key: None };
    let retry = RetryJob { job_id: none(), idempotency_key: None };
    let token = CreateToken { principal: String::new(), role: Role::Viewer, scopes: Scopes::ALL, valid_for_days: 1 };
    let some = test.client().await.expect("a client").id;
    let job = vpn_core::domain::JobId::generate(platform.ambient());
    let (others, none_of_ours) =
        (TokenFilter { principal: Some("x".into()), active: None }, TokenId::generate(platform.ambient()));
    let nested = PageRequest::first(1);
    let tokens = PageRequest::first(1);
    vec![
        ("client", P::ReadClients, platform.client(caller, some).await.map(drop)),
        (
            "clients",
            P::ReadClients,
            platform.clients(caller, &ClientFilter::default(), &PageRequest::first(1)).await.map(drop),
        ),
        ("clients_by_id", P::ReadClients, platform.clients_by_id(caller, &[some]).await.map(drop)),
        ("job", P::ReadClients, platform.job(caller, job).await.map(drop)),
        ("jobs", P::ReadClients, platform.jobs(caller, &JobFilter::default(), &PageRequest::first(1)).await.map(drop)),
        ("jobs_by_id", P::ReadClients, platform.jobs_by_id(caller, &[job]).await.map(drop)),
        ("current_jobs", P::ReadClients, platform.current_jobs(caller, &[some]).await.map(drop)),
        ("server", P::ReadClients, platform.server(caller, test.server.id).await.map(drop)),
        ("servers", P::ReadClients, platform.servers(caller).await.map(drop)),
        ("servers_by_id", P::ReadClients, platform.servers_by_id(caller, &[test.server.id]).await.map(drop)),
        ("client_events", P::ReadClients, platform.client_events(caller, some, None).await.map(drop)),
        ("job_events", P::ReadClients, platform.job_events(caller, None, None).await.map(drop)),
        ("health", P::ReadHealth, platform.health(caller).await.map(drop)),
        ("audit_log", P::ReadAudit, platform.audit_log(caller, &AuditFilter::default(), &first).await.map(drop)),
        ("audit_entry", P::ReadAudit, platform.audit_entry(caller, 1).await.map(drop)),
        ("create_client", P::CreateClient, platform.create_client(caller, create).await.map(drop)),
        ("provision_client", P::ProvisionClient, platform.provision_client(caller, provision).await.map(drop)),
        ("revoke_client", P::RevokeClient, platform.revoke_client(caller, revoke).await.map(drop)),
        ("retry_job", P::RetryJob, platform.retry_job(caller, retry).await.map(drop)),
        ("deliver_profile", P::DeliverProfile, platform.deliver_profile(caller, "x").await.map(drop)),
        (
            "create_profile_link",
            P::DeliverProfile,
            platform
                .create_profile_link(caller, CreateProfileLink { client_id: none(), valid_for_minutes: 1 })
                .await
                .map(drop),
        ),
        ("register_server", P::RegisterServer, platform.register_server(caller, server).await.map(drop)),
        ("contacts", P::ReadClients, platform.contacts(caller, &[test.server.id]).await.map(drop)),
        ("drifts", P::ReadDrift, platform.drifts(caller, &[test.server.id]).await.map(drop)),
        ("confirm_configuration", P::ManageServers, platform.confirm_configuration(caller, "x", "x").await.map(drop)),
        ("clients_by_name", P::ReadClients, platform.clients_by_name(caller, test.server.id, &[]).await.map(drop)),
        ("pin_host_key", P::ManageServers, platform.pin_host_key(caller, "x", "x").await.map(drop)),
        ("move_server", P::ManageServers, platform.move_server(caller, MoveServer::default()).await.map(drop)),
        ("disable_server", P::ManageServers, platform.disable_server(caller, "x").await.map(drop)),
        ("enable_server", P::ManageServers, platform.enable_server(caller, "x").await.map(drop)),
        ("retire_server", P::ManageServers, platform.retire_server(caller, "x").await.map(drop)),
        ("create_token", P::ManageTokens, platform.create_token(caller, token).await.map(drop)),
        ("tokens", P::OwnTokens, platform.tokens(caller, &TokenFilter::default(), &tokens).await.map(drop)),
        ("others' tokens", P::ReadTokens, platform.tokens(caller, &others, &tokens).await.map(drop)),
        ("token", P::OwnTokens, platform.token(caller, none_of_ours).await.map(drop)),
        ("revoke_token", P::OwnTokens, platform.revoke_token(caller, "x").await.map(drop)),
        (
            "others' revoke_token",
            P::ManageTokens,
            platform.revoke_token(caller, &none_of_ours.to_string()).await.map(drop),
        ),
        (
            "jobs_of_clients",
            P::ReadClients,
            platform.jobs_of_clients(caller, &[some], &PageRequest::first(1)).await.map(drop),
        ),
        (
            "clients_of_servers",
            P::ReadClients,
            platform.clients_of_servers(caller, &[test.server.id], &PageRequest::first(1)).await.map(drop),
        ),
        ("audit_of_clients", P::ReadAudit, platform.audit_of_clients(caller, &[some], &nested).await.map(drop)),
        ("audit_entries", P::ReadAudit, platform.audit_entries(caller, None).await.map(drop)),
        ("audit_tree", P::ReadAudit, platform.audit_tree(caller, None).await.map(drop)),
    ]
}

#[tokio::test]
async fn every_use_case_asks_the_table_and_every_refusal_is_audited() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let whole = Role::ALL.map(|role| (role, Scopes::ALL));
    let narrowed = Scope::ALL.map(|scope| (Role::Admin, Scopes::from_iter([scope])));
    for (at, (role, scopes)) in whole.into_iter().chain(narrowed).enumerate() {
        let who = Caller { scopes, ..caller(&format!("{at}-{}", role.as_str()), role)? };
        let answers = ask_everything(&test, &who).await;
        let mut refused = Vec::new();
        for (name, permission, answer) in answers {
            let forbidden = matches!(answer, Err(Error::Forbidden(_)));
            let may = who.may(permission);
            // Whoever wants others' tokens has to be let near tokens at all.
            let others = name.starts_with("others'") && !who.may(Permission::OwnTokens);
            let first = if others { Permission::OwnTokens } else { permission };
            assert_eq!(forbidden, !may, "{name} asked by {} with {scopes}: {answer:?}", role.as_str());
            if forbidden {
                refused.push(first.as_str().to_owned());
            }
        }
        let filter = AuditFilter {
            actor: Some(who.principal.to_string()),
            action: Some("permission.refused".into()),
            ..AuditFilter::default()
        };
        let page = test.platform.audit_log(&test.admin, &filter, &PageRequest::first(100)).await?;
        let told: Vec<String> = page
            .items
            .iter()
            .rev()
            .map(|entry| entry.detail()["permission"].as_str().expect("a text").to_owned())
            .collect();
        assert_eq!(told, refused, "{}", role.as_str());
    }
    test.check().await
}
