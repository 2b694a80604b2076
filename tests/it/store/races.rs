//! Two at once: one wins, and the other is told.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use vpn_core::{
    domain::{Fence, Job, JobKind, JobState, Step},
    store::{Store, StoreError},
};
use vpn_tests::{World, certificate, on_every_database, told};

on_every_database!(
    one_of_many_claims_a_job,
    one_of_many_gets_a_name,
    one_of_many_asks_for_a_job,
    one_of_many_requests_the_revocation,
    a_revocation_and_an_activation_do_not_both_pass,
    a_revocation_and_a_claim_do_not_both_pass,
);

const MANY: usize = 6;

/// Checks that one call passed, and gives the others.
fn one_passed<T: std::fmt::Debug>(outcomes: Vec<Result<T, StoreError>>) -> Result<()> {
    let passed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    ensure!(passed == 1, "{passed} passed: {outcomes:?}");
    for outcome in outcomes {
        let told = |error: &StoreError| {
            matches!(error, StoreError::Duplicate(_) | StoreError::Fenced | StoreError::Contended(_))
        };
        ensure!(outcome.as_ref().err().is_none_or(told), "{outcome:?}");
    }
    Ok(())
}

async fn claim(store: &Store, job: &Job, fence: &Fence) -> Result<Job, StoreError> {
    let mut tx = store.begin().await?;
    let claimed = tx.claim_job(job, Step::Issue, fence, Duration::from_secs(30)).await?;
    tx.commit(told(), []).await?;
    Ok(claimed)
}

async fn one_of_many_claims_a_job(world: World) -> Result<()> {
    let job = world.queued(JobKind::Provision).await?;
    let mut fences = Vec::new();
    for _ in 0..MANY {
        fences.push(world.fence(job.client_id).await?);
    }
    one_passed(join_all(fences.iter().map(|fence| claim(world.store(), &job, fence))).await)?;
    let running = world.reload_job(job.id).await?;
    assert_eq!((running.state, running.attempts), (JobState::Running, 1));
    Ok(())
}

async fn one_of_many_gets_a_name(world: World) -> Result<()> {
    let (server, name) = (world.server().await?.id, world.name()?);
    let outcomes = join_all((0..MANY).map(|_| async {
        let mut new = world.new_client(server).map_err(|error| StoreError::Schema(error.to_string()))?;
        new.name = name.clone();
        let mut tx = world.store().begin().await?;
        tx.insert_client(new).await?;
        tx.commit(told(), []).await
    }));
    one_passed(outcomes.await)
}

async fn one_of_many_asks_for_a_job(world: World) -> Result<()> {
    let client = world.client().await?.id;
    let outcomes = join_all((0..MANY).map(|_| async {
        let mut tx = world.store().begin().await?;
        tx.insert_job(world.new_job(client, JobKind::Revoke)).await?;
        tx.commit(told(), []).await
    }));
    one_passed(outcomes.await)
}

async fn one_of_many_requests_the_revocation(world: World) -> Result<()> {
    let client = world.client().await?.id;
    let reason = "laptop stolen".parse()?;
    let outcomes = join_all((0..MANY).map(|_| async {
        let mut tx = world.store().begin().await?;
        tx.request_revocation(client, &reason).await?;
        tx.commit(told(), []).await
    }));
    one_passed(outcomes.await)
}

async fn a_revocation_and_an_activation_do_not_both_pass(world: World) -> Result<()> {
    for _ in 0..5 {
        let (job, fence) = world.running(JobKind::Provision).await?;
        let client = job.client_id;
        let activated = async {
            let mut tx = world.store().begin().await?;
            tx.activate_client(client, &certificate(), &fence).await?;
            tx.succeed_job(&job, &fence).await?;
            tx.commit(told(), []).await
        };
        let reason = "laptop stolen".parse()?;
        let requested = async {
            let mut tx = world.store().begin().await?;
            tx.request_revocation(client, &reason).await?;
            tx.commit(told(), []).await
        };
        let (activated, requested) = tokio::join!(activated, requested);
        requested?;
        let client = world.reload(client).await?;
        // Whichever came first: a client that is active was so before its end was asked for.
        let before = client.activated_at().zip(client.revocation.as_ref()).is_none_or(|(at, asked)| at <= asked.at);
        ensure!(activated.is_ok() == client.certificate().is_some(), "{activated:?} {client:?}");
        ensure!(activated.is_err() || before || world.db.database != vpn_tests::Database::Sqlite, "{client:?}");
        let ended = world.reload_job(job.id).await?.state;
        ensure!((ended == JobState::Succeeded) == activated.is_ok());
    }
    Ok(())
}

async fn a_revocation_and_a_claim_do_not_both_pass(world: World) -> Result<()> {
    for _ in 0..5 {
        let job = world.queued(JobKind::Provision).await?;
        let fence = world.fence(job.client_id).await?;
        let reason = "laptop stolen".parse()?;
        let overtake = async {
            let mut tx = world.store().begin().await?;
            tx.lock_client(job.client_id).await?;
            tx.request_revocation(job.client_id, &reason).await?;
            let canceled = match tx.cancel_job(job.id).await {
                Err(StoreError::Fenced) => false,
                other => other.map(|()| true)?,
            };
            tx.commit(told(), []).await.map(|_| canceled)
        };
        let (claimed, canceled) = tokio::join!(claim(world.store(), &job, &fence), overtake);
        let state = world.reload_job(job.id).await?.state;
        match (claimed, canceled?) {
            (Ok(_), false) => assert_eq!(state, JobState::Running),
            (Err(StoreError::Fenced), true) => assert_eq!(state, JobState::Canceled),
            (claimed, canceled) => anyhow::bail!("claimed {claimed:?}, canceled {canceled}"),
        }
    }
    Ok(())
}
