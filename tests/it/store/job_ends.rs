//! How jobs end, and that an end is final.

use std::time::Duration;

use anyhow::{Result, ensure};
use sqlx::{AssertSqlSafe, Executor as _};
use vpn_core::{
    domain::{Fence, Job, JobKind, JobState, Step},
    store::StoreError,
};
use vpn_tests::{World, failure, on_every_database, told};

on_every_database!(
    a_job_succeeds_and_its_old_failure_is_forgotten,
    a_job_fails_with_its_reason,
    a_delayed_job_waits_with_its_reason,
    a_queued_job_is_canceled_and_a_running_one_is_not,
    a_finished_job_is_touched_by_nothing,
    a_job_that_went_back_to_the_queue_is_no_longer_its_workers,
    a_foreign_fence_ends_nothing,
);

async fn a_job_succeeds_and_its_old_failure_is_forgotten(world: World) -> Result<()> {
    let (job, fence) = world.running(JobKind::Revoke).await?;
    let mut tx = world.store().begin().await?;
    let now = tx.at();
    tx.delay_job(&job, &failure(), now, &fence).await?;
    tx.commit(told(), []).await?;
    let (job, fence) = world.claim(&world.reload_job(job.id).await?, Duration::from_secs(30)).await?;
    assert_eq!((job.attempts, job.failure.clone()), (2, Some(failure())));

    let mut tx = world.store().begin().await?;
    let at = tx.at();
    tx.succeed_job(&job, &fence).await?;
    tx.commit(told(), []).await?;
    let ended = world.reload_job(job.id).await?;
    assert_eq!((ended.state, ended.finished_at, ended.failure), (JobState::Succeeded, Some(at), None));
    assert_eq!(ended.started_at, job.started_at, "the first attempt's beginning is kept");
    Ok(())
}

