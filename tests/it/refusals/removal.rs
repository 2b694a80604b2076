//! Nothing is removed: not by `DELETE`, `TRUNCATE` or `REPLACE`, nor by an insert that becomes an update.

use anyhow::{Result, ensure};
use vpn_core::domain::{JobKind, Role, TokenId};
use vpn_core::store::{NewProfile, NewToken};
use vpn_tests::{Database, World, attack::Attacker, on_every_database, told};

on_every_database!(nothing_is_deleted, nothing_is_truncated, nothing_is_replaced, an_insert_does_not_become_an_update);

const TABLES: [&str; 8] =
    ["servers", "clients", "jobs", "audit_log", "audit_head", "audit_values", "tokens", "profiles"];

/// A row in every table.
async fn full(world: World) -> Result<World> {
    let (job, fence) = world.running(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    let expires_at = tx.at().plus(std::time::Duration::from_mins(1));
    let sealed = NewProfile { client_id: job.client_id, sealed: vec![1, 2, 3], has_key: true };
    tx.store_profile(&sealed, &fence).await?;
    let token = NewToken {
        id: TokenId::generate(&world.ambient),
        principal: "bob".parse()?,
        role: Role::Viewer,
        scopes: vpn_core::domain::Scopes::ALL,
        secret_hash: [7; 32],
        created_by: "alice".to_owned(),
        expires_at,
    };
    tx.insert_token(&token).await?;
    tx.commit(told().with("reason", "a laptop was lost"), []).await?;
    Ok(world)
}

async fn nothing_is_deleted(world: World) -> Result<()> {
    let world = full(world).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    if world.db.database == Database::MariaDb {
        attacker.run("SET SESSION sql_mode = '', check_constraint_checks = 0, foreign_key_checks = 0").await?;
    }
    for table in TABLES {
        let refusal = format!("{table}: DELETE refused");
        attacker.refused(&refusal, format!("DELETE FROM {table}")).await?;
        attacker.refused(&refusal, format!("DELETE FROM {table} WHERE 1 = 1")).await?;
    }
    world.verify_log().await?;
    Ok(())
}

async fn nothing_is_truncated(world: World) -> Result<()> {
    let world = full(world).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    for table in TABLES {
        match world.db.database {
            // It has no TRUNCATE; its short cut for a DELETE of everything is not taken past a trigger.
            Database::Sqlite => {
                attacker.refused(&format!("{table}: DELETE refused"), format!("DELETE FROM {table}")).await?;
            }
            Database::Postgres => {
                let refusal = format!("{table}: TRUNCATE refused");
                attacker.refused(&refusal, format!("TRUNCATE {table} CASCADE")).await?;
            }
            Database::MariaDb => {
                let refusal = "Cannot truncate a table referenced in a foreign key constraint";
                attacker.refused(refusal, format!("TRUNCATE {table}")).await?;
            }
        }
    }
    world.verify_log().await?;
    Ok(())
}

/// `REPLACE` with the keys of a row that is there, and everything else changed.
async fn nothing_is_replaced(world: World) -> Result<()> {
    let world = full(world).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    for pragma in ["OFF", "ON"] {
        let (replace, refused) = match world.db.database {
            Database::Sqlite => {
                // Its triggers for DELETE are skipped by REPLACE unless the connection wants them.
                attacker.run(format!("PRAGMA recursive_triggers = {pragma}")).await?;
                ("INSERT OR REPLACE INTO", "REPLACE refused")
            }
            Database::MariaDb => ("REPLACE INTO", "DELETE refused"),
            Database::Postgres => return Ok(()),
        };
        for (table, copy) in [
            (
                "servers",
                "SELECT id, name, 'evil.example.org', port, ssh_user, host_key, created_by, created_at, state FROM servers",
            ),
            (
                "tokens",
                "SELECT id, principal, 'admin', secret_hash, created_by, created_at, expires_at, NULL, NULL, NULL, 'read' FROM tokens",
            ),
            ("profiles", "SELECT client_id, sealed, 0, stored_at, NULL, NULL, NULL FROM profiles"),
        ] {
            attacker.refused(&format!("{table}: {refused}"), format!("{replace} {table} {copy}")).await?;
        }
        // These have generated columns on one of the databases: the columns are named.
        let clients = "(id, server_id, name, serial, created_by, created_at)";
        for values in [
            "id, server_id, name, serial, 'mallory', 1",
            "'cli_0', server_id, name, '70000000000000000000000000000000', 'mallory', 1",
            "'cli_0', server_id, 'other', serial, 'mallory', 1",
        ] {
            let sql = format!("{replace} clients {clients} SELECT {values} FROM clients");
            attacker.refused(&format!("clients: {refused}"), sql).await?;
        }
        let jobs = "(id, client_id, kind, max_attempts, input, requested_by, queued_at, run_after_at, rang_at)";
        for id in ["id", "'job_0'"] {
            let sql =
                format!("{replace} jobs {jobs} SELECT {id}, client_id, kind, 9, '{{}}', 'mallory', 1, 1, 1 FROM jobs");
            attacker.refused(&format!("jobs: {refused}"), sql).await?;
        }
        let entry = "SELECT seq, prev_hash, canonical, leaf_hash, at, 'mallory', action, outcome, client_id, job_id \
                     FROM audit_log WHERE seq = 1";
        attacker.refused("audit_log: must extend the head", format!("{replace} audit_log {entry}")).await?;
        let head = "(one, seq, leaf_hash) SELECT one, 0, leaf_hash FROM audit_head";
        attacker.refused("audit_head: INSERT refused", format!("{replace} audit_head {head}")).await?;
        let values = "(commitment, salt, kind, value) SELECT commitment, salt, kind, value FROM audit_values";
        attacker.refused(&format!("audit_values: {refused}"), format!("{replace} audit_values {values}")).await?;
    }
    world.verify_log().await?;
    Ok(())
}

async fn an_insert_does_not_become_an_update(world: World) -> Result<()> {
    let world = full(world).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    let on_conflict = |key: &str, change: &str| match world.db.database {
        Database::MariaDb => format!("ON DUPLICATE KEY UPDATE {change}"),
        Database::Sqlite | Database::Postgres => format!("ON CONFLICT ({key}) DO UPDATE SET {change}"),
    };
    let clients = "INSERT INTO clients (id, server_id, name, serial, created_by, created_at) \
                   SELECT id, server_id, name, serial, created_by, created_at FROM clients WHERE 1 = 1";
    let sql = format!("{clients} {}", on_conflict("id", "created_by = 'mallory'"));
    attacker.refused("clients: immutable column", sql).await?;
    let jobs = "INSERT INTO jobs (id, client_id, kind, max_attempts, input, requested_by, queued_at, run_after_at, \
                rang_at) SELECT id, client_id, kind, 1, input, requested_by, 1, 1, 1 FROM jobs WHERE 1 = 1";
    attacker.refused("jobs: counter fell", format!("{jobs} {}", on_conflict("id", "fence = 0"))).await?;
    let entry = "INSERT INTO audit_log SELECT * FROM audit_log WHERE seq = 1";
    let sql = format!("{entry} {}", on_conflict("seq", "actor = 'mallory'"));
    attacker.refused("audit_log: must extend the head", sql).await?;
    let head = "INSERT INTO audit_head SELECT * FROM audit_head WHERE one = 1";
    let refused = attacker.fails(format!("{head} {}", on_conflict("one", "seq = 0"))).await?.to_string();
    ensure!(refused.contains("audit_head: "), "{refused}");
    world.verify_log().await?;
    Ok(())
}
