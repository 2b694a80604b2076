//! Workers and databases that end in the middle.

use anyhow::{Context as _, Result};
use vpn_core::{
    domain::ClientStatus,
    sandbox::{Janitor, Process},
};
use vpn_tests::{Database, Db, Fleet, PATIENCE, databases::Postgres, fleet::Pace, hosts};

use super::{kept, on_both, stop};

on_both!(a_worker_that_is_killed_after_the_host_issued_leads_to_the_same_certificate);

/// Failure 6: SIGKILL after the host has issued, before SQL knows.
async fn a_worker_that_is_killed_after_the_host_issued_leads_to_the_same_certificate(database: Database) -> Result<()> {
    let (fleet, host) = super::fleet(database).await?;
    let doomed = fleet.worker_that("issued=die").await?;
    let client = fleet.client().await?;
    let job = fleet.provision(client.id).await?;
    killed(&doomed).await?;
    let [_, _, first, _] = kept(host, &client);
    let first = first.context("the host has issued")?;
    assert_eq!(fleet.reload(client.id).await?.status(), ClientStatus::Pending);

    let other = fleet.worker().await?;
    assert!(fleet.succeeded(job.id).await?.attempts >= 2);
    let [_, _, second, _] = kept(host, &client);
    let (certificate, _key) = first.split_once("\n<key>").context("the first profile has its key")?;
    assert_eq!(second.context("still issued")?.trim_end(), certificate, "the same certificate, the key forgotten");
    let told = fleet.actions(client.id).await?;
    assert_eq!(told.iter().filter(|action| *action == "provision.succeeded").count(), 1, "{told:?}");
    other.stop().await;
    fleet.check(&host.state).await?;
    Ok(())
}

/// The commit went through, and its worker takes it for failed: as when the reply to COMMIT is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_behind_the_last_commit_is_no_failure() -> Result<()> {
    let (fleet, host) = super::fleet(Database::Sqlite).await?;
    let worker = fleet.worker_that("activated=fail").await?;
    let client = fleet.client().await?;
    let job = fleet.provision(client.id).await?;
    fleet.succeeded(job.id).await?;
    worker.stop().await;
    let told = fleet.actions(client.id).await?;
    assert_eq!(told.last().map(String::as_str), Some("provision.succeeded"), "{told:?}");
    fleet.check(&host.state).await?;
    Ok(())
}

/// A database that is restarted in the middle of a step.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_restarts_under_a_job_costs_an_attempt_at_most() -> Result<()> {
    let janitor = Janitor::start()?;
    let postgres = Postgres::start(&janitor).await?;
    let host = hosts::with_server().await?;
    for boundary in ["claimed", "issued", "activating"] {
        let fleet = Fleet::on(Db::on_private(&postgres).await?, host, Pace::default()).await?;
        let worker = fleet.worker_that(&format!("{boundary}=stop")).await?;
        let client = fleet.client().await?;
        let job = fleet.provision(client.id).await?;
        fleet.stopped(&worker).await?;
        postgres.restart().await?;
        worker.freeze(false);
        fleet.succeeded(job.id).await.context(boundary)?;
        worker.stop().await;
        fleet.check(&host.state).await.context(boundary)?;
    }
    janitor.stop().await?;
    Ok(())
}

/// A host that cannot be reached for a while, in the middle of a step.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_under_a_request_leads_to_the_same_certificate() -> Result<()> {
    let (fleet, host) = super::fleet(Database::Sqlite).await?;
    let worker = fleet.worker().await?;
    let client = fleet.client().await?;
    fleet.host_way.hold_replies(true);
    let job = fleet.provision(client.id).await?;
    fleet.told(client.id, "provision.started").await?;
    fleet.host_way.cut();
    fleet.host_way.hold_replies(false);
    fleet.succeeded(job.id).await?;
    stop([worker]).await;
    fleet.check(&host.state).await?;
    Ok(())
}

/// The process ended by SIGKILL.
async fn killed(process: &Process) -> Result<()> {
    use std::os::unix::process::ExitStatusExt as _;
    let status = process.ended(PATIENCE).await.context("the worker did not die")?;
    anyhow::ensure!(status.signal() == Some(9), "it ended otherwise: {status}");
    Ok(())
}
