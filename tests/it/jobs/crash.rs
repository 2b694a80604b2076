//! Workers, Redis and rings that are lost.

use anyhow::Result;
use secrecy::SecretString;
use vpn_core::{
    clock::Ambient,
    domain::{ClientStatus, JobState},
    host::Fault,
    queue::{Bell, Doorbell as _},
    sandbox::Janitor,
    service::{HealthStatus, Platform},
};
use vpn_tests::{Database, Db, TestPlatform, databases::Postgres, platform::vault, redis, whole_on_every_database};

whole_on_every_database!(a_job_of_a_crashed_worker_is_finished_by_another, what_is_asked_without_redis_is_done_later);

async fn a_job_of_a_crashed_worker_is_finished_by_another(test: TestPlatform) -> Result<()> {
    let doomed = test.hasty_worker()?;
    // The reply is lost and the second attempt far away: meanwhile the worker is gone.
    test.faults.plan("ack", Fault::ReplyLost);
    let client = test.client().await?;
    let job = test.provision(client.id).await?.job;
    vpn_tests::eventually("the profile is sealed", async || {
        Ok(test.actions(client.id).await?.contains(&"provision.sealed".to_owned()))
    })
    .await?;
    doomed.crash();
    let worker = test.worker()?;
    let done = test.succeeded(job.id).await?;
    assert_eq!(test.reload(client.id).await?.status(), ClientStatus::Active);
    assert!(done.attempts >= 1);
    worker.drain().await?;
    test.check().await
}

async fn what_is_asked_without_redis_is_done_later(test: TestPlatform) -> Result<()> {
    let worker = test.worker()?;
    test.active().await?;
    let redis = test.sandbox.redis()?;
    redis.stop().await;
    let client = test.client().await?;
    let job = test.provision(client.id).await?.job;
    assert_eq!(job.state, JobState::Queued);
    let health = test.platform.health(&test.admin).await?;
    assert_eq!(health.status, HealthStatus::Degraded);
    let check = health.checks.iter().find(|check| check.name == "redis").expect("Redis is checked");
    assert!(check.message.as_deref().is_some_and(|message| message.contains("wait until it is back")));
    redis.restart().await?;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    test.check().await
}

/// The worker hears the ring and cannot ask SQL: the sweeper rings again once it can.
#[tokio::test]
async fn a_ring_that_sql_could_not_answer_comes_again() -> Result<()> {
    let janitor = Janitor::start()?;
    let postgres = Postgres::start(&janitor).await?;
    let test = TestPlatform::over(Db::on_private(&postgres).await?).await?;
    let client = test.client().await?;
    let job = test.provision(client.id).await?.job;
    let worker = test.worker()?;
    test.succeeded(job.id).await?;

    let next = test.client().await?;
    test.sandbox.redis()?.stop().await;
    let job = test.provision(next.id).await?.job;
    postgres.stop().await;
    test.sandbox.redis()?.restart().await?;
    let bell = Bell::new(redis::connect(&test.sandbox.redis()?.url())?);
    vpn_tests::eventually("Redis is back", async || Ok(bell.ring(job.id, 2).await.is_ok())).await?;
    vpn_tests::eventually("the ring was answered", async || {
        let health = bell.health().await?;
        Ok(health.ready == 0 && health.running == 0)
    })
    .await?;
    assert_eq!(bell.health().await?.dead, 0);
    postgres.restart().await?;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    janitor.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_redis_that_forgets_everything_costs_a_moment_and_nothing_else() -> Result<()> {
    let mut test = TestPlatform::on(Database::Sqlite).await?;
    // A job may have been under way each time, and lose an attempt by it.
    let url = SecretString::from(test.sandbox.redis()?.url());
    test.platform = Platform::connect(test.db.store.clone(), &url, vault()?, Ambient::system(), 20)?;
    let worker = test.hasty_worker()?;
    let mut jobs = Vec::new();
    for round in 0..6 {
        let client = test.client().await?;
        jobs.push(test.provision(client.id).await?.job.id);
        if round % 2 == 0 {
            let mut connection = redis::look(&test.sandbox.redis()?.url()).await?;
            ::redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await?;
        }
    }
    for job in jobs {
        test.succeeded(job).await?;
    }
    worker.drain().await?;
    test.check().await
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_finishes_what_it_has_begun() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let client = test.client().await?;
    let job = test.provision(client.id).await?.job;
    vpn_tests::eventually("the job runs", async || {
        Ok(test.platform.job(&test.admin, job.id).await?.is_some_and(|job| job.state != JobState::Queued))
    })
    .await?;
    worker.drain().await?;
    assert_eq!(test.succeeded(job.id).await?.attempts, 1);
    Ok(())
}

/// A job that kills its worker every time must not go on for ever.
#[tokio::test]
async fn a_job_that_loses_all_its_workers_is_given_up() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let client = test.client().await?;
    let job = test.provision(client.id).await?.job;
    let locks = redis::locks(&test.sandbox.redis()?.url(), vpn_core::lock::LockPolicy::default())?;
    for _ in 0..vpn_tests::platform::MAX_ATTEMPTS {
        // A claim that nobody keeps: what a worker leaves that dies at once.
        let client = test.reload(client.id).await?;
        let fence = locks
            .with(&vpn_core::domain::Client::resource(client.id), client.fence, async |lease| lease.fence().clone())
            .await?;
        let mut tx = test.db.store.begin().await?;
        tx.claim_job(&job, vpn_core::domain::Step::Issue, &fence, std::time::Duration::ZERO).await?;
        tx.commit(vpn_tests::told(), []).await?;
        let sweeper = sweeper(&test)?;
        vpn_tests::eventually("the claim has lapsed", async || {
            sweeper.sweep().await?;
            let job = test.platform.job(&test.admin, job.id).await?;
            Ok(job.is_some_and(|job| job.state != JobState::Running))
        })
        .await?;
    }
    let failed = test.finished(job.id).await?;
    assert_eq!(failed.state, JobState::Failed);
    assert_eq!(failed.failure.expect("a failed job says why").code, "WORKER_LOST");
    Ok(())
}

fn sweeper(test: &TestPlatform) -> Result<vpn_core::jobs::Sweeper> {
    let connection = redis::connect(&test.sandbox.redis()?.url())?;
    Ok(vpn_core::jobs::Sweeper {
        store: test.db.store.clone(),
        bell: std::sync::Arc::new(vpn_core::queue::Bell::new(connection)),
        events: vpn_core::events::Events::follow(test.db.store.clone(), None),
        policy: vpn_core::jobs::SweepPolicy::default(),
    })
}
