//! Servers: stored, found, named once.

use anyhow::{Result, ensure};
use vpn_core::{domain::ServerId, store::StoreError};
use vpn_tests::{World, on_every_database, told};

on_every_database!(
    a_server_is_read_back_as_it_was_stored,
    an_unknown_server_is_none,
    a_servers_name_is_taken_once,
    servers_are_listed_by_name,
    servers_are_found_by_many_ids,
);

async fn a_server_is_read_back_as_it_was_stored(world: World) -> Result<()> {
    let mut tx = world.store().begin().await?;
    let stored = tx.insert_server(world.new_server()?).await?;
    assert_eq!(stored.created_at, tx.at());
    tx.commit(told(), []).await?;
    assert_eq!(world.store().read().await?.server(stored.id).await?, Some(stored));
    Ok(())
}

async fn an_unknown_server_is_none(world: World) -> Result<()> {
    assert_eq!(world.store().read().await?.server(ServerId::generate(&world.ambient)).await?, None);
    Ok(())
}

async fn a_servers_name_is_taken_once(world: World) -> Result<()> {
    let first = world.server().await?;
    let mut second = world.new_server()?;
    second.name = first.name.clone();
    let refused = world.store().begin().await?.insert_server(second).await;
    ensure!(matches!(refused, Err(StoreError::Duplicate(_))), "{refused:?}");
    Ok(())
}

async fn servers_are_listed_by_name(world: World) -> Result<()> {
    for name in ["b", "c", "a"] {
        let mut tx = world.store().begin().await?;
        let mut server = world.new_server()?;
        server.name = name.parse()?;
        tx.insert_server(server).await?;
        tx.commit(told(), []).await?;
    }
    let listed = world.store().read().await?.servers().await?;
    assert_eq!(listed.iter().map(|server| server.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    Ok(())
}

async fn servers_are_found_by_many_ids(world: World) -> Result<()> {
    let (one, two) = (world.server().await?, world.server().await?);
    let unknown = (0..450).map(|_| ServerId::generate(&world.ambient));
    let ids: Vec<_> = std::iter::once(one.id).chain(unknown).chain([two.id]).collect();
    let mut found = world.store().read().await?.servers_by_id(&ids).await?;
    found.sort_by_key(|server| server.id);
    assert_eq!(found, [one, two]);
    Ok(())
}
