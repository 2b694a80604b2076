//! Letting clients in.

use anyhow::Result;
use secrecy::ExposeSecret as _;
use vpn_core::{
    domain::{ClientStatus, JobState},
    error::{Error, RejectionCode},
    host::Fault,
    service::ProvisionClient,
};
use vpn_tests::{Database, TestPlatform, csr, whole_on_every_database};

whole_on_every_database!(a_client_is_let_in_and_its_profile_is_delivered_once, a_lost_reply_leads_to_one_certificate);

async fn a_client_is_let_in_and_its_profile_is_delivered_once(test: TestPlatform) -> Result<()> {
    let worker = test.worker()?;
    let client = test.client().await?;
    let asked = test.provision(client.id).await?;
    assert_eq!(asked.job.state, JobState::Queued);
    let job = test.succeeded(asked.job.id).await?;
    assert_eq!((job.attempts, job.failure), (1, None));

    let client = test.reload(client.id).await?;
    assert_eq!(client.status(), ClientStatus::Active);
    let certificate = client.certificate().expect("an active client has a certificate");
    assert_eq!((certificate.not_after.micros() - certificate.not_before.micros()) / 86_400_000_000, 30);

    let delivered = test.platform.deliver_profile(&test.admin, &client.id.to_string()).await?;
    assert!(delivered.has_key);
    assert!(delivered.profile.expose_secret().contains("-----BEGIN PRIVATE KEY-----"));
    let again = test.platform.deliver_profile(&test.admin, &client.id.to_string()).await;
    assert!(matches!(again, Err(Error::Rejected(no)) if no.code == RejectionCode::ProfileGone));

    let told = test.actions(client.id).await?;
    let wanted = [
        "client.created",
        "provision.requested",
        "provision.started",
        "provision.sealed",
        "provision.succeeded",
        "profile.delivered",
    ];
    assert_eq!(told, wanted);
    worker.drain().await?;
    test.check().await
}

async fn a_lost_reply_leads_to_one_certificate(test: TestPlatform) -> Result<()> {
    test.faults.plan("issue", Fault::ReplyLost);
    test.faults.plan("ack", Fault::ReplyLost);
    let worker = test.worker()?;
    let client = test.client().await?;
    let job = test.provision(client.id).await?.job;
    let job = test.succeeded(job.id).await?;
    assert_eq!(job.attempts, 3);
    assert_eq!(test.faults.calls(), ["issue", "issue", "ack", "issue", "ack"]);
    // The host had forgotten the key by the third attempt: what was sealed by the second is whole.
    let delivered = test.platform.deliver_profile(&test.admin, &client.id.to_string()).await?;
    assert!(delivered.profile.expose_secret().contains("-----BEGIN PRIVATE KEY-----"));
    worker.drain().await?;
    test.check().await
}

#[tokio::test]
async fn with_a_csr_the_key_never_leaves_its_owner() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let client = test.client().await?;
    let csr = csr::make().await?.request;
    let input = ProvisionClient {
        client_id: client.id.to_string(),
        csr: Some(csr),
        validity_days: 30,
        address: None,
        routes: Vec::new(),
        idempotency_key: None,
    };
    let job = test.platform.provision_client(&test.admin, input).await?.job;
    test.succeeded(job.id).await?;
    let delivered = test.platform.deliver_profile(&test.admin, &client.id.to_string()).await?;
    assert!(!delivered.has_key);
    assert!(!delivered.profile.expose_secret().contains("PRIVATE KEY"));
    assert!(delivered.profile.expose_secret().contains("<cert>"));
    worker.drain().await
}

#[tokio::test]
async fn many_clients_are_let_in_by_two_workers_each_once() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let workers = [test.worker()?, test.worker()?];
    let mut jobs = Vec::new();
    for _ in 0..12 {
        let client = test.client().await?;
        jobs.push((client.id, test.provision(client.id).await?.job.id));
    }
    for (client, job) in jobs {
        let job = test.succeeded(job).await?;
        assert_eq!(job.attempts, 1, "{:?}", test.failures(client).await?);
        let actions = test.actions(client).await?;
        assert_eq!(actions.iter().filter(|action| *action == "provision.started").count(), 1, "{actions:?}");
    }
    for worker in workers {
        worker.drain().await?;
    }
    test.check().await
}
