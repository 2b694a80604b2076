//! Ways around triggers that one database has and the others have not.

use anyhow::{Context as _, Result};
use vpn_core::{domain::JobKind, sandbox::random_hex};
use vpn_tests::{Database, World, attack::Attacker};

/// A superuser's way to switch triggers off, meant for replication.
#[tokio::test]
async fn the_replica_role_of_postgres_gets_past_nothing() -> Result<()> {
    let world = World::on(Database::Postgres).await?;
    let client = world.revoked().await?;
    let job = world.queued(JobKind::Provision).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    attacker.run("SET session_replication_role = replica").await?;
    for (words, sql) in [
        ("clients: revoked is final", format!("UPDATE clients SET status = 'active' WHERE id = '{}'", client.id)),
        ("jobs: illegal transition", format!("UPDATE jobs SET state = 'succeeded' WHERE id = '{}'", job.id)),
        ("audit_log: UPDATE refused", "UPDATE audit_log SET actor = 'mallory'".to_owned()),
        ("audit_log: DELETE refused", "DELETE FROM audit_log".to_owned()),
        ("audit_log: TRUNCATE refused", "TRUNCATE audit_log".to_owned()),
        ("audit_head: must follow the log", "UPDATE audit_head SET seq = 0".to_owned()),
        ("clients: DELETE refused", "DELETE FROM clients".to_owned()),
        ("clients: TRUNCATE refused", "TRUNCATE clients CASCADE".to_owned()),
    ] {
        attacker.refused(words, sql).await?;
    }
    world.verify_log().await?;
    Ok(())
}

/// A trigger that looked up `audit_head` by its bare name would ask the attacker's table.
#[tokio::test]
async fn a_temporary_table_of_postgres_shadows_nothing() -> Result<()> {
    let world = World::on(Database::Postgres).await?;
    let job = world.queued(JobKind::Provision).await?;
    world.request_revocation(job.client_id).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    let (_, ours) = world.db.url.rsplit_once("%3D").context("the URL names the schema")?;
    attacker
        .run(format!(
            "CREATE TEMP TABLE audit_head AS SELECT 1 AS one, CAST(41 AS bigint) AS seq, leaf_hash FROM {ours}.audit_head; \
             CREATE TEMP TABLE clients AS SELECT * FROM {ours}.clients; \
             UPDATE pg_temp.clients SET revoke_requested_at = NULL; \
             SET search_path = pg_temp, {ours}"
        ))
        .await?;
    let entry = format!(
        "INSERT INTO {ours}.audit_log SELECT 42, leaf_hash, canonical, sha256('\\x00'::bytea || int8send(42) || \
         leaf_hash || canonical), at, actor, action, outcome, client_id, job_id FROM {ours}.audit_log \
         ORDER BY seq DESC LIMIT 1"
    );
    attacker.refused("audit_log: must extend the head", entry).await?;
    let start = format!("UPDATE {ours}.jobs SET state = 'running', fence = 1 WHERE id = '{}'", job.id);
    attacker.refused("jobs: revocation requested", start).await?;
    world.verify_log().await?;
    Ok(())
}

/// `foreign_key_checks = 0` lifts what stops `TRUNCATE`; triggers stay. The platform's user is to have no
/// right to `DROP`, which `TRUNCATE` needs.
#[tokio::test]
async fn a_mariadb_user_without_drop_truncates_nothing() -> Result<()> {
    let world = World::on(Database::MariaDb).await?;
    let (user, password) = (format!("u{}", random_hex(6)?), random_hex(8)?);
    let (server, schema) = world.db.url.rsplit_once('/').unwrap_or_default();
    let address = server.rsplit_once('@').unwrap_or_default().1;
    let mut owner = Attacker::on(&world.db).await?;
    owner.run(format!("CREATE USER '{user}'@'127.0.0.1' IDENTIFIED BY '{password}'")).await?;
    owner.run(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.* TO '{user}'@'127.0.0.1'")).await?;

    let url = format!("mysql://{user}:{password}@{address}/{schema}");
    let mut attacker = Attacker::with_url(&url, Database::MariaDb).await?;
    attacker.run("SET SESSION sql_mode = '', check_constraint_checks = 0, foreign_key_checks = 0").await?;
    for table in ["audit_log", "audit_head", "clients", "jobs", "tokens", "profiles", "servers"] {
        attacker.refused("DROP command denied", format!("TRUNCATE {table}")).await?;
        attacker.fails(format!("ALTER TABLE {table} RENAME TO gone")).await?;
        attacker.fails(format!("DROP TRIGGER {table}_update")).await?;
    }
    world.verify_log().await?;
    Ok(())
}

/// `UPDATE OR REPLACE` removes the row that has the name already.
#[tokio::test]
async fn an_update_of_sqlite_replaces_no_server() -> Result<()> {
    let world = World::on(Database::Sqlite).await?;
    let (one, two) = (world.server().await?, world.server().await?);
    let mut attacker = Attacker::on(&world.db).await?;
    let sql = format!("UPDATE OR REPLACE servers SET name = '{}' WHERE id = '{}'", one.name, two.id);
    attacker.refused("servers: REPLACE refused", sql).await?;
    let plain = attacker.fails(format!("UPDATE servers SET name = '{}' WHERE id = '{}'", one.name, two.id)).await?;
    assert!(plain.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation), "{plain}");
    assert_eq!(world.store().read().await?.servers().await?.len(), 2);
    Ok(())
}
