//! Setting a database up.

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use vpn_core::store::{Dialect, Opened, Store, StoreError, StoreOptions};
use vpn_tests::{Database, Db, World, on_every_database};

on_every_database!(
    setting_up_again_changes_nothing,
    a_database_knows_what_it_was_opened_for,
    a_database_that_was_never_set_up_says_so,
    several_processes_set_one_database_up_at_once,
    a_store_names_its_dialect_and_answers,
);

async fn setting_up_again_changes_nothing(world: World) -> Result<()> {
    let before = world.store().read().await?.audit_head().await?;
    world.db.another_store()?.migrate(Opened::Development).await?;
    assert_eq!(world.store().read().await?.audit_head().await?, before);
    assert_eq!(world.store().opened().await?, Opened::Production);
    Ok(())
}

async fn a_database_knows_what_it_was_opened_for(world: World) -> Result<()> {
    let other = Db::empty(world.db.database).await?;
    other.store.migrate(Opened::Development).await?;
    assert_eq!(other.store.opened().await?, Opened::Development);
    assert_eq!(world.store().opened().await?, Opened::Production);
    Ok(())
}

async fn a_database_that_was_never_set_up_says_so(world: World) -> Result<()> {
    let empty = Db::empty(world.db.database).await?;
    let Err(StoreError::Schema(cure)) = empty.store.opened().await else { anyhow::bail!("it was set up") };
    ensure!(cure.contains("vpn-graphql migrate"), "{cure}");
    Ok(())
}

async fn several_processes_set_one_database_up_at_once(world: World) -> Result<()> {
    let empty = Db::empty(world.db.database).await?;
    let processes = (0..4).map(|_| empty.another_store()).collect::<Result<Vec<Store>>>()?;
    try_join_all(processes.iter().map(|store| store.migrate(Opened::Production))).await?;
    assert_eq!(empty.store.read().await?.audit_head().await?.seq, 1, "the log was opened once");
    Ok(())
}

async fn a_store_names_its_dialect_and_answers(world: World) -> Result<()> {
    let (dialect, name) = match world.db.database {
        Database::Sqlite => (Dialect::Sqlite, "sqlite"),
        Database::Postgres => (Dialect::Postgres, "postgres"),
        Database::MariaDb => (Dialect::MySql, "mysql"),
    };
    assert_eq!((world.store().dialect(), world.store().dialect().as_str()), (dialect, name));
    world.store().ping().await?;
    Ok(())
}

#[tokio::test]
async fn a_url_of_another_kind_is_refused_with_the_cure() -> Result<()> {
    let Err(error) = Store::connect_lazy(&StoreOptions::new("oracle://db")) else { anyhow::bail!("it was taken") };
    ensure!(error.to_string().contains("sqlite:, postgres:, mysql: or mariadb:"), "{error}");
    Ok(())
}
