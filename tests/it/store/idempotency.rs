//! Idempotency keys: one answer for a day.

use std::time::Duration;

use anyhow::{Result, ensure};
use vpn_core::domain::JobKind;
use vpn_core::store::{IdempotencyRecord, Remembered, StoreError};
use vpn_tests::{World, attack::Attacker, on_every_database, told};

on_every_database!(
    a_key_is_remembered_for_its_caller,
    a_key_is_remembered_once,
    a_key_is_forgotten_after_a_day,
    two_calls_with_one_key_make_one_record,
);

async fn record(world: &World) -> Result<IdempotencyRecord> {
    let job = world.queued(JobKind::Provision).await?;
    Ok(IdempotencyRecord {
        operation: "provisionClient".to_owned(),
        request_hash: world.ambient.random(),
        result: Remembered { client_id: Some(job.client_id), job_id: Some(job.id), server_id: None, approval_id: None },
    })
}

async fn remember(world: &World, key: &str, record: &IdempotencyRecord) -> Result<Result<i64, StoreError>> {
    let mut tx = world.store().begin().await?;
    Ok(match tx.remember("alice", key, record).await {
        Ok(()) => tx.commit(told(), []).await,
        Err(error) => Err(error),
    })
}

async fn a_key_is_remembered_for_its_caller(world: World) -> Result<()> {
    let record = record(&world).await?;
    let now = world.store().begin().await?.at();
    assert_eq!(world.store().read().await?.idempotency_key("alice", "k", now).await?, None);
    remember(&world, "k", &record).await??;
    let mut reader = world.store().read().await?;
    assert_eq!(reader.idempotency_key("alice", "k", now).await?.as_ref(), Some(&record));
    for (principal, key) in [("bob", "k"), ("alice", "K"), ("alice", "k2")] {
        assert_eq!(reader.idempotency_key(principal, key, now).await?, None, "{principal} {key}");
    }
    Ok(())
}

async fn a_key_is_remembered_once(world: World) -> Result<()> {
    let first = record(&world).await?;
    remember(&world, "k", &first).await??;
    let again = remember(&world, "k", &record(&world).await?).await?;
    ensure!(matches!(again, Err(StoreError::Duplicate(_))), "{again:?}");
    let now = world.store().begin().await?.at();
    assert_eq!(world.store().read().await?.idempotency_key("alice", "k", now).await?, Some(first));
    Ok(())
}

async fn a_key_is_forgotten_after_a_day(world: World) -> Result<()> {
    remember(&world, "k", &record(&world).await?).await??;
    let now = world.store().begin().await?.at();
    let tomorrow = now.plus(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(world.store().read().await?.idempotency_key("alice", "k", tomorrow).await?, None);

    // Not before, however often the sweeper forgets old ones.
    let mut tx = world.store().begin().await?;
    tx.forget_old_keys().await?;
    tx.commit(told(), []).await?;
    ensure!(world.store().read().await?.idempotency_key("alice", "k", now).await?.is_some());

    // A day passes in the database.
    let yesterday = now.minus(Duration::from_hours(24)).micros();
    Attacker::on(&world.db).await?.run(format!("UPDATE idempotency_keys SET created_at = {yesterday}")).await?;
    assert_eq!(world.store().read().await?.idempotency_key("alice", "k", now).await?, None);
    let next = record(&world).await?;
    remember(&world, "k", &next).await??;
    assert_eq!(world.store().read().await?.idempotency_key("alice", "k", now).await?, Some(next));
    Ok(())
}

async fn two_calls_with_one_key_make_one_record(world: World) -> Result<()> {
    let (first, second) = (record(&world).await?, record(&world).await?);
    let (one, two) = tokio::join!(remember(&world, "k", &first), remember(&world, "k", &second));
    let (one, two) = (one?, two?);
    ensure!(one.is_ok() != two.is_ok(), "exactly one is remembered: {one:?}, {two:?}");
    let lost = if one.is_err() { one } else { two };
    ensure!(matches!(lost, Err(StoreError::Duplicate(_) | StoreError::Contended(_))), "{lost:?}");
    Ok(())
}
