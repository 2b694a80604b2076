//! With the roles of `migrations/roles`, the platform does all its work and cannot take a guard away.

use anyhow::{Context as _, Result};
use vpn_core::{
    backup,
    domain::JobKind,
    sandbox::random_hex,
    service::verify_audit_log,
    store::{Store, StoreOptions},
};
use vpn_tests::{Database, World, attack::Attacker};

const POSTGRES: &str = include_str!("../../../migrations/roles/postgres.sql");
const MYSQL: &str = include_str!("../../../migrations/roles/mysql.sql");

/// The database as its owner has it, and the URLs of the two roles.
struct Roles {
    world: World,
    app: String,
    auditor: String,
}

async fn roles(database: Database) -> Result<Roles> {
    let world = World::on(database).await?;
    let mut owner = Attacker::on(&world.db).await?;
    let mark = random_hex(4)?;
    let (app, auditor) = (format!("app_{mark}"), format!("auditor_{mark}"));
    let grants = if database == Database::MariaDb {
        for role in [&app, &auditor] {
            owner.run(format!("CREATE USER '{role}'@'%' IDENTIFIED BY 'secret'")).await?;
        }
        MYSQL.to_owned()
    } else {
        for role in [&app, &auditor] {
            owner.run(format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'")).await?;
        }
        let (_, schema) = world.db.url.split_once("search_path%3D").context("a schema of its own")?;
        POSTGRES.replace("SCHEMA public", &format!("SCHEMA {schema}"))
    };
    owner.run(grants.replace("vpn_app", &app).replace("vpn_auditor", &auditor)).await?;
    let (scheme, rest) = world.db.url.split_once("://").context("a URL")?;
    let (_, place) = rest.split_once('@').context("a URL with a password")?;
    let url = |role: &str| format!("{scheme}://{role}:secret@{place}");
    Ok(Roles { app: url(&app), auditor: url(&auditor), world })
}

async fn the_application_cannot_take_a_guard_away(database: Database, attacks: &[&str]) -> Result<()> {
    let Roles { mut world, app, auditor } = roles(database).await?;
    world.db.store = Store::connect_lazy(&StoreOptions::new(app.clone()))?;
    world.active().await?;
    world.revoked().await?;
    world.queued(JobKind::Provision).await?;

    let mut attacker = Attacker::with_url(&app, database).await?;
    for attack in attacks {
        let said = attacker.fails(*attack).await?.to_string();
        let words = ["denied", "must be owner", "must be the owner", "refused"];
        anyhow::ensure!(words.iter().any(|word| said.contains(word)), "{attack}: {said}");
    }
    let verified = verify_audit_log(&world.db.store).await?;
    let backup = backup::write(&world.db.store, &mut Vec::new()).await?;
    anyhow::ensure!(backup.header.head.seq > 0);

    // Who verifies may read the log, and nothing else.
    let reading = Store::connect_lazy(&StoreOptions::new(auditor.clone()))?;
    assert_eq!(verify_audit_log(&reading).await?, verified);
    let mut reader = Attacker::with_url(&auditor, database).await?;
    for attack in attacks.iter().chain(&["SELECT * FROM tokens", "SELECT * FROM profiles"]) {
        reader.fails(*attack).await?;
    }
    Ok(())
}

/// What would unlock the log, in words that both databases know.
const ATTACKS: [&str; 12] = [
    "UPDATE audit_log SET actor = 'mallory' WHERE seq = 1",
    "DELETE FROM audit_log WHERE seq = 1",
    "DELETE FROM audit_head",
    "DELETE FROM audit_seals",
    "DELETE FROM audit_values",
    "UPDATE audit_values SET value = 'mallory'",
    "INSERT INTO audit_seals SELECT seq, seq, leaf_hash, leaf_hash, 'x', leaf_hash FROM audit_head",
    "INSERT INTO settings (name, value) VALUES ('mode', 'development')",
    "DROP TABLE audit_log",
    "ALTER TABLE audit_log DROP COLUMN job_id",
    "DELETE FROM clients",
    "DROP TABLE clients",
];

#[tokio::test]
async fn the_application_on_postgres_cannot_take_a_guard_away() -> Result<()> {
    let own = [
        "TRUNCATE audit_log",
        "TRUNCATE audit_log, audit_head CASCADE",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "ALTER TABLE audit_log DISABLE TRIGGER audit_log_change",
        "DROP TRIGGER audit_log_change ON audit_log",
        "ALTER TABLE audit_log DROP CONSTRAINT audit_log_leaf_hash",
        "SET session_replication_role = replica",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "ALTER TABLE audit_log OWNER TO CURRENT_USER",
        "CREATE TABLE more (id int)",
    ];
    the_application_cannot_take_a_guard_away(Database::Postgres, &[&ATTACKS[..], &own[..]].concat()).await
}

#[tokio::test]
async fn the_application_on_mariadb_cannot_take_a_guard_away() -> Result<()> {
    let own = [
        "TRUNCATE audit_log",
        "REPLACE INTO audit_log SELECT * FROM audit_log WHERE seq = 1",
        "DROP TRIGGER audit_log_update",
        "CREATE TRIGGER more BEFORE INSERT ON audit_log FOR EACH ROW SET NEW.actor = 'mallory'",
        "RENAME TABLE audit_log TO old_log",
        "ALTER TABLE audit_log DROP CONSTRAINT audit_log_leaf_hash",
        "GRANT UPDATE ON audit_log TO CURRENT_USER",
        "CREATE TABLE more (id int)",
        "SET GLOBAL read_only = 0",
    ];
    the_application_cannot_take_a_guard_away(Database::MariaDb, &[&ATTACKS[..], &own[..]].concat()).await
}
