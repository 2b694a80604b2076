//! Jobs go `queued → running → succeeded | failed`, back to `queued`, or `queued → canceled`.

use std::time::Duration;

use anyhow::Result;
use vpn_core::domain::{Job, JobKind};
use vpn_tests::{Database, World, attack::Attacker, failure, on_every_database, told};

on_every_database!(
    a_finished_job_is_final,
    a_job_takes_no_short_cut,
    what_a_job_is_cannot_be_changed,
    counters_never_fall,
    a_job_is_born_queued_and_blank,
    a_client_gets_no_second_unfinished_job_of_a_kind,
    an_overtaken_provision_neither_starts_nor_succeeds,
);

/// Tries each change on the job; all are refused with these words, and nothing is changed.
async fn refused(world: &World, job: &Job, words: &str, changes: &[&str]) -> Result<()> {
    let before = world.reload_job(job.id).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    for change in changes {
        attacker.refused(words, format!("UPDATE jobs SET {change} WHERE id = '{}'", job.id)).await?;
    }
    assert_eq!(world.reload_job(job.id).await?, before);
    Ok(())
}

async fn a_finished_job_is_final(world: World) -> Result<()> {
    let (succeeded, one) = world.running(JobKind::Provision).await?;
    let (failed, two) = world.running(JobKind::Revoke).await?;
    let canceled = world.queued(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    tx.succeed_job(&succeeded, &one).await?;
    tx.fail_job(&failed, &failure(), &two).await?;
    tx.cancel_job(canceled.id).await?;
    tx.commit(told(), []).await?;
    let changes = [
        "state = 'queued'",
        "state = 'running'",
        "state = 'failed'",
        "state = 'succeeded'",
        "finished_at = NULL",
        "error_message = 'nothing happened'",
        "attempts = attempts + 1",
        "generation = generation + 1",
    ];
    for job in [succeeded, failed, canceled] {
        refused(&world, &job, "jobs: finished is final", &changes).await?;
    }
    Ok(())
}

async fn a_job_takes_no_short_cut(world: World) -> Result<()> {
    let queued = world.queued(JobKind::Provision).await?;
    let changes = ["state = 'succeeded'", "state = 'failed'"];
    refused(&world, &queued, "jobs: illegal transition", &changes).await?;
    let (running, _) = world.running(JobKind::Provision).await?;
    refused(&world, &running, "jobs: illegal transition", &["state = 'canceled'"]).await?;
    if world.db.database == Database::MariaDb {
        // A server that takes what does not fit and makes something of it.
        let mut attacker = Attacker::on(&world.db).await?;
        attacker.run("SET SESSION sql_mode = '', check_constraint_checks = 0, foreign_key_checks = 0").await?;
        for state in ["'failed '", "'queued '", "'running '", "''", "NULL", "0"] {
            let sql = format!("UPDATE jobs SET state = {state} WHERE id = '{}'", running.id);
            attacker.refused("jobs: illegal transition", sql).await?;
        }
    }
    Ok(())
}

async fn what_a_job_is_cannot_be_changed(world: World) -> Result<()> {
    let other = format!("client_id = '{}'", world.client().await?.id);
    let changes = [
        "id = 'job_00000000000000000000000000000000'",
        "kind = 'revoke'",
        "input = '{}'",
        "input = CONCAT(input, ' ')",
        "requested_by = 'mallory'",
        "requested_by = 'ALICE'",
        "queued_at = 1",
        "retry_of = 'job_0'",
        other.as_str(),
    ];
    let (running, _) = world.running(JobKind::Provision).await?;
    for job in [world.queued(JobKind::Provision).await?, running] {
        refused(&world, &job, "jobs: immutable column", &changes).await?;
    }
    Ok(())
}

async fn counters_never_fall(world: World) -> Result<()> {
    let (job, _) = world.running(JobKind::Provision).await?;
    let changes = ["attempts = attempts - 1", "fence = 0", "generation = 0", "state = 'queued', attempts = 0"];
    refused(&world, &job, "jobs: counter fell", &changes).await
}

async fn a_job_is_born_queued_and_blank(world: World) -> Result<()> {
    let client = world.client().await?.id;
    let mut attacker = Attacker::on(&world.db).await?;
    for (column, value) in [
        ("state", "'running'"),
        ("state", "'succeeded'"),
        ("attempts", "1"),
        ("fence", "1"),
        ("attempt", "'x'"),
        ("lease_until_at", "1"),
        ("started_at", "1"),
        ("finished_at", "1"),
    ] {
        let insert = format!(
            "INSERT INTO jobs (id, client_id, kind, max_attempts, input, requested_by, queued_at, run_after_at, rang_at, \
             {column}) VALUES ('job_0', '{client}', 'revoke', 1, '{{}}', 'mallory', 1, 1, 1, {value})"
        );
        attacker.refused("jobs: illegal insert", insert).await?;
    }
    Ok(())
}

async fn a_client_gets_no_second_unfinished_job_of_a_kind(world: World) -> Result<()> {
    let queued = world.queued(JobKind::Provision).await?;
    let (running, _) = world.running(JobKind::Revoke).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    for job in [queued, running] {
        let error = attacker
            .fails(format!(
                "INSERT INTO jobs (id, client_id, kind, max_attempts, input, requested_by, queued_at, run_after_at, \
                 rang_at) VALUES ('job_0', '{}', '{}', 1, '{{}}', 'mallory', 1, 1, 1)",
                job.client_id,
                job.kind().as_str()
            ))
            .await?;
        let duplicate = error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation);
        anyhow::ensure!(duplicate, "{error}");
    }
    Ok(())
}

async fn an_overtaken_provision_neither_starts_nor_succeeds(world: World) -> Result<()> {
    let queued = world.queued(JobKind::Provision).await?;
    let (running, _) = world.running(JobKind::Provision).await?;
    for job in [&queued, &running] {
        world.request_revocation(job.client_id).await?;
    }
    refused(&world, &queued, "jobs: revocation requested", &["state = 'running', fence = fence + 1"]).await?;
    // A new fence on a running job is a new start, too.
    let changes = ["state = 'succeeded'", "fence = fence + 1"];
    refused(&world, &running, "jobs: revocation requested", &changes).await?;

    // It may still end without success, and a revocation may start.
    let mut attacker = Attacker::on(&world.db).await?;
    attacker.run(format!("UPDATE jobs SET state = 'failed' WHERE id = '{}'", running.id)).await?;
    let revoke = world.job(queued.client_id, JobKind::Revoke).await?;
    world.claim(&revoke, Duration::from_secs(30)).await?;
    Ok(())
}
