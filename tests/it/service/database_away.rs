//! A database that is away: a clear error, and nothing half done.

use anyhow::Result;
use secrecy::SecretString;
use vpn_core::{
    clock::Ambient,
    domain::{RequestId, Role},
    error::Error,
    sandbox::{Janitor, Options, Sandbox},
    service::{CreateClient, HealthStatus, Platform},
    store::{ClientFilter, PageRequest, Store, StoreOptions},
};
use vpn_tests::{
    databases::Postgres,
    platform::{caller, vault},
};

#[tokio::test]
async fn requests_say_so_and_go_through_once_it_is_back() -> Result<()> {
    let janitor = Janitor::start()?;
    let postgres = Postgres::start(&janitor).await?;
    let sandbox = Sandbox::start(Options::redis()).await?;
    let mut options = StoreOptions::new(postgres.fresh_database().await?);
    options.acquire_timeout = std::time::Duration::from_secs(1);
    let store = Store::connect_lazy(&options)?;
    store.migrate(vpn_core::store::Opened::Production).await?;
    let vault = vault()?;
    let url = SecretString::from(sandbox.redis()?.url());
    let platform = Platform::connect(store.clone(), &url, vault, Ambient::system(), 3)?;
    let admin = caller("ada", Role::Admin)?;

    postgres.stop().await;
    let input = CreateClient {
        name: "alice".into(),
        server_id: vpn_core::domain::ServerId::generate(platform.ambient()).to_string(),
        idempotency_key: None,
    };
    let answers = [
        platform.create_client(&admin, input).await.map(drop),
        platform.clients(&admin, &ClientFilter::default(), &PageRequest::first(1)).await.map(drop),
        platform.authenticate(Some("vpn_pat_x"), None, RequestId::generate(platform.ambient())).await.map(drop),
    ];
    for answer in answers {
        let error: Error = answer.expect_err("the database is away");
        assert_eq!(error.code(), "SERVICE_UNAVAILABLE", "{error}");
        assert!(error.is_retryable());
        assert!(error.public_message().contains("nothing was changed"));
    }
    assert_eq!(platform.readiness().await.status, HealthStatus::Down);
    postgres.restart().await?;
    vpn_tests::eventually("it is back", async || Ok(store.ping().await.is_ok())).await?;
    assert_eq!(platform.clients(&admin, &ClientFilter::default(), &PageRequest::first(1)).await?.items, []);
    sandbox.stop().await?;
    janitor.stop().await?;
    Ok(())
}
