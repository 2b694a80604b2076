//! A person decides to keep what the database does not know.

use anyhow::Result;
use vpn_core::{
    domain::{ClientStatus, JobState},
    reconcile::Act,
};
use vpn_tests::{Database, TestPlatform, csr, hosts, level::acts};

use super::{SetBack, in_the_crl};

#[tokio::test]
async fn certificates_that_were_handed_out_can_be_kept() -> Result<()> {
    let world = SetBack::on(Database::Sqlite).await?;
    let test = &world.now;
    let waiting = test.provision(world.cleo.id).await?.job;
    let shown = test.plan(true).await?;
    let wanted = [
        ("bea".to_owned(), Act::Revoke),
        ("cleo".to_owned(), Act::Activate),
        ("dora".to_owned(), Act::RecordAndActivate),
        ("eve".to_owned(), Act::RaiseFence),
    ];
    assert_eq!(acts(&shown), wanted);
    assert_eq!(test.apply(shown).await?, Vec::<String>::new());
    assert_eq!(acts(&test.plan(true).await?), []);
    for client in [&world.cleo, &world.dora] {
        let (was, is) = (world.before.reload(client.id).await?, test.reload(client.id).await?);
        assert_eq!(is.status(), ClientStatus::Active);
        assert_eq!(is.certificate(), was.certificate(), "the one that the host made");
        assert!(!in_the_crl(&world.host, client).await?);
    }
    assert_eq!(test.finished(waiting.id).await?.state, JobState::Canceled, "there is nothing left for it to do");

    let worker = test.worker()?;
    for client in [&world.cleo, &world.dora] {
        let job = test.revoke(client.id).await?.job;
        test.succeeded(job.id).await?;
        assert!(in_the_crl(&world.host, client).await?);
    }
    worker.drain().await?;
    test.check().await
}

/// The profile was acknowledged, and its owner has the key: the client is recorded, and active.
#[tokio::test]
async fn a_signed_certificate_is_kept_as_an_active_client() -> Result<()> {
    let host = hosts::private().await?;
    let vpn = host.host()?;
    let before = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("backup.jsonl");
    vpn_core::backup::write_file(&before.db.store, &file).await?;
    let worker = before.worker()?;
    let client = before.called("gil").await?;
    let input = vpn_core::service::ProvisionClient {
        client_id: client.id.to_string(),
        csr: Some(csr::make().await?.request),
        validity_days: 30,
        address: None,
        routes: Vec::new(),
        idempotency_key: None,
    };
    let job = before.platform.provision_client(&before.admin, input).await?.job;
    before.succeeded(job.id).await?;
    worker.drain().await?;

    let test = before.restored(&file, Database::Sqlite).await?;
    let shown = test.plan(true).await?;
    assert_eq!(acts(&shown), [("gil".to_owned(), Act::RecordAndActivate)]);
    assert_eq!(test.apply(shown).await?, Vec::<String>::new());
    assert_eq!(acts(&test.plan(true).await?), []);
    assert_eq!(test.reload(client.id).await?.status(), ClientStatus::Active);
    assert_eq!(test.reload(client.id).await?.certificate(), before.reload(client.id).await?.certificate());
    test.check().await
}
