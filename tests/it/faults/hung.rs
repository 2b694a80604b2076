//! Failure 9: jobs that hang, and leases that end while SQL commits.

use std::time::Duration;

use anyhow::Result;
use sqlx::{Connection as _, Executor as _};
use vpn_tests::{Database, Db, Fleet, eventually, fleet::Pace, hosts};

use super::{hold, stop};

const LOST: &str = "the lock was lost under the job";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_hangs_on_the_host_is_taken_from_its_worker() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let pace = Pace { lease: Duration::from_millis(800), ssh_timeout: 60, ..Pace::default() };
    let fleet = Fleet::on(Db::migrated(Database::Sqlite).await?, host, pace).await?;
    let worker = fleet.worker().await?;
    let held = hold(host)?;
    let client = fleet.client().await?;
    let job = fleet.provision(client.id).await?;
    says(&fleet, LOST).await?;
    fleet.told(client.id, "provision.requeued").await?;
    drop(held);
    assert!(fleet.succeeded(job.id).await?.attempts >= 2);
    worker.stop().await;
    fleet.check(&host.state).await?;
    Ok(())
}

/// The transaction that activates the client waits for the head of the audit log; meanwhile Redis
/// forgets the lock, and the lease ends under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_ends_while_sql_commits_takes_the_commit_with_it() -> Result<()> {
    let (fleet, host) = super::fleet(Database::Postgres).await?;
    let worker = fleet.worker_that("activating=stop").await?;
    let client = fleet.client().await?;
    let job = fleet.provision(client.id).await?;
    fleet.stopped(&worker).await?;
    let mut other = fleet.db.raw().await?;
    other.execute("BEGIN").await?;
    other.execute("SELECT seq FROM audit_head WHERE one = 1 FOR UPDATE").await?;
    worker.freeze(false);
    fleet.flush_redis().await?;
    says(&fleet, LOST).await?;
    other.execute("ROLLBACK").await?;
    other.close().await?;

    let done = fleet.succeeded(job.id).await?;
    assert!(done.attempts >= 2, "the first attempt's commit never was");
    let told = fleet.actions(client.id).await?;
    assert_eq!(told.iter().filter(|action| *action == "provision.succeeded").count(), 1, "{told:?}");
    worker.stop().await;
    fleet.check(&host.state).await?;
    Ok(())
}

/// A worker that stands still inside of a transaction holds rows that others wait for: the database
/// ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_stands_still_in_a_transaction_does_not_stop_the_others() -> Result<()> {
    let (fleet, host) = super::fleet(Database::Postgres).await?;
    let first = fleet.worker_that("activating=stop").await?;
    let client = fleet.client().await?;
    let job = fleet.provision(client.id).await?;
    fleet.stopped(&first).await?;
    let second = fleet.worker().await?;
    fleet.succeeded(job.id).await?;
    first.freeze(false);
    stop([first, second]).await;
    fleet.check(&host.state).await?;
    Ok(())
}

/// Waits until a worker says this.
async fn says(fleet: &Fleet, words: &str) -> Result<()> {
    let said = async || Ok(std::fs::read_to_string(fleet.log("worker"))?.contains(words));
    eventually(words, said).await
}
