//! What the sweeper asks: which jobs to ring, which have lost their worker.

use std::time::Duration;

use anyhow::{Result, ensure};
use vpn_core::{
    domain::{Job, JobId, JobKind, JobState},
    store::{Due, StoreError},
};
use vpn_tests::{World, eventually, failure, on_every_database, told};

on_every_database!(
    a_job_is_rung_again_when_nobody_answered,
    a_job_that_could_not_be_rung_is_rung_at_once,
    the_job_that_waits_longest_is_known,
    one_of_two_takes_the_ring,
    a_delayed_job_is_rung_when_it_is_due,
    jobs_are_rung_oldest_first_and_no_more_than_asked,
    a_running_job_is_not_rung,
    a_job_whose_lease_ran_out_goes_back_to_the_queue,
    a_job_whose_attempts_are_spent_fails_when_its_lease_runs_out,
    a_renewed_job_is_left_to_its_worker,
    a_job_that_ended_in_between_is_left_as_it_is,
);

const LONG: Duration = Duration::from_mins(10);

async fn to_ring(world: &World, unanswered: Duration) -> Result<Vec<Due>> {
    Ok(world.store().read().await?.jobs_to_ring(unanswered, 100).await?)
}

async fn lapsed(world: &World) -> Result<Vec<JobId>> {
    Ok(world.store().read().await?.lapsed_jobs(100).await?)
}

async fn take_ring(world: &World, due: Due) -> Result<bool> {
    let mut tx = world.store().begin().await?;
    let taken = tx.take_ring(due).await?;
    tx.commit(told(), []).await?;
    Ok(taken)
}

/// A running job whose lease has run out.
async fn lost(world: &World, kind: JobKind) -> Result<Job> {
    let (job, _) = world.claim(&world.queued(kind).await?, Duration::ZERO).await?;
    eventually("the lease has run out", || async { Ok(lapsed(world).await?.contains(&job.id)) }).await?;
    Ok(job)
}

async fn a_job_is_rung_again_when_nobody_answered(world: World) -> Result<()> {
    let job = world.queued(JobKind::Provision).await?;
    ensure!(to_ring(&world, LONG).await?.is_empty(), "whoever asked has rung");
    let due = Due { id: job.id, generation: 1 };
    eventually("the ring counts as unanswered", || async { Ok(to_ring(&world, Duration::ZERO).await? == [due]) })
        .await?;

    ensure!(take_ring(&world, due).await?);
    assert_eq!(world.reload_job(job.id).await?.generation, 2);
    ensure!(to_ring(&world, LONG).await?.is_empty());
    Ok(())
}

