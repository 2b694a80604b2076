//! Repeats are safe.

use anyhow::Result;
use futures_util::future::join_all;
use vpn_core::{
    domain::Role,
    error::RejectionCode as Code,
    service::{CreateClient, ProvisionClient, RevokeClient},
};
use vpn_tests::{TestPlatform, platform::caller, whole_on_every_database};

use super::code;

whole_on_every_database!(
    a_repeat_gives_the_first_answer,
    repeats_at_the_same_time_make_one_client,
    repeats_at_the_same_time_queue_one_job
);

fn create(test: &TestPlatform, name: &str, key: &str) -> CreateClient {
    CreateClient { name: name.to_owned(), server_id: test.server.id.to_string(), idempotency_key: Some(key.to_owned()) }
}

async fn a_repeat_gives_the_first_answer(test: TestPlatform) -> Result<()> {
    let (platform, admin) = (&test.platform, &test.admin);
    let first = platform.create_client(admin, create(&test, "alice", "k1")).await?;
    let again = platform.create_client(admin, create(&test, "alice", "k1")).await?;
    assert_eq!(again, first);
    assert_eq!(code(platform.create_client(admin, create(&test, "bob", "k1")).await), Code::IdempotencyKeyReused);
    // Another caller's key is another key.
    let other = caller("oscar", Role::Operator)?;
    assert_eq!(code(platform.create_client(&other, create(&test, "alice", "k1")).await), Code::NameTaken);

    let ask = ProvisionClient {
        client_id: first.id.to_string(),
        csr: None,
        validity_days: 30,
        address: None,
        routes: Vec::new(),
        idempotency_key: Some("k2".into()),
    };
    let job = platform.provision_client(admin, ask.clone()).await?.job;
    assert_eq!(platform.provision_client(admin, ask.clone()).await?.job.id, job.id);
    let ask = ProvisionClient { idempotency_key: Some("k1".into()), ..ask };
    assert_eq!(code(platform.provision_client(admin, ask).await), Code::IdempotencyKeyReused);
    for key in ["", " ", "ü", &"k".repeat(129)] {
        assert_eq!(code(platform.create_client(admin, create(&test, "carol", key)).await), Code::Invalid, "{key:?}");
    }
    let told = test.actions(first.id).await?;
    assert_eq!(told, ["client.created", "provision.requested"], "a repeat leaves no second entry");
    Ok(())
}

async fn repeats_at_the_same_time_make_one_client(test: TestPlatform) -> Result<()> {
    let calls = (0..8).map(|_| test.platform.create_client(&test.admin, create(&test, "alice", "once")));
    let mut ids = Vec::new();
    for answer in join_all(calls).await {
        ids.push(answer?.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    test.check().await
}

async fn repeats_at_the_same_time_queue_one_job(test: TestPlatform) -> Result<()> {
    let client = test.client().await?.id.to_string();
    let key = Some("once".to_owned());
    let ask = ProvisionClient {
        client_id: client.clone(),
        csr: None,
        validity_days: 30,
        address: None,
        routes: Vec::new(),
        idempotency_key: key,
    };
    let mut ids = Vec::new();
    for answer in join_all((0..8).map(|_| test.platform.provision_client(&test.admin, ask.clone()))).await {
        ids.push(answer?.job.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);

    let ask = RevokeClient { client_id: client, reason: "lost".into(), idempotency_key: Some("end".into()) };
    let mut ids = Vec::new();
    for answer in join_all((0..8).map(|_| test.platform.revoke_client(&test.admin, ask.clone()))).await {
        ids.push(answer?.job.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let other = RevokeClient { reason: "another".into(), ..ask };
    assert_eq!(code(test.platform.revoke_client(&test.admin, other).await), Code::IdempotencyKeyReused);
    test.check().await
}
