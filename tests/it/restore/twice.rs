//! One host is registered under two names: what is known under the one is no stranger under the other.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use vpn_core::{
    domain::{ClientStatus, DriftKind, Server},
    reconcile::Act,
    sandbox::Sandbox,
};
use vpn_tests::{
    Database, TestPlatform,
    hosts::{self, Errand},
    level::acts,
};

use super::in_the_crl;

/// A platform, its host, and that host once more.
async fn registered_twice() -> Result<(TestPlatform, Sandbox, Server)> {
    let host = hosts::private().await?;
    let vpn = host.host()?;
    let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let again = test.registered_again("vpn1b").await?;
    Ok((test, host, again))
}

async fn differences(test: &TestPlatform, server: &Server) -> Result<Vec<(DriftKind, String)>> {
    let report = test.inspect_of(server).await?.report.context("a report")?;
    Ok(report.differences.iter().map(|it| (it.kind(), it.subject())).collect())
}

#[tokio::test]
async fn clients_of_the_other_server_are_named_and_left_alone() -> Result<()> {
    let (test, host, again) = registered_twice().await?;
    let worker = test.worker()?;
    let (live, revoked) = (test.active().await?, test.active().await?);
    let job = test.revoke(revoked.id).await?.job;
    test.succeeded(job.id).await?;
    assert_eq!(differences(&test, &again).await?, [(DriftKind::SharedHost, "vpn1".to_owned())]);
    assert_eq!(differences(&test, &test.server).await?, [], "nobody was let in under the other name yet");
    let own = test.client_on(again.id).await?;
    let job = test.provision(own.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    assert_eq!(differences(&test, &test.server).await?, [(DriftKind::SharedHost, "vpn1b".to_owned())]);

    for adopt in [false, true] {
        let shown = test.plan_of(&again, adopt).await?;
        assert_eq!(acts(&shown), []);
        assert_eq!(shown.level, 1, "on the one of its own");
        let said = shown.to_string();
        for part in [live.name.as_str(), &live.id.to_string(), "of the server vpn1", "registered", "retireServer"] {
            ensure!(said.contains(part), "{part} is not in: {said}");
        }
        ensure!(!said.contains(revoked.name.as_str()), "the host has it revoked, as it should be: {said}");
        assert_eq!(test.apply(shown).await?, [""; 0]);
    }
    for client in [&live, &own] {
        ensure!(!in_the_crl(&host, client).await?);
        assert_eq!(test.reload(client.id).await?.status(), ClientStatus::Active);
    }

    // As the cure says.
    let worker = test.worker()?;
    let job = test.revoke(own.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    test.platform.retire_server(&test.admin, &again.id.to_string()).await?;
    assert_eq!(differences(&test, &test.server).await?, []);
    assert_eq!(acts(&test.plan(false).await?), []);
    test.check().await
}

#[tokio::test]
async fn a_plan_that_is_out_of_date_revokes_nobody_whom_the_database_knows_by_now() -> Result<()> {
    let (test, host, again) = registered_twice().await?;
    let vpn = host.host()?;
    let stranger = Errand::new().await?;
    hosts::hosts(vpn)?.issue(stranger.at(&hosts::server(vpn)?), &hosts::input()).await?;
    let plans = [test.plan(false).await?, test.plan_of(&again, false).await?];
    assert_eq!(test.apply(test.plan(true).await?).await?, [""; 0]);
    for plan in plans {
        assert_eq!(acts(&plan), [(stranger.client.name.to_string(), Act::RecordAndRevoke)]);
        let failed = test.apply(plan).await?;
        ensure!(failed.len() == 1 && failed[0].contains("Known"), "{failed:?}");
        ensure!(!in_the_crl(&host, &stranger.client).await?);
    }
    assert_eq!(test.reload(stranger.client.id).await?.status(), ClientStatus::Pending);
    test.check().await
}

/// The host forgot it, and the server that had it is retired.
#[tokio::test]
async fn whom_the_other_server_has_revoked_is_revoked_again() -> Result<()> {
    let (test, host, again) = registered_twice().await?;
    let state = &host.host()?.state;
    let worker = test.worker()?;
    let client = test.active().await?;
    let older_crl = fs::read(state.join("pub/crl.pem"))?;
    let job = test.revoke(client.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    test.platform.retire_server(&test.admin, &test.server.id.to_string()).await?;
    assert_eq!(differences(&test, &again).await?, []);

    fs::write(state.join("pub/crl.pem"), older_crl)?;
    fs::remove_file(state.join("revoked").join(client.serial.as_str()))?;
    fs::write(state.join("revoked.log"), "")?;
    let about = format!("{} ({})", client.name, client.serial);
    assert_eq!(differences(&test, &again).await?, [(DriftKind::NotInCrl, about)]);
    let shown = test.plan_of(&again, false).await?;
    assert_eq!(acts(&shown), [(client.name.to_string(), Act::RevokeAgain)]);
    assert_eq!(test.apply(shown).await?, [""; 0]);
    ensure!(in_the_crl(&host, &client).await?);
    assert_eq!(differences(&test, &again).await?, []);
    test.check().await
}