async fn a_job_that_could_not_be_rung_is_rung_at_once(world: World) -> Result<()> {
    let job = world.queued(JobKind::Provision).await?;
    let (running, _) = world.running(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    tx.note_unrung(job.id).await?;
    tx.note_unrung(running.id).await?;
    tx.commit(told(), []).await?;
    assert_eq!(to_ring(&world, LONG).await?, [Due { id: job.id, generation: 1 }]);
    ensure!(take_ring(&world, Due { id: job.id, generation: 1 }).await?);
    ensure!(to_ring(&world, LONG).await?.is_empty());
    Ok(())
}

async fn the_job_that_waits_longest_is_known(world: World) -> Result<()> {
    assert_eq!(world.store().read().await?.oldest_due().await?, Duration::ZERO);
    let (job, fence) = world.running(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    let later = tx.at().plus(LONG);
    tx.delay_job(&job, &failure(), later, &fence).await?;
    tx.commit(told(), []).await?;
    assert_eq!(world.store().read().await?.oldest_due().await?, Duration::ZERO, "it is not due");
    world.queued(JobKind::Provision).await?;
    let waits = || async { Ok(world.store().read().await?.oldest_due().await? > Duration::from_millis(20)) };
    eventually("a job has waited for a while", waits).await
}

async fn one_of_two_takes_the_ring(world: World) -> Result<()> {
    let job = world.queued(JobKind::Provision).await?;
    let due = Due { id: job.id, generation: job.generation };
    let (one, two) = tokio::join!(take_ring(&world, due), take_ring(&world, due));
    ensure!(one? != two?, "exactly one moves the generation");
    assert_eq!(world.reload_job(job.id).await?.generation, 2);
    ensure!(!take_ring(&world, Due { id: world.new_job(job.client_id, JobKind::Revoke).id, generation: 1 }).await?);
    Ok(())
}

async fn a_delayed_job_is_rung_when_it_is_due(world: World) -> Result<()> {
    let (job, fence) = world.running(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    let soon = tx.at().plus(Duration::from_millis(300));
    tx.delay_job(&job, &failure(), soon, &fence).await?;
    tx.commit(told(), []).await?;
    // The last ring is older than the time at which the job became due: so it does not count.
    eventually("it is due", || async { Ok(to_ring(&world, LONG).await? == [Due { id: job.id, generation: 1 }]) })
        .await?;
    ensure!(world.store().begin().await?.at() >= soon, "it was not rung before");
    ensure!(take_ring(&world, Due { id: job.id, generation: 1 }).await?);
    ensure!(to_ring(&world, LONG).await?.is_empty());
    Ok(())
}

async fn jobs_are_rung_oldest_first_and_no_more_than_asked(world: World) -> Result<()> {
    let mut jobs = Vec::new();
    for _ in 0..3 {
        let job = world.queued(JobKind::Provision).await?;
        let clock = || async { Ok(world.store().begin().await?.at() > job.queued_at) };
        eventually("the database's clock goes on", clock).await?;
        jobs.push(job.id);
    }
    let due = world.store().read().await?.jobs_to_ring(Duration::ZERO, 2).await?;
    assert_eq!(due.iter().map(|due| due.id).collect::<Vec<_>>(), jobs[..2]);
    Ok(())
}

async fn a_running_job_is_not_rung(world: World) -> Result<()> {
    let (job, _) = world.running(JobKind::Provision).await?;
    let now = world.store().begin().await?.at();
    eventually("time passes", || async { Ok(world.store().begin().await?.at() > now) }).await?;
    ensure!(to_ring(&world, Duration::ZERO).await?.is_empty());
    ensure!(!take_ring(&world, Due { id: job.id, generation: 1 }).await?);
    Ok(())
}

async fn a_job_whose_lease_ran_out_goes_back_to_the_queue(world: World) -> Result<()> {
    let job = lost(&world, JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    let at = tx.at();
    assert_eq!(tx.release_lapsed_job(&job, &failure()).await?, JobState::Queued);
    tx.commit(told(), []).await?;
    let back = world.reload_job(job.id).await?;
    assert_eq!((back.state, back.run_after_at, back.failure.clone()), (JobState::Queued, at, Some(failure())));
    assert_eq!((back.attempts, back.finished_at), (1, None));
    ensure!(lapsed(&world).await?.is_empty());
    assert_eq!(to_ring(&world, LONG).await?, [Due { id: job.id, generation: 1 }], "it is rung at once");
    world.claim(&back, LONG).await?;
    Ok(())
}

async fn a_job_whose_attempts_are_spent_fails_when_its_lease_runs_out(world: World) -> Result<()> {
    let mut new = world.new_job(world.client().await?.id, JobKind::Revoke);
    new.max_attempts = 1;
    let mut tx = world.store().begin().await?;
    let job = tx.insert_job(new).await?;
    tx.commit(told(), []).await?;
    let (job, _) = world.claim(&job, Duration::ZERO).await?;
    eventually("the lease has run out", || async { Ok(lapsed(&world).await? == [job.id]) }).await?;
    let mut tx = world.store().begin().await?;
    let at = tx.at();
    assert_eq!(tx.release_lapsed_job(&job, &failure()).await?, JobState::Failed);
    tx.commit(told(), []).await?;
    let ended = world.reload_job(job.id).await?;
    assert_eq!((ended.state, ended.finished_at, ended.failure), (JobState::Failed, Some(at), Some(failure())));
    Ok(())
}

async fn a_renewed_job_is_left_to_its_worker(world: World) -> Result<()> {
    let (job, fence) = world.claim(&world.queued(JobKind::Provision).await?, Duration::ZERO).await?;
    eventually("the lease has run out", || async { Ok(lapsed(&world).await? == [job.id]) }).await?;
    let mut tx = world.store().begin().await?;
    tx.renew_job(job.id, &fence, LONG).await?;
    tx.commit(told(), []).await?;
    ensure!(lapsed(&world).await?.is_empty());
    let released = world.store().begin().await?.release_lapsed_job(&job, &failure()).await;
    ensure!(matches!(released, Err(StoreError::Fenced)), "{released:?}");
    Ok(())
}

async fn a_job_that_ended_in_between_is_left_as_it_is(world: World) -> Result<()> {
    let (job, fence) = world.claim(&world.queued(JobKind::Provision).await?, Duration::ZERO).await?;
    eventually("the lease has run out", || async { Ok(lapsed(&world).await? == [job.id]) }).await?;
    let mut tx = world.store().begin().await?;
    tx.succeed_job(&job, &fence).await?;
    tx.commit(told(), []).await?;
    let released = world.store().begin().await?.release_lapsed_job(&job, &failure()).await;
    ensure!(matches!(released, Err(StoreError::Fenced)), "{released:?}");
    assert_eq!(world.reload_job(job.id).await?.state, JobState::Succeeded);

    // Back in the queue and claimed by another worker: the sweeper's old view of it does not count.
    let job = lost(&world, JobKind::Revoke).await?;
    let mut tx = world.store().begin().await?;
    tx.release_lapsed_job(&job, &failure()).await?;
    tx.commit(told(), []).await?;
    world.claim(&world.reload_job(job.id).await?, Duration::ZERO).await?;
    eventually("the new lease has run out", || async { Ok(lapsed(&world).await? == [job.id]) }).await?;
    let released = world.store().begin().await?.release_lapsed_job(&job, &failure()).await;
    ensure!(matches!(released, Err(StoreError::Fenced)), "{released:?}");
    Ok(())
}
