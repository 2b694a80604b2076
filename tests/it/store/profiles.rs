//! Profiles: stored under a fence, delivered once, gone for good.

use anyhow::{Result, ensure};
use vpn_core::{
    domain::{ClientId, Fence, JobKind},
    store::{NewProfile, StoreError},
};
use vpn_tests::{World, on_every_database, told};

on_every_database!(
    a_profile_is_read_back_as_it_was_stored,
    a_repeated_attempt_stores_the_profile_again,
    a_stale_fence_stores_no_profile,
    a_profile_is_delivered_once,
    a_destroyed_profile_is_neither_delivered_nor_stored_again,
    a_client_without_a_profile_has_none,
);

/// Not text in any encoding: the bytes have to come back as they are.
const SEALED: [u8; 6] = [0, 0xff, 0xfe, b'\'', b'\\', 0];

fn sealed(client_id: ClientId) -> NewProfile {
    NewProfile { client_id, sealed: SEALED.to_vec(), has_key: true }
}

async fn stored(world: &World) -> Result<(ClientId, Fence)> {
    let (job, fence) = world.running(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    tx.store_profile(&sealed(job.client_id), &fence).await?;
    tx.commit(told(), []).await?;
    Ok((job.client_id, fence))
}

async fn a_profile_is_read_back_as_it_was_stored(world: World) -> Result<()> {
    let (client, _) = stored(&world).await?;
    let profile = world.store().read().await?.profile(client).await?;
    let Some(profile) = profile else { anyhow::bail!("no profile") };
    assert_eq!(profile.sealed.as_deref(), Some(&SEALED[..]));
    assert_eq!((profile.has_key, profile.delivered_at), (true, None));
    Ok(())
}

async fn a_repeated_attempt_stores_the_profile_again(world: World) -> Result<()> {
    let (client, fence) = stored(&world).await?;
    for sealed in [SEALED.to_vec(), vec![1, 2, 3]] {
        let mut tx = world.store().begin().await?;
        tx.store_profile(&NewProfile { client_id: client, sealed: sealed.clone(), has_key: false }, &fence).await?;
        tx.commit(told(), []).await?;
        let profile = world.store().read().await?.profile(client).await?;
        assert_eq!(profile.map(|profile| (profile.sealed, profile.has_key)), Some((Some(sealed), false)));
    }
    Ok(())
}

async fn a_stale_fence_stores_no_profile(world: World) -> Result<()> {
    let (job, _) = world.running(JobKind::Provision).await?;
    let foreign = world.fence(job.client_id).await?;
    let first = world.store().begin().await?.store_profile(&sealed(job.client_id), &foreign).await;
    ensure!(matches!(first, Err(StoreError::Fenced)), "{first:?}");

    let (client, _) = stored(&world).await?;
    let foreign = world.fence(client).await?;
    let again = world.store().begin().await?.store_profile(&sealed(client), &foreign).await;
    ensure!(matches!(again, Err(StoreError::Fenced)), "{again:?}");
    Ok(())
}

async fn a_profile_is_delivered_once(world: World) -> Result<()> {
    let (client, fence) = stored(&world).await?;
    let mut tx = world.store().begin().await?;
    let at = tx.at();
    tx.deliver_profile(client, "alice").await?;
    tx.commit(told(), []).await?;
    let profile = world.store().read().await?.profile(client).await?;
    assert_eq!(profile.map(|profile| (profile.sealed, profile.delivered_at)), Some((None, Some(at))));

    let mut tx = world.store().begin().await?;
    let again = tx.deliver_profile(client, "bob").await;
    ensure!(matches!(again, Err(StoreError::Fenced)), "{again:?}");
    let back = tx.store_profile(&sealed(client), &fence).await;
    ensure!(matches!(back, Err(StoreError::Fenced)), "{back:?}");
    ensure!(!tx.destroy_profile(client).await?, "there is nothing left to destroy");
    Ok(())
}

async fn a_destroyed_profile_is_neither_delivered_nor_stored_again(world: World) -> Result<()> {
    let (client, fence) = stored(&world).await?;
    let mut tx = world.store().begin().await?;
    ensure!(tx.destroy_profile(client).await?);
    ensure!(!tx.destroy_profile(client).await?, "it was gone");
    tx.commit(told(), []).await?;
    let mut tx = world.store().begin().await?;
    let delivered = tx.deliver_profile(client, "alice").await;
    ensure!(matches!(delivered, Err(StoreError::Fenced)), "{delivered:?}");
    let back = tx.store_profile(&sealed(client), &fence).await;
    ensure!(matches!(back, Err(StoreError::Fenced)), "{back:?}");
    Ok(())
}

async fn a_client_without_a_profile_has_none(world: World) -> Result<()> {
    let client = world.client().await?.id;
    ensure!(world.store().read().await?.profile(client).await?.is_none());
    let mut tx = world.store().begin().await?;
    ensure!(!tx.destroy_profile(client).await?);
    let delivered = tx.deliver_profile(client, "alice").await;
    ensure!(matches!(delivered, Err(StoreError::Fenced)), "{delivered:?}");
    Ok(())
}
