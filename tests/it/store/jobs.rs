//! Jobs: asked for, claimed under a fence, advanced.

use std::time::Duration;

use anyhow::{Result, ensure};
use sqlx::{AssertSqlSafe, Executor as _};
use vpn_core::{
    domain::{FencingToken, JobKind, JobState, RequestId, Step},
    store::{JobFilter, PageRequest, StoreError, TimeRange},
};
use vpn_tests::{World, failure, on_every_database, told};

on_every_database!(
    a_job_is_read_back_as_it_was_stored,
    a_client_has_one_unfinished_job_of_a_kind,
    a_job_is_claimed_under_a_newer_fence,
    a_claim_with_an_old_token_changes_nothing,
    a_token_has_to_be_newer_than_that_of_the_job_too,
    nothing_is_claimed_for_a_revoked_client,
    a_running_job_is_not_claimed_again,
    a_job_is_not_claimed_before_its_time,
    a_job_is_claimed_no_more_often_than_it_may,
    an_overtaken_provision_is_neither_claimed_nor_advanced,
    a_step_is_reached_as_often_as_it_takes,
    jobs_are_found_by_client_kind_and_state,
    jobs_are_found_by_when_they_were_asked_for,
    jobs_are_found_by_many_ids,
);

const LEASE: Duration = Duration::from_secs(30);

async fn a_job_is_read_back_as_it_was_stored(world: World) -> Result<()> {
    let client = world.client().await?;
    let mut new = world.new_job(client.id, JobKind::Provision);
    new.request_id = Some(RequestId::generate(&world.ambient));
    new.retry_of = Some(world.new_job(client.id, JobKind::Provision).id);
    let mut tx = world.store().begin().await?;
    let stored = tx.insert_job(new.clone()).await?;
    assert_eq!((stored.queued_at, stored.run_after_at), (tx.at(), tx.at()));
    assert_eq!(tx.lock_job(new.id).await?.as_ref(), Some(&stored));
    tx.commit(told(), []).await?;
    assert_eq!((stored.id, stored.client_id, &stored.input), (new.id, client.id, &new.input));
    assert_eq!((stored.request_id, stored.retry_of), (new.request_id, new.retry_of));
    assert_eq!((stored.state, stored.attempts, stored.max_attempts), (JobState::Queued, 0, 3));
    assert_eq!((stored.fence, stored.generation, stored.step), (FencingToken::ZERO, 1, None));
    assert_eq!(world.reload_job(new.id).await?, stored);
    let unknown = world.new_job(client.id, JobKind::Revoke).id;
    assert_eq!(world.store().read().await?.job(unknown).await?, None);
    assert_eq!(world.store().begin().await?.lock_job(unknown).await?, None);
    Ok(())
}

async fn a_client_has_one_unfinished_job_of_a_kind(world: World) -> Result<()> {
    let first = world.queued(JobKind::Provision).await?;
    let second = world.store().begin().await?.insert_job(world.new_job(first.client_id, JobKind::Provision)).await;
    ensure!(matches!(second, Err(StoreError::Duplicate(_))), "{second:?}");
    let (running, fence) = world.claim(&first, LEASE).await?;
    let second = world.store().begin().await?.insert_job(world.new_job(first.client_id, JobKind::Provision)).await;
    ensure!(matches!(second, Err(StoreError::Duplicate(_))), "{second:?}");

    let other_kind = world.job(first.client_id, JobKind::Revoke).await?;
    let neighbour = world.queued(JobKind::Revoke).await?;
    let mut reader = world.store().read().await?;
    let open = reader.open_jobs(&[first.client_id]).await?;
    assert_eq!(open, [running.clone(), other_kind.clone()]);
    let open = reader.open_jobs(&[neighbour.client_id, first.client_id]).await?;
    assert_eq!(open, [running.clone(), other_kind, neighbour]);
    assert_eq!(reader.open_jobs(&[]).await?, []);

    let mut tx = world.store().begin().await?;
    tx.fail_job(&running, &failure(), &fence).await?;
    tx.commit(told(), []).await?;
    world.job(first.client_id, JobKind::Provision).await?;
    Ok(())
}

async fn a_job_is_claimed_under_a_newer_fence(world: World) -> Result<()> {
    let job = world.queued(JobKind::Provision).await?;
    let fence = world.fence(job.client_id).await?;
    let mut tx = world.store().begin().await?;
    let at = tx.at();
    let claimed = tx.claim_job(&job, Step::Issue, &fence, LEASE).await?;
    tx.commit(told(), []).await?;
    assert_eq!((claimed.state, claimed.attempts, claimed.fence), (JobState::Running, 1, fence.token()));
    assert_eq!((claimed.step, claimed.started_at), (Some(Step::Issue), Some(at)));
    assert_eq!(world.reload_job(job.id).await?, claimed);
    assert_eq!(world.reload(job.client_id).await?.fence, fence.token());
    Ok(())
}

