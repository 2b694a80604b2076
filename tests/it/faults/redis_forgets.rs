//! Redis that loses what it knew, or what it said, or is away.

use std::time::Duration;

use anyhow::{Context as _, Result};
use vpn_core::{
    domain::{Client, ClientStatus, Role},
    lock::LockPolicy,
};
use vpn_examples::Api;
use vpn_tests::{
    Database, Fleet,
    fleet::{Pace, lasting_port},
    redis,
};

use super::{on_both, stop};

on_both!(
    a_redis_that_forgets_in_the_middle_of_a_job_lets_one_attempt_win,
    what_is_asked_while_redis_is_down_is_done_once_it_is_back,
);

/// Failure 4: FLUSHALL between lock and claim, and after the claim.
async fn a_redis_that_forgets_in_the_middle_of_a_job_lets_one_attempt_win(database: Database) -> Result<()> {
    let (fleet, host) = super::fleet(database).await?;
    // Later, a worker that stops may have a renewal of its claim under way, and on SQLite the file's one
    // write lock with it: nobody else could go on before it is continued.
    let last = if database == Database::Postgres { "sealed" } else { "claimed" };
    for boundary in ["locked", "claimed", last] {
        forgets(&fleet, boundary).await.context(boundary)?;
    }
    fleet.check(&host.state).await?;
    Ok(())
}

async fn forgets(fleet: &Fleet, boundary: &str) -> Result<()> {
    let first = fleet.worker_that(&format!("{boundary}=stop")).await?;
    let client = fleet.client().await?;
    let job = fleet.provision(client.id).await?;
    fleet.stopped(&first).await?;
    fleet.flush_redis().await?;
    let second = fleet.worker().await?;
    fleet.succeeded(job.id).await?;
    first.freeze(false);

    // Nothing is wedged, and the next token is above the one that is stored.
    let before = fleet.reload(client.id).await?;
    let revoke = fleet.revoke(client.id).await?;
    fleet.succeeded(revoke.id).await?;
    let after = fleet.reload(client.id).await?;
    assert!(after.fence > before.fence, "{:?} after {:?}", after.fence, before.fence);
    assert_eq!(after.status(), ClientStatus::Revoked);
    let told = fleet.actions(client.id).await?;
    assert_eq!(told.iter().filter(|action| *action == "provision.succeeded").count(), 1, "{told:?}");
    stop([first, second]).await;
    Ok(())
}

/// Failure 5: the lock was taken, and the reply that says so is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_of_the_lock_costs_no_token_and_leaves_no_lock() -> Result<()> {
    // No lease is to lapse here, however busy the machine is.
    let pace = Pace { lease: Duration::from_secs(12), ..Pace::default() };
    let (fleet, host) = super::paced(Database::Sqlite, pace).await?;
    let worker = fleet.worker().await?;
    // Redis learns the script, so that the next reply to it is the lock's.
    let first = fleet.client().await?;
    fleet.succeeded(fleet.provision(first.id).await?.id).await?;

    let client = fleet.client().await?;
    fleet.redis_way.lose_reply_to(&format!("{{{}}}:lock", Client::resource(client.id)));
    let job = fleet.provision(client.id).await?;
    let job = fleet.succeeded(job.id).await?;
    assert_eq!(fleet.redis_way.lost_replies(), 1);
    assert_eq!((job.attempts, job.fence.get()), (1, 1), "the same token for the same attempt");
    worker.stop().await;
    let locks = redis::locks(&fleet.sandbox.redis()?.url(), LockPolicy::default())?;
    let free = locks.with(&Client::resource(client.id), job.fence, async |lease| lease.fence().token()).await?;
    assert_eq!(free.get(), 2, "the lock is free, and no token was skipped");
    fleet.check(&host.state).await?;
    Ok(())
}

/// Failure 8: the push is lost after the commit. Asked of a real server, which answers.
async fn what_is_asked_while_redis_is_down_is_done_once_it_is_back(database: Database) -> Result<()> {
    let (fleet, host) = super::fleet(database).await?;
    let worker = fleet.worker().await?;
    let server = fleet.server().await?;
    let api = Api::new(&server.url, &fleet.token("ada", Role::Admin).await?);
    let client = fleet.client().await?;
    fleet.sandbox.redis()?.kill().await;
    let input = serde_json::json!({ "clientId": client.id.to_string() });
    let asked = api.mutate("provisionClient", "ProvisionClientInput", "job { id state }", input).await?;
    assert_eq!(asked.pointer("/job/state"), Some(&"QUEUED".into()));
    fleet.sandbox.redis()?.restart().await?;
    let job = asked.pointer("/job/id").and_then(|id| id.as_str()).context("a job")?.parse()?;
    fleet.succeeded(job).await?;
    stop([worker, server.process]).await;
    fleet.check(&host.state).await?;
    Ok(())
}

/// Crash point `asked`: the server dies between its commit and its ring; the caller asks again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_accepted_and_could_not_answer_is_done_once() -> Result<()> {
    let (fleet, host) = super::fleet(Database::Sqlite).await?;
    let worker = fleet.worker().await?;
    for mode in ["die", "fail"] {
        let doomed = fleet.server_at(lasting_port()?, &format!("asked={mode}")).await?;
        let token = fleet.token(mode, Role::Admin).await?;
        let client = fleet.client().await?;
        let input = serde_json::json!({ "clientId": client.id.to_string(), "idempotencyKey": mode });
        let ask = async |url: &str| {
            let api = Api::new(url, &token);
            api.mutate("provisionClient", "ProvisionClientInput", "job { id }", input.clone()).await
        };
        assert!(ask(&doomed.url).await.is_err(), "no answer, or one that says that it may be tried again");
        let server = fleet.server().await?;
        let asked = ask(&server.url).await?;
        let job = asked.pointer("/job/id").and_then(|id| id.as_str()).context("a job")?.parse()?;
        fleet.succeeded(job).await?;
        let told = fleet.actions(client.id).await?;
        assert_eq!(told.iter().filter(|action| *action == "provision.requested").count(), 1, "{told:?}");
        stop([doomed.process, server.process]).await;
    }
    worker.stop().await;
    fleet.check(&host.state).await?;
    Ok(())
}
