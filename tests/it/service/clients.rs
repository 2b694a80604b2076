//! What bad input gets: a clear rejection, and nothing stored.

use anyhow::Result;
use vpn_core::{
    domain::{ClientId, JobId, ServerId},
    error::RejectionCode as Code,
    service::{CreateClient, ProvisionClient, RegisterServer, RetryJob, RevokeClient},
    store::{AuditFilter, ClientFilter, PageRequest},
};
use vpn_tests::{Database, TestPlatform, whole_on_every_database};

use super::{code, rejection};

whole_on_every_database!(
    a_name_is_taken_until_its_client_is_revoked,
    a_bad_name_is_rejected_and_nothing_is_stored,
    what_nobody_can_be_called_is_looked_for_in_vain
);

fn create(test: &TestPlatform, name: &str) -> CreateClient {
    CreateClient { name: name.to_owned(), server_id: test.server.id.to_string(), idempotency_key: None }
}

async fn a_bad_name_is_rejected_and_nothing_is_stored(test: TestPlatform) -> Result<()> {
    let before = test.db.store.read().await?.audit_head().await?;
    let long = "x".repeat(65);
    for name in [
        "", "-a", "_a", "a b", "a/../b", "a:b", "a\n", "a\0b", "ünï", "$(id)", &long, "DEFAULT", "Default", "server",
        "SERVER", "UNDEF", "undef",
    ] {
        let no = rejection(test.platform.create_client(&test.admin, create(&test, name)).await);
        assert_eq!((no.code, no.field), (Code::Invalid, Some("name")), "{name:?}");
        assert!(!no.message.is_empty());
    }
    assert_eq!(test.db.store.read().await?.audit_head().await?, before, "not even an entry");
    Ok(())
}

async fn a_name_is_taken_until_its_client_is_revoked(test: TestPlatform) -> Result<()> {
    let worker = test.worker()?;
    let client = test.client().await?;
    let no = rejection(test.platform.create_client(&test.admin, create(&test, client.name.as_str())).await);
    assert_eq!((no.code, no.field), (Code::NameTaken, Some("name")));
    let job = test.revoke(client.id).await?.job;
    test.succeeded(job.id).await?;
    let next = test.platform.create_client(&test.admin, create(&test, client.name.as_str())).await?;
    assert_ne!(next.serial, client.serial);
    worker.drain().await
}

async fn what_nobody_can_be_called_is_looked_for_in_vain(test: TestPlatform) -> Result<()> {
    test.client().await?;
    for text in ["", "\0", "é", "a b", "%", &"x".repeat(200_000)] {
        let filter = ClientFilter { name: Some(text.to_owned()), ..ClientFilter::default() };
        assert_eq!(test.platform.clients(&test.admin, &filter, &PageRequest::first(1)).await?.items, []);
        for (actor, action) in [(Some(text), None), (None, Some(text))] {
            let (actor, action) = (actor.map(str::to_owned), action.map(str::to_owned));
            let filter = AuditFilter { actor, action, ..AuditFilter::default() };
            assert!(test.platform.audit_log(&test.admin, &filter, &PageRequest::first(1)).await?.items.is_empty());
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_is_not_found() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let ambient = vpn_core::clock::Ambient::system();
    let nobody = ClientId::generate(&ambient).to_string();
    let nowhere = ServerId::generate(&ambient).to_string();
    for id in [nobody.as_str(), "cli_1", "", "srv_01234567890123456789012345678901"] {
        let client_id = id.to_owned();
        let ask = ProvisionClient {
            client_id: client_id.clone(),
            csr: None,
            validity_days: 1,
            address: None,
            routes: Vec::new(),
            idempotency_key: None,
        };
        assert_eq!(code(test.platform.provision_client(&test.admin, ask).await), Code::NotFound);
        let ask = RevokeClient { client_id, reason: "x".into(), idempotency_key: None };
        assert_eq!(code(test.platform.revoke_client(&test.admin, ask).await), Code::NotFound);
        assert_eq!(code(test.platform.deliver_profile(&test.admin, id).await), Code::NotFound);
    }
    let ask = RetryJob { job_id: JobId::generate(&ambient).to_string(), idempotency_key: None };
    assert_eq!(code(test.platform.retry_job(&test.admin, ask).await), Code::NotFound);
    for id in [nowhere.as_str(), "somewhere"] {
        let ask = CreateClient { name: "alice".into(), server_id: id.to_owned(), idempotency_key: None };
        let no = rejection(test.platform.create_client(&test.admin, ask).await);
        assert_eq!((no.code, no.field), (Code::NotFound, Some("serverId")));
    }
    Ok(())
}

#[tokio::test]
async fn what_is_asked_of_the_wrong_state_is_rejected() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let client = test.client().await?;
    assert_eq!(code(test.platform.deliver_profile(&test.admin, &client.id.to_string()).await), Code::WrongState);
    test.provision(client.id).await?;
    let no = rejection(test.provision(client.id).await);
    assert_eq!(no.code, Code::WrongState);
    assert!(no.message.contains("follow that one"), "{}", no.message);
    test.revoke(client.id).await?;
    let no = rejection(test.provision(client.id).await);
    assert!(no.message.contains("create a new client"), "{}", no.message);
    Ok(())
}

#[tokio::test]
async fn the_details_of_a_request_are_checked() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let client = test.client().await?.id.to_string();
    for days in [i32::MIN, -1, 0, 3651, i32::MAX] {
        let ask = ProvisionClient {
            client_id: client.clone(),
            csr: None,
            validity_days: days,
            address: None,
            routes: Vec::new(),
            idempotency_key: None,
        };
        assert_eq!(rejection(test.platform.provision_client(&test.admin, ask).await).field, Some("validityDays"));
    }
    for csr in ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"] {
        let csr = Some(csr.to_owned());
        let ask = ProvisionClient {
            client_id: client.clone(),
            csr,
            validity_days: 1,
            address: None,
            routes: Vec::new(),
            idempotency_key: None,
        };
        assert_eq!(rejection(test.platform.provision_client(&test.admin, ask).await).field, Some("csr"));
    }
    for reason in ["", "  ", "a\nb", &"x".repeat(501)] {
        let ask = RevokeClient { client_id: client.clone(), reason: reason.to_owned(), idempotency_key: None };
        assert_eq!(rejection(test.platform.revoke_client(&test.admin, ask).await).field, Some("reason"));
    }
    Ok(())
}

#[tokio::test]
async fn the_parts_of_a_server_are_checked_one_by_one() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let good = RegisterServer {
        name: "vpn2".into(),
        host: "vpn2.example.org".into(),
        port: 22,
        user: "vpn-host".into(),
        host_key: test.server.host_key.clone(),
        idempotency_key: None,
    };
    let bad = [
        (RegisterServer { name: "v p n".into(), ..good.clone() }, "name"),
        (RegisterServer { host: "-oProxyCommand=x".into(), ..good.clone() }, "host"),
        (RegisterServer { port: 0, ..good.clone() }, "port"),
        (RegisterServer { port: 65_536, ..good.clone() }, "port"),
        (RegisterServer { user: "Root".into(), ..good.clone() }, "user"),
        (RegisterServer { host_key: Some("ssh-rsa AAAA".into()), ..good.clone() }, "hostKey"),
    ];
    for (input, field) in bad {
        let no = rejection(test.platform.register_server(&test.admin, input).await);
        assert_eq!((no.code, no.field), (Code::Invalid, Some(field)));
    }
    test.platform.register_server(&test.admin, good.clone()).await?;
    assert_eq!(code(test.platform.register_server(&test.admin, good).await), Code::NameTaken);
    Ok(())
}
