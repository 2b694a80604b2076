//! Clients go `pending → active → revoked` or `pending → revoked`, and nothing else.

use anyhow::Result;
use vpn_core::domain::{Client, JobKind};
use vpn_tests::{Database, World, attack::Attacker, on_every_database};

on_every_database!(
    a_revoked_client_is_final,
    nothing_is_activated_after_the_request_for_its_end,
    nothing_is_revoked_that_nobody_asked_for,
    a_client_never_goes_back_to_pending,
    what_a_client_is_cannot_be_changed,
    what_is_set_once_stays,
    a_fence_never_falls,
    a_client_is_born_pending_and_blank,
    a_status_out_of_the_list_is_refused,
);

const ACTIVE: &str =
    "status = 'active', activated_at = 1, cert_sha256 = 'ab', cert_not_before_at = 1, cert_not_after_at = 2";

/// Tries each change on the client; all are refused with these words, and nothing is changed.
async fn refused(world: &World, client: &Client, words: &str, changes: &[&str]) -> Result<()> {
    let before = world.reload(client.id).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    for change in changes {
        attacker.refused(words, format!("UPDATE clients SET {change} WHERE id = '{}'", client.id)).await?;
    }
    assert_eq!(world.reload(client.id).await?, before);
    Ok(())
}

async fn a_revoked_client_is_final(world: World) -> Result<()> {
    let client = world.revoked().await?;
    let changes = [
        ACTIVE,
        "status = 'pending', revoked_at = NULL",
        "status = 'pending', revoked_at = NULL, revoke_requested_at = NULL, revoke_reason = NULL, fence = 0",
        "revoke_requested_at = NULL",
        "revoked_at = 1",
        "fence = fence + 1",
        "name = 'other'",
        "created_by = 'mallory'",
    ];
    refused(&world, &client, "clients: revoked is final", &changes).await
}

async fn nothing_is_activated_after_the_request_for_its_end(world: World) -> Result<()> {
    let client = world.client().await?;
    world.request_revocation(client.id).await?;
    refused(&world, &client, "clients: illegal transition", &[ACTIVE]).await?;
    let clears = format!("{ACTIVE}, revoke_requested_at = NULL, revoke_reason = NULL");
    let changes = [
        clears.as_str(),
        "revoke_requested_at = NULL, revoke_reason = NULL",
        "revoke_requested_at = 1",
        "revoke_reason = 'mistake'",
        "revoke_reason = 'laptop stolen '",
    ];
    refused(&world, &client, "clients: revocation request is final", &changes).await
}

async fn nothing_is_revoked_that_nobody_asked_for(world: World) -> Result<()> {
    for client in [world.client().await?, world.active().await?] {
        let changes = ["status = 'revoked', revoked_at = 1", "revoked_at = 1"];
        refused(&world, &client, "clients: illegal transition", &changes).await?;
    }
    Ok(())
}

async fn a_client_never_goes_back_to_pending(world: World) -> Result<()> {
    let client = world.active().await?;
    refused(&world, &client, "clients: illegal transition", &["status = 'pending'"]).await?;
    let blank = "status = 'pending', activated_at = NULL, cert_sha256 = NULL";
    refused(&world, &client, "clients: set once", &[blank]).await
}

async fn what_a_client_is_cannot_be_changed(world: World) -> Result<()> {
    let other = world.server().await?;
    let moved = format!("server_id = '{}'", other.id);
    let changes = [
        "id = 'cli_00000000000000000000000000000000'",
        "name = 'other'",
        "name = UPPER(name)",
        "serial = '70000000000000000000000000000000'",
        "created_by = 'mallory'",
        "created_by = 'alice '",
        "created_at = 1",
        moved.as_str(),
    ];
    for client in [world.client().await?, world.active().await?] {
        refused(&world, &client, "clients: immutable column", &changes).await?;
    }
    Ok(())
}

async fn what_is_set_once_stays(world: World) -> Result<()> {
    let client = world.active().await?;
    let changes = [
        "activated_at = 1",
        "activated_at = NULL",
        "cert_sha256 = 'cd'",
        "cert_sha256 = UPPER(cert_sha256)",
        "cert_not_before_at = 1",
        "cert_not_after_at = NULL",
    ];
    refused(&world, &client, "clients: set once", &changes).await
}

async fn a_fence_never_falls(world: World) -> Result<()> {
    let (job, _) = world.running(JobKind::Provision).await?;
    let client = world.reload(job.client_id).await?;
    refused(&world, &client, "clients: fence fell", &["fence = fence - 1", "fence = 0"]).await
}

async fn a_client_is_born_pending_and_blank(world: World) -> Result<()> {
    let server = world.server().await?.id;
    let mut attacker = Attacker::on(&world.db).await?;
    for (number, (column, value)) in [
        ("status", "'active'"),
        ("status", "'revoked'"),
        ("fence", "1"),
        ("activated_at", "1"),
        ("revoke_requested_at", "1"),
        ("revoke_reason", "'x'"),
        ("revoked_at", "1"),
        ("cert_sha256", "'ab'"),
        ("cert_not_before_at", "1"),
        ("cert_not_after_at", "1"),
    ]
    .into_iter()
    .enumerate()
    {
        let insert = format!(
            "INSERT INTO clients (id, server_id, name, serial, created_by, created_at, {column}) \
             VALUES ('cli_{number}', '{server}', 'n{number}', 's{number}', 'mallory', 1, {value})"
        );
        attacker.refused("clients: illegal insert", insert).await?;
    }
    Ok(())
}

async fn a_status_out_of_the_list_is_refused(world: World) -> Result<()> {
    let client = world.client().await?;
    let mut attacker = Attacker::on(&world.db).await?;
    for status in ["'Active'", "'active '", "''", "'deleted'"] {
        attacker.fails(format!("UPDATE clients SET status = {status} WHERE id = '{}'", client.id)).await?;
    }
    if world.db.database == Database::MariaDb {
        // A server that takes what does not fit and makes something of it.
        attacker.run("SET SESSION sql_mode = '', check_constraint_checks = 0, foreign_key_checks = 0").await?;
        for status in ["'Active'", "'active '", "''", "NULL", "'deleted'", "0"] {
            let sql = format!("UPDATE clients SET status = {status} WHERE id = '{}'", client.id);
            attacker.refused("clients: illegal transition", sql).await?;
        }
    }
    assert_eq!(world.reload(client.id).await?, client);
    Ok(())
}