async fn a_job_fails_with_its_reason(world: World) -> Result<()> {
    let (job, fence) = world.running(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    let at = tx.at();
    tx.fail_job(&job, &failure(), &fence).await?;
    tx.commit(told(), []).await?;
    let ended = world.reload_job(job.id).await?;
    assert_eq!((ended.state, ended.finished_at, ended.failure), (JobState::Failed, Some(at), Some(failure())));
    Ok(())
}

async fn a_delayed_job_waits_with_its_reason(world: World) -> Result<()> {
    let (job, fence) = world.running(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    let later = tx.at().plus(Duration::from_mins(1));
    tx.delay_job(&job, &failure(), later, &fence).await?;
    tx.commit(told(), []).await?;
    let waiting = world.reload_job(job.id).await?;
    assert_eq!((waiting.state, waiting.run_after_at, waiting.failure), (JobState::Queued, later, Some(failure())));
    assert_eq!((waiting.attempts, waiting.finished_at), (1, None));
    Ok(())
}

async fn a_queued_job_is_canceled_and_a_running_one_is_not(world: World) -> Result<()> {
    let queued = world.queued(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    let at = tx.at();
    tx.cancel_job(queued.id).await?;
    tx.commit(told(), []).await?;
    let ended = world.reload_job(queued.id).await?;
    assert_eq!((ended.state, ended.finished_at), (JobState::Canceled, Some(at)));

    let (running, _) = world.running(JobKind::Provision).await?;
    let canceled = world.store().begin().await?.cancel_job(running.id).await;
    ensure!(matches!(canceled, Err(StoreError::Fenced)), "{canceled:?}");
    Ok(())
}

/// A provision job in each of the final states, with the fence that it ended under: a newer one than all
/// before for a job that had none.
async fn ended(world: &World, state: JobState) -> Result<(Job, Fence)> {
    let job = world.queued(JobKind::Provision).await?;
    if state == JobState::Canceled {
        let mut tx = world.store().begin().await?;
        tx.cancel_job(job.id).await?;
        tx.commit(told(), []).await?;
        return Ok((world.reload_job(job.id).await?, world.fence(job.client_id).await?));
    }
    let (job, fence) = world.claim(&job, Duration::ZERO).await?;
    let mut tx = world.store().begin().await?;
    if state == JobState::Succeeded {
        tx.succeed_job(&job, &fence).await?;
    } else {
        tx.fail_job(&job, &failure(), &fence).await?;
    }
    tx.commit(told(), []).await?;
    Ok((world.reload_job(job.id).await?, fence))
}

async fn a_finished_job_is_touched_by_nothing(world: World) -> Result<()> {
    for state in [JobState::Succeeded, JobState::Failed, JobState::Canceled] {
        let (job, fence) = ended(&world, state).await?;
        ensure!(job.state == state && state.is_final());
        // The fence that it ended under is as useless as a newer one.
        let newer = world.fence_above(job.client_id, job.fence).await?;
        let mut tx = world.store().begin().await?;
        let later = tx.at();
        let long = Duration::from_secs(30);
        for outcome in [
            tx.succeed_job(&job, &fence).await,
            tx.fail_job(&job, &failure(), &fence).await,
            tx.delay_job(&job, &failure(), later, &fence).await,
            tx.advance_job(&job, Step::Issue, &fence).await.map(drop),
            tx.renew_job(job.id, &fence, long).await,
            tx.cancel_job(job.id).await,
            tx.release_lapsed_job(&job, &failure()).await.map(drop),
            tx.claim_job(&job, Step::Issue, &newer, long).await.map(drop),
        ] {
            ensure!(matches!(outcome, Err(StoreError::Fenced)), "{state:?}: {outcome:?}");
        }
        drop(tx);
        assert_eq!(world.reload_job(job.id).await?, job);
    }
    Ok(())
}

/// Taken by the sweeper or given back after a failed attempt: the fence is still the newest, and no longer enough.
async fn a_job_that_went_back_to_the_queue_is_no_longer_its_workers(world: World) -> Result<()> {
    let (job, fence) = world.running(JobKind::Revoke).await?;
    let mut tx = world.store().begin().await?;
    let later = tx.at().plus(Duration::from_mins(1));
    tx.delay_job(&job, &failure(), later, &fence).await?;
    tx.commit(told(), []).await?;
    // No worker's lease, and if somebody's hand made one: it is not running.
    let lease = format!("UPDATE jobs SET lease_until_at = 0 WHERE id = '{}'", job.id);
    world.db.raw().await?.execute(AssertSqlSafe(lease)).await?;
    let waiting = world.reload_job(job.id).await?;

    let mut tx = world.store().begin().await?;
    let now = tx.at();
    for outcome in [
        tx.advance_job(&job, Step::Disconnect, &fence).await.map(drop),
        tx.note_proofs(&job, &[], &fence).await,
        tx.succeed_job(&job, &fence).await,
        tx.fail_job(&job, &failure(), &fence).await,
        tx.delay_job(&job, &failure(), now, &fence).await,
        tx.renew_job(job.id, &fence, Duration::from_mins(1)).await,
        tx.release_lapsed_job(&job, &failure()).await.map(drop),
    ] {
        ensure!(matches!(outcome, Err(StoreError::Fenced)), "{outcome:?}");
    }
    drop(tx);
    assert_eq!(world.reload_job(job.id).await?, waiting);
    Ok(())
}

async fn a_foreign_fence_ends_nothing(world: World) -> Result<()> {
    let (job, _) = world.running(JobKind::Provision).await?;
    let foreign = world.fence(job.client_id).await?;
    let mut tx = world.store().begin().await?;
    let later = tx.at();
    for outcome in [
        tx.note_proofs(&job, &[], &foreign).await,
        tx.succeed_job(&job, &foreign).await,
        tx.fail_job(&job, &failure(), &foreign).await,
        tx.delay_job(&job, &failure(), later, &foreign).await,
        tx.renew_job(job.id, &foreign, Duration::from_secs(30)).await,
    ] {
        ensure!(matches!(outcome, Err(StoreError::Fenced)), "{outcome:?}");
    }
    drop(tx);
    assert_eq!(world.reload_job(job.id).await?, job);
    Ok(())
}