async fn a_claim_with_an_old_token_changes_nothing(world: World) -> Result<()> {
    let job = world.queued(JobKind::Revoke).await?;
    let stale = world.fence(job.client_id).await?;
    let provision = world.job(job.client_id, JobKind::Provision).await?;
    let (_, newer) = world.claim(&provision, LEASE).await?;
    ensure!(newer.token() > stale.token());
    for fence in [stale, newer] {
        let claimed = world.store().begin().await?.claim_job(&job, Step::PublishCrl, &fence, LEASE).await;
        ensure!(matches!(claimed, Err(StoreError::Fenced)), "the token must be strictly newer: {claimed:?}");
    }
    assert_eq!(world.reload_job(job.id).await?, job);
    Ok(())
}

/// A job's token is its client's or an older one, unless somebody's hand was in the database.
async fn a_token_has_to_be_newer_than_that_of_the_job_too(world: World) -> Result<()> {
    let job = world.queued(JobKind::Provision).await?;
    let fence = world.fence(job.client_id).await?;
    let ahead = format!("UPDATE jobs SET fence = {} WHERE id = '{}'", fence.token().get(), job.id);
    world.db.raw().await?.execute(AssertSqlSafe(ahead)).await?;
    let claimed = world.store().begin().await?.claim_job(&job, Step::Issue, &fence, LEASE).await;
    ensure!(matches!(claimed, Err(StoreError::Fenced)), "{claimed:?}");
    Ok(())
}

async fn nothing_is_claimed_for_a_revoked_client(world: World) -> Result<()> {
    let client = world.revoked().await?;
    for kind in [JobKind::Provision, JobKind::Revoke] {
        let job = world.job(client.id, kind).await?;
        let fence = world.fence_above(client.id, client.fence).await?;
        let claimed = world.store().begin().await?.claim_job(&job, Step::PublishCrl, &fence, LEASE).await;
        ensure!(matches!(claimed, Err(StoreError::Fenced)), "{kind:?}: {claimed:?}");
    }
    Ok(())
}

async fn a_running_job_is_not_claimed_again(world: World) -> Result<()> {
    let (job, _) = world.running(JobKind::Provision).await?;
    let fence = world.fence(job.client_id).await?;
    let claimed = world.store().begin().await?.claim_job(&job, Step::Issue, &fence, LEASE).await;
    ensure!(matches!(claimed, Err(StoreError::Fenced)), "{claimed:?}");
    assert_eq!(world.reload(job.client_id).await?.fence, job.fence, "the client's fence was rolled back, too");
    Ok(())
}

