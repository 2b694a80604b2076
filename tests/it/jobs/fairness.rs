//! One worker, several hosts.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use vpn_core::{
    domain::{Client, JobState},
    host::Fault,
};
use vpn_tests::{Database, TestPlatform, eventually};

/// More than the worker does at once, which is four.
const JOBS: usize = 8;

/// Revokes them, one after the other; gives how long one took on the average.
async fn revoked(test: &TestPlatform, clients: &[Client]) -> Result<Duration> {
    let begun = Instant::now();
    for client in clients {
        let job = test.revoke(client.id).await?.job;
        test.succeeded(job.id).await?;
    }
    Ok(begun.elapsed() / u32::try_from(clients.len())?)
}

#[tokio::test]
async fn a_host_that_is_slow_delays_no_other_and_gets_all_its_jobs_done() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.listening_worker()?;
    let key = test.server.host_key.clone().context("a host key")?;
    let slow = test.another_server("slow", test.server.address.port(), &key).await?;
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(test.active().await?);
    }
    let alone = revoked(&test, &others[..5]).await?;

    let mut waiting = Vec::new();
    for _ in 0..JOBS {
        test.faults.plan("issue", Fault::ReplyHeld);
        waiting.push(test.provision(test.client_on(slow.id).await?.id).await?.job.id);
    }
    let issues = || test.faults.calls().iter().filter(|verb| **verb == "issue").count() - others.len();
    eventually("it has its share", async || Ok(issues() == 2)).await?;
    let beside = revoked(&test, &others[5..]).await?;
    println!("a revocation took {alone:?}, and {beside:?} beside a host that keeps {JOBS} jobs waiting");
    assert_eq!(issues(), 2, "no more than that");
    for id in &waiting {
        let job = test.platform.job(&test.admin, *id).await?.context("a job")?;
        assert!(matches!(job.state, JobState::Queued | JobState::Running), "{job:?}");
    }

    // What was turned away is rung for again; nobody sweeps.
    for _ in 0..JOBS {
        test.faults.release();
    }
    for id in waiting {
        test.succeeded(id).await?;
    }
    worker.drain().await?;
    test.check().await
}
