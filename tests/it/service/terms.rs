//! On which terms a client is let in: bounded by the policy, checked, and the same for life.

use anyhow::{Result, ensure};
use vpn_core::{
    domain::{Client, ClientStatus, JobState},
    error::RejectionCode as Code,
    service::{Policy, ProvisionClient, RetryJob},
};
use vpn_tests::{Database, TestPlatform, hosts};

use super::rejection;

fn ask(client: &Client, days: i32) -> ProvisionClient {
    ProvisionClient {
        client_id: client.id.to_string(),
        csr: None,
        validity_days: days,
        address: None,
        routes: Vec::new(),
        idempotency_key: None,
    }
}

fn strict(test: &TestPlatform, max_validity_days: u16) -> vpn_core::service::Platform {
    test.platform.clone().with_policy(Policy { max_validity_days, ..Policy::default() })
}

#[tokio::test]
async fn no_certificate_is_valid_for_longer_than_the_policy_allows() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let client = test.client().await?;
    let no = rejection(strict(&test, 90).provision_client(&test.admin, ask(&client, 91)).await);
    assert_eq!((no.code, no.field), (Code::Invalid, Some("validityDays")));
    ensure!(no.message.contains("1 to 90 days") && no.message.contains("max_validity_days"), "{}", no.message);
    strict(&test, 90).provision_client(&test.admin, ask(&client, 90)).await?;
    Ok(())
}

#[tokio::test]
async fn a_job_is_not_tried_again_past_a_policy_that_became_stricter() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let client = test.client().await?;
    for _ in 0..vpn_tests::platform::MAX_ATTEMPTS {
        test.faults.plan("issue", vpn_core::host::Fault::Unreachable);
    }
    let job = test.platform.provision_client(&test.admin, ask(&client, 365)).await?.job;
    assert_eq!(test.finished(job.id).await?.state, JobState::Failed);
    let retry = RetryJob { job_id: job.id.to_string(), idempotency_key: None };
    let no = rejection(strict(&test, 90).retry_job(&test.admin, retry).await);
    ensure!(no.code == Code::WrongState && no.message.contains("provision the client anew"), "{}", no.message);
    let job = strict(&test, 90).provision_client(&test.admin, ask(&client, 90)).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await
}

/// Whatever the host says that it did.
#[tokio::test]
async fn a_certificate_of_another_validity_makes_nobody_active() -> Result<()> {
    let host = hosts::private().await?;
    let vpn = host.host()?;
    let issue = vpn.scripts.join("lib/issue.sh");
    let script = std::fs::read_to_string(&issue)?;
    let shorter = script.replace("-days \"$days\"", "-days 1");
    ensure!(shorter != script);
    std::fs::write(&issue, shorter)?;
    let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let worker = test.worker()?;
    let client = test.client().await?;
    let job = test.platform.provision_client(&test.admin, ask(&client, 30)).await?.job;
    let failure = test.finished(job.id).await?.failure.expect("refused");
    assert_eq!(failure.code, "CERTIFICATE_MISMATCH");
    ensure!(failure.message.contains("valid for 1 days, asked for were 30"), "{}", failure.message);
    assert_eq!(test.reload(client.id).await?.status(), ClientStatus::Pending);
    worker.drain().await
}

/// The host has issued, and the platform gave the job up before it knew: whoever then asks for something
/// else is told, and gets no certificate that is valid for another time than they asked for.
#[tokio::test]
async fn another_validity_than_the_one_that_was_issued_is_refused() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let client = test.client().await?;
    for _ in 0..vpn_tests::platform::MAX_ATTEMPTS {
        test.faults.plan("issue", vpn_core::host::Fault::ReplyLost);
    }
    let job = test.platform.provision_client(&test.admin, ask(&client, 30)).await?.job;
    assert_eq!(test.finished(job.id).await?.state, JobState::Failed);
    let job = test.platform.provision_client(&test.admin, ask(&client, 60)).await?.job;
    let failure = test.finished(job.id).await?.failure.expect("refused");
    assert_eq!(failure.code, "HOST_CONFLICT");
    ensure!(failure.message.contains("first asked for with other days"), "{}", failure.message);
    let job = test.platform.provision_client(&test.admin, ask(&client, 30)).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    test.check().await
}

#[tokio::test]
async fn an_address_and_routes_reach_the_host_and_are_one_clients() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let (client, other) = (test.client().await?, test.client().await?);
    let with = |client: &Client, address: &str| ProvisionClient {
        address: Some(address.to_owned()),
        routes: vec!["10.20.0.0/16".to_owned(), "192.0.2.0/24".to_owned()],
        ..ask(client, 30)
    };
    let host = vpn_tests::hosts::shared().await?;
    let address = free_address(&host.state)?;
    let job = test.platform.provision_client(&test.admin, with(&client, &address)).await?.job;
    test.succeeded(job.id).await?;
    let read = std::fs::read_to_string(host.state.join("pub/ccd").join(client.name.as_str()))?;
    ensure!(
        read.contains(&format!("ifconfig-push {address} ")) && read.contains("route 10.20.0.0 255.255.0.0"),
        "{read}"
    );
    let job = test.platform.provision_client(&test.admin, with(&other, &address)).await?.job;
    let failure = test.finished(job.id).await?.failure.expect("taken");
    ensure!(failure.message.contains("choose another"), "{}", failure.message);
    let job = test.platform.provision_client(&test.admin, with(&other, "198.51.100.1")).await?.job;
    let failure = test.finished(job.id).await?.failure.expect("not the host's");
    ensure!(failure.message.contains("choose one from"), "{}", failure.message);
    let job = test.revoke(client.id).await?.job;
    test.succeeded(job.id).await?;
    let job = test.platform.provision_client(&test.admin, with(&other, &address)).await?.job;
    test.succeeded(job.id).await?;
    let job = test.revoke(other.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    test.check().await
}

/// One of those that the shared host has to give, and that no test has taken.
fn free_address(state: &std::path::Path) -> Result<String> {
    let configuration = std::fs::read_to_string(state.join("etc/host.conf"))?;
    let network = configuration.lines().find_map(|line| line.strip_prefix("network=")).expect("a network");
    let (network, _) = network.split_once('/').expect("a network");
    let network = network.strip_suffix(".0").expect("a /24");
    let mut free = (250..255).map(|last| format!("{network}.{last}"));
    Ok(free.find(|address| !state.join("addresses").join(address).exists()).expect("a free address"))
}

#[tokio::test]
async fn addresses_and_routes_that_are_none_are_rejected() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let client = test.client().await?;
    for bad in ["", "x", "10.88.0", "10.88.0.256", "::1", "10.88.0.5/24", " 10.88.0.5"] {
        let input = ProvisionClient { address: Some(bad.to_owned()), ..ask(&client, 30) };
        assert_eq!(rejection(test.platform.provision_client(&test.admin, input).await).field, Some("address"));
    }
    let many: Vec<String> = (0..17).map(|n| format!("10.{n}.0.0/16")).collect();
    let twice = vec!["10.0.0.0/8".to_owned(); 2];
    for bad in [vec!["10.0.0.1/8".to_owned()], vec!["0.0.0.0/0".to_owned()], many, twice] {
        let input = ProvisionClient { routes: bad, ..ask(&client, 30) };
        assert_eq!(rejection(test.platform.provision_client(&test.admin, input).await).field, Some("routes"));
    }
    Ok(())
}