async fn a_job_is_not_claimed_before_its_time(world: World) -> Result<()> {
    let (job, fence) = world.running(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    let later = tx.at().plus(Duration::from_mins(10));
    tx.delay_job(&job, &failure(), later, &fence).await?;
    tx.commit(told(), []).await?;
    let fence = world.fence(job.client_id).await?;
    let claimed = world.store().begin().await?.claim_job(&job, Step::Issue, &fence, LEASE).await;
    ensure!(matches!(claimed, Err(StoreError::Fenced)), "{claimed:?}");
    Ok(())
}

async fn a_job_is_claimed_no_more_often_than_it_may(world: World) -> Result<()> {
    let mut job = world.queued(JobKind::Provision).await?;
    for attempt in 1..=job.max_attempts {
        let (claimed, fence) = world.claim(&job, LEASE).await?;
        assert_eq!(claimed.attempts, attempt);
        let mut tx = world.store().begin().await?;
        let now = tx.at();
        tx.delay_job(&claimed, &failure(), now, &fence).await?;
        tx.commit(told(), []).await?;
        job = world.reload_job(job.id).await?;
    }
    let fence = world.fence(job.client_id).await?;
    let claimed = world.store().begin().await?.claim_job(&job, Step::Issue, &fence, LEASE).await;
    ensure!(matches!(claimed, Err(StoreError::Fenced)), "{claimed:?}");
    Ok(())
}

async fn an_overtaken_provision_is_neither_claimed_nor_advanced(world: World) -> Result<()> {
    let queued = world.queued(JobKind::Provision).await?;
    let (running, fence) = world.running(JobKind::Provision).await?;
    for client in [queued.client_id, running.client_id] {
        world.request_revocation(client).await?;
    }
    let newer = world.fence(queued.client_id).await?;
    let claimed = world.store().begin().await?.claim_job(&queued, Step::Issue, &newer, LEASE).await;
    ensure!(matches!(claimed, Err(StoreError::Fenced)), "{claimed:?}");
    let advanced = world.store().begin().await?.advance_job(&running, Step::Acknowledge, &fence).await;
    ensure!(matches!(advanced, Err(StoreError::Fenced)), "{advanced:?}");
    Ok(())
}

async fn a_step_is_reached_as_often_as_it_takes(world: World) -> Result<()> {
    for (kind, step) in [(JobKind::Provision, Step::Acknowledge), (JobKind::Revoke, Step::Disconnect)] {
        let (job, fence) = world.running(kind).await?;
        for _ in 0..2 {
            let mut tx = world.store().begin().await?;
            let advanced = tx.advance_job(&job, step, &fence).await?;
            tx.commit(told(), []).await?;
            assert_eq!(world.reload_job(job.id).await?, advanced);
            assert_eq!(advanced.step, Some(step));
        }
        let newer = world.fence(job.client_id).await?;
        let foreign = world.store().begin().await?.advance_job(&job, step, &newer).await;
        ensure!(matches!(foreign, Err(StoreError::Fenced)), "{foreign:?}");
    }
    Ok(())
}

/// SQLite's clock has milliseconds, so that two may have been asked for at once.
async fn jobs_are_found_by_when_they_were_asked_for(world: World) -> Result<()> {
    let mut all = Vec::new();
    for _ in 0..4 {
        all.insert(0, world.queued(JobKind::Provision).await?);
    }
    for middle in all.iter().map(|job| job.queued_at) {
        for (from, until) in [(Some(middle), None), (None, Some(middle))] {
            let filter = JobFilter { queued_at: TimeRange { since: from, until }, ..JobFilter::default() };
            let found = world.store().read().await?.jobs(&filter, &PageRequest::first(10)).await?.items;
            let within = |at| from.is_none_or(|from| at >= from) && until.is_none_or(|until| at < until);
            assert_eq!(found, all.iter().filter(|job| within(job.queued_at)).cloned().collect::<Vec<_>>());
        }
    }
    Ok(())
}

async fn jobs_are_found_by_client_kind_and_state(world: World) -> Result<()> {
    let queued = world.queued(JobKind::Provision).await?;
    let (running, _) = world.running(JobKind::Revoke).await?;
    let later = world.job(queued.client_id, JobKind::Revoke).await?;
    let none = JobFilter::default;
    for (filter, expected) in [
        (none(), vec![&later, &running, &queued]),
        (JobFilter { client_id: Some(queued.client_id), ..none() }, vec![&later, &queued]),
        (JobFilter { kind: Some(JobKind::Revoke), ..none() }, vec![&later, &running]),
        (JobFilter { state: Some(JobState::Running), ..none() }, vec![&running]),
        (JobFilter { kind: Some(JobKind::Provision), state: Some(JobState::Running), ..none() }, vec![]),
        (JobFilter { requested_by: Some(queued.requested_by.clone()), ..none() }, vec![&later, &running, &queued]),
        (JobFilter { requested_by: Some("nobody".to_owned()), ..none() }, vec![]),
    ] {
        let found = world.store().read().await?.jobs(&filter, &PageRequest::first(10)).await?;
        assert_eq!(found.items.iter().collect::<Vec<_>>(), expected, "{filter:?}");
    }
    let mut reader = world.store().read().await?;
    assert_eq!(reader.latest_job(queued.client_id, JobKind::Provision).await?, Some(queued.clone()));
    assert_eq!(reader.latest_job(queued.client_id, JobKind::Revoke).await?, Some(later));
    assert_eq!(reader.latest_job(running.client_id, JobKind::Provision).await?, None);
    assert_eq!(reader.open_job_counts().await?, (2, 1));
    Ok(())
}

async fn jobs_are_found_by_many_ids(world: World) -> Result<()> {
    let (one, two) = (world.queued(JobKind::Provision).await?, world.queued(JobKind::Revoke).await?);
    // More than one statement takes.
    let unknown = (0..450).map(|_| world.new_job(one.client_id, JobKind::Revoke).id);
    let ids: Vec<_> = std::iter::once(one.id).chain(unknown).chain([two.id]).collect();
    let mut found = world.store().read().await?.jobs_by_id(&ids).await?;
    found.sort_by_key(|job| job.id);
    assert_eq!(found, [one, two]);
    assert_eq!(world.store().read().await?.jobs_by_id(&[]).await?, []);
    Ok(())
}
