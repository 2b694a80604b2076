//! Workers that sleep through their lease, and commands that reach the host when all is over.

use std::fs;

use anyhow::Result;
use vpn_core::{
    domain::{ClientStatus, JobState},
    sandbox::VpnHost,
};
use vpn_tests::{Database, Db, Fleet, eventually, fleet::Pace, hosts};

use super::{at_work, hold, kept, on_both, stop};

on_both!(a_worker_that_slept_through_its_lease_changes_nothing);

/// Failure 1, in SQL: stopped between the claim and the first request to the host.
async fn a_worker_that_slept_through_its_lease_changes_nothing(database: Database) -> Result<()> {
    let (fleet, host) = super::fleet(database).await?;
    let sleeper = fleet.worker_that("claimed=stop").await?;
    let client = fleet.client().await?;
    let job = fleet.provision(client.id).await?;
    fleet.stopped(&sleeper).await?;
    let other = fleet.worker().await?;
    let done = fleet.succeeded(job.id).await?;
    let before = kept(host, &client);

    sleeper.freeze(false);
    eventually("the sleeper has noticed", async || {
        let log = fs::read_to_string(fleet.log("worker"))?;
        Ok(log.contains("the lock was lost under the job") || log.contains("another worker took over"))
    })
    .await?;
    stop([sleeper, other]).await;
    assert_eq!(fleet.job(job.id).await?, done);
    assert!(done.attempts >= 2);
    assert_eq!(kept(host, &client), before);
    fleet.check(&host.state).await?;
    Ok(())
}

/// Failure 1, on the host: the lease had been found good, and the request is sent after the sleep. On
/// PostgreSQL: a worker that stops this late may be renewing its claim, and would keep SQLite's one write
/// lock meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_sent_after_a_long_sleep_is_refused_by_the_host() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let fleet = Fleet::on(Db::migrated(Database::Postgres).await?, host, Pace::default()).await?;
    let sleeper = fleet.worker_that("request-sending=stop").await?;
    let client = fleet.client().await?;
    let job = fleet.provision(client.id).await?;
    fleet.stopped(&sleeper).await?;
    let other = fleet.worker().await?;
    fleet.succeeded(job.id).await?;
    let (before, (requests, _)) = (kept(host, &client), requests(host)?);

    sleeper.freeze(false);
    arrives(host, requests).await?;
    assert_eq!(kept(host, &client), before);
    stop([sleeper, other]).await;
    fleet.check(&host.state).await?;
    Ok(())
}

/// Failure 2: the client is revoked when the command that would let it in reaches the host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issue_that_arrives_after_the_revocation_is_refused() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let fleet = Fleet::on(Db::migrated(Database::Postgres).await?, host, Pace::default()).await?;
    let sleeper = fleet.worker_that("request-sending=stop").await?;
    let client = fleet.client().await?;
    let provision = fleet.provision(client.id).await?;
    fleet.stopped(&sleeper).await?;
    let revoke = fleet.revoke(client.id).await?;
    let other = fleet.worker().await?;
    fleet.succeeded(revoke.id).await?;
    assert_eq!(fleet.finished(provision.id).await?.state, JobState::Canceled);
    assert_eq!(fleet.reload(client.id).await?.status(), ClientStatus::Revoked);
    let (before, (requests, _)) = (kept(host, &client), requests(host)?);

    sleeper.freeze(false);
    arrives(host, requests).await?;
    let after = kept(host, &client);
    assert_eq!(after, before);
    let [_, _, issued, tombstone] = after;
    assert!(issued.is_none() && tombstone.is_some());
    stop([sleeper, other]).await;
    fleet.check(&host.state).await?;
    Ok(())
}

/// Failure 3: SSH gives up, the worker lets go in order, and the command goes on on the host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_outlives_its_ssh_session_does_no_harm() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let pace = Pace { ssh_timeout: 1, ..Pace::default() };
    let fleet = Fleet::on(Db::migrated(Database::Sqlite).await?, host, pace).await?;
    let worker = fleet.worker().await?;
    let held = hold(host)?;
    let client = fleet.client().await?;
    let job = fleet.provision(client.id).await?;
    fleet.told(client.id, "provision.delayed").await?;
    assert_eq!(fleet.job(job.id).await?.failure.expect("an attempt failed").code, "HOST_TIMEOUT");
    assert!(at_work(host)? >= 1, "the first command still waits for the host's lock");
    drop(held);
    let done = fleet.succeeded(job.id).await?;
    assert!(done.attempts >= 2);
    eventually("the last command has ended", async || Ok(at_work(host)? == 0)).await?;
    worker.stop().await;
    fleet.check(&host.state).await?;
    Ok(())
}

/// How many requests have reached the host so far, and how many of them have been worked off: sshd closes a
/// session when its script has ended.
fn requests(host: &VpnHost) -> Result<(usize, usize)> {
    let log = fs::read_to_string(host.sshd_log_path())?;
    let count = |words: &str| log.matches(words).count();
    Ok((count("Starting session: forced-command"), count("Close session: ")))
}

/// Waits until one more request has reached the host and was worked off.
async fn arrives(host: &VpnHost, before: usize) -> Result<()> {
    let arrived = async || {
        let (begun, ended) = requests(host)?;
        Ok(begun > before && ended == begun)
    };
    eventually("the late request reached the host", arrived).await
}
