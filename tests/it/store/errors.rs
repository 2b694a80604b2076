//! What a failure of the database is called, and whether it is worth another try.

use std::time::Duration;

use anyhow::{Result, ensure};
use vpn_core::{
    domain::JobKind,
    store::{Opened, Store, StoreError, StoreOptions},
};
use vpn_tests::{Database, World, attack::Attacker, deserted::Deserted, on_every_database, soon, told};

on_every_database!(
    a_closed_pool_is_unavailable,
    a_database_that_cannot_be_reached_is_unavailable,
    a_pool_without_a_free_connection_is_unavailable,
    an_illegal_change_is_refused,
    a_damaged_row_names_its_table,
    a_row_that_stays_locked_is_contended,
);

async fn a_closed_pool_is_unavailable(world: World) -> Result<()> {
    world.store().close().await;
    let Err(error) = world.store().ping().await else { anyhow::bail!("a closed store answered") };
    assert_eq!((error.code(), error.is_retryable()), ("DATABASE_UNAVAILABLE", true));
    Ok(())
}

async fn a_database_that_cannot_be_reached_is_unavailable(world: World) -> Result<()> {
    let deserted = Deserted::new()?;
    let url = match world.db.database {
        Database::Sqlite => "sqlite:///nonexistent/platform.db".to_owned(),
        Database::Postgres => format!("postgres://a:b@127.0.0.1:{}/c", deserted.port()?),
        Database::MariaDb => format!("mariadb://a:b@127.0.0.1:{}/c", deserted.port()?),
    };
    let store =
        Store::connect_lazy(&StoreOptions { acquire_timeout: Duration::from_millis(300), ..StoreOptions::new(url) })?;
    for error in [store.ping().await, store.migrate(Opened::Production).await, store.opened().await.map(drop)] {
        ensure!(matches!(error, Err(StoreError::Unavailable(_))), "{error:?}");
    }
    Ok(())
}

async fn a_pool_without_a_free_connection_is_unavailable(world: World) -> Result<()> {
    let acquire_timeout = Duration::from_secs(5);
    let options = StoreOptions { max_connections: 1, acquire_timeout, ..StoreOptions::new(world.db.url.clone()) };
    let store = Store::connect_lazy(&options)?;
    let _only = store.read().await?;
    let waited = soon("an answer", store.read()).await?;
    ensure!(matches!(waited, Err(StoreError::Unavailable(_))), "{waited:?}");
    Ok(())
}

async fn an_illegal_change_is_refused(world: World) -> Result<()> {
    // For a server that is not there: a foreign key.
    let nowhere = world.new_client(world.new_server()?.id)?;
    let Err(error) = world.store().begin().await?.insert_client(nowhere).await else {
        anyhow::bail!("a client of no server was stored");
    };
    assert_eq!((error.code(), error.is_retryable()), ("ILLEGAL_CHANGE", false), "{error:?}");

    // A provision whose client's end was asked for: a trigger.
    let (job, fence) = world.running(JobKind::Provision).await?;
    world.request_revocation(job.client_id).await?;
    let Err(error) = world.store().begin().await?.succeed_job(&job, &fence).await else {
        anyhow::bail!("an overtaken provision succeeded");
    };
    assert_eq!((error.code(), error.is_retryable()), ("ILLEGAL_CHANGE", false), "{error:?}");
    Ok(())
}

async fn a_damaged_row_names_its_table(world: World) -> Result<()> {
    let server = world.server().await?;
    Attacker::on(&world.db)
        .await?
        .run(format!("UPDATE servers SET ssh_user = 'no;login' WHERE id = '{}'", server.id))
        .await?;
    let Err(StoreError::Damaged { table, what }) = world.store().read().await?.server(server.id).await else {
        anyhow::bail!("a damaged row was read");
    };
    ensure!(table == "servers" && what.contains("login name"), "{table}: {what}");
    Ok(())
}

async fn a_row_that_stays_locked_is_contended(world: World) -> Result<()> {
    let client = world.client().await?;
    let mut holder = world.store().begin().await?;
    holder.lock_client(client.id).await?;
    // Sessions are less patient here than the platform's, so that the test need not wait.
    let mut waiter = Attacker::on(&world.db).await?;
    let (setting, code) = match world.db.database {
        Database::Sqlite => ("PRAGMA busy_timeout = 50", "locked"),
        Database::Postgres => ("SET lock_timeout = '50ms'", "lock timeout"),
        Database::MariaDb => ("SET innodb_lock_wait_timeout = 1", "Lock wait timeout exceeded"),
    };
    waiter.run(setting).await?;
    let error = waiter.fails(format!("UPDATE clients SET fence = fence + 1 WHERE id = '{}'", client.id)).await?;
    ensure!(error.to_string().contains(code), "{error}");
    let error = StoreError::from(error);
    assert_eq!((error.code(), error.is_retryable()), ("DATABASE_CONTENDED", true), "{error:?}");
    holder.commit(told(), []).await?;
    Ok(())
}
