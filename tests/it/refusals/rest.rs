//! Servers, tokens, profiles: what is fixed stays fixed.

use anyhow::Result;
use vpn_core::domain::{JobKind, LinkId, Role, TokenId};
use vpn_core::store::{NewLink, NewProfile, NewToken};
use vpn_tests::{World, attack::Attacker, on_every_database, told};

on_every_database!(
    what_a_server_is_cannot_be_changed,
    a_token_grows_no_rights_and_stays_ended,
    a_token_is_born_alive,
    a_profile_that_is_gone_stays_gone,
    a_profile_is_born_sealed,
    a_link_keeps_its_end_and_is_used_once,
);

async fn what_a_server_is_cannot_be_changed(world: World) -> Result<()> {
    let server = world.server().await?;
    let mut attacker = Attacker::on(&world.db).await?;
    for change in ["id = 'srv_0'", "created_by = 'mallory'", "created_by = 'alice '", "created_at = 1"] {
        let sql = format!("UPDATE servers SET {change} WHERE id = '{}'", server.id);
        attacker.refused("servers: immutable column", sql).await?;
    }
    assert_eq!(world.store().read().await?.server(server.id).await?, Some(server));
    Ok(())
}

async fn token(world: &World) -> Result<TokenId> {
    let mut tx = world.store().begin().await?;
    let id = TokenId::generate(&world.ambient);
    let new = NewToken {
        id,
        principal: "bob".parse()?,
        role: Role::Viewer,
        scopes: vpn_core::domain::Scopes::ALL,
        secret_hash: [7; 32],
        created_by: "alice".to_owned(),
        expires_at: tx.at(),
    };
    tx.insert_token(&new).await?;
    tx.commit(told(), []).await?;
    Ok(id)
}

async fn a_token_grows_no_rights_and_stays_ended(world: World) -> Result<()> {
    let id = token(&world).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    let other_secret = format!("secret_hash = {}", attacker.bytes(&[8; 32]));
    let changes = [
        "role = 'admin'",
        "scopes = 'tokens'",
        "principal = 'root'",
        "expires_at = expires_at + 1",
        "created_at = 1",
        &other_secret,
    ];
    for change in changes {
        let sql = format!("UPDATE tokens SET {change} WHERE id = '{id}'");
        attacker.refused("tokens: immutable column", sql).await?;
    }
    let mut tx = world.store().begin().await?;
    tx.revoke_token(id, "alice").await?;
    tx.commit(told(), []).await?;
    for change in ["revoked_at = NULL", "revoked_at = 1", "revoked_by = 'mallory'", "revoked_by = NULL"] {
        let sql = format!("UPDATE tokens SET {change} WHERE id = '{id}'");
        attacker.refused("tokens: revoked is final", sql).await?;
    }
    Ok(())
}

async fn a_token_is_born_alive(world: World) -> Result<()> {
    let mut attacker = Attacker::on(&world.db).await?;
    let hash = attacker.bytes(&[7; 32]);
    for (column, value) in [("revoked_at", "1"), ("revoked_by", "'x'"), ("last_used_at", "1")] {
        let sql = format!(
            "INSERT INTO tokens (id, principal, role, secret_hash, created_by, created_at, expires_at, {column}) \
             VALUES ('tok_0', 'bob', 'viewer', {hash}, 'mallory', 1, 2, {value})"
        );
        attacker.refused("tokens: illegal insert", sql).await?;
    }
    let short = attacker.bytes(&[7; 31]);
    for (role, hash) in [("root", &hash), ("viewer", &short)] {
        let sql = format!(
            "INSERT INTO tokens (id, principal, role, secret_hash, created_by, created_at, expires_at) \
             VALUES ('tok_0', 'bob', '{role}', {hash}, 'mallory', 1, 2)"
        );
        attacker.fails(sql).await?;
    }
    Ok(())
}

async fn a_profile_that_is_gone_stays_gone(world: World) -> Result<()> {
    let mut attacker = Attacker::on(&world.db).await?;
    let sealed = attacker.bytes(&[9; 3]);
    for delivered in [true, false] {
        let (job, fence) = world.running(JobKind::Provision).await?;
        let client = job.client_id;
        let mut tx = world.store().begin().await?;
        tx.store_profile(&NewProfile { client_id: client, sealed: vec![1, 2, 3], has_key: true }, &fence).await?;
        if delivered {
            tx.deliver_profile(client, "alice").await?;
        } else {
            tx.destroy_profile(client).await?;
        }
        tx.commit(told(), []).await?;
        let once = if delivered { "delivered_at" } else { "destroyed_at" };
        for (words, change) in [
            ("profiles: gone is final", format!("sealed = {sealed}")),
            ("profiles: set once", format!("{once} = NULL, sealed = {sealed}")),
            ("profiles: set once", format!("{once} = 1")),
            ("profiles: immutable column", "client_id = 'cli_0'".to_owned()),
        ] {
            let sql = format!("UPDATE profiles SET {change} WHERE client_id = '{client}'");
            attacker.refused(words, sql).await?;
        }
    }
    Ok(())
}

async fn a_profile_is_born_sealed(world: World) -> Result<()> {
    let client = world.client().await?.id;
    let mut attacker = Attacker::on(&world.db).await?;
    let sealed = attacker.bytes(&[9; 3]);
    for (columns, values) in [
        ("", ""),
        (", sealed, delivered_at", &*format!(", {sealed}, 1")),
        (", sealed, delivered_to", &*format!(", {sealed}, 'x'")),
        (", sealed, destroyed_at", &*format!(", {sealed}, 1")),
    ] {
        let sql =
            format!("INSERT INTO profiles (client_id, has_key, stored_at{columns}) VALUES ('{client}', 1, 1{values})");
        attacker.refused("profiles: illegal insert", sql).await?;
    }
    Ok(())
}

async fn a_link_keeps_its_end_and_is_used_once(world: World) -> Result<()> {
    let client_id = world.client().await?.id;
    let mut tx = world.store().begin().await?;
    let new = NewLink {
        id: LinkId::generate(&world.ambient),
        client_id,
        secret_hash: [7; 32],
        created_by: "alice".to_owned(),
        expires_at: tx.at().plus(std::time::Duration::from_hours(1)),
    };
    tx.insert_link(&new).await?;
    tx.use_link(new.id).await?;
    tx.commit(told(), []).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    let other_secret = format!("secret_hash = {}", attacker.bytes(&[8; 32]));
    for (words, change) in [
        ("profile_links: immutable column", "expires_at = expires_at + 1"),
        ("profile_links: immutable column", "created_by = 'mallory'"),
        ("profile_links: immutable column", &other_secret),
        ("profile_links: set once", "used_at = NULL"),
        ("profile_links: set once", "used_at = 1"),
    ] {
        attacker.refused(words, format!("UPDATE profile_links SET {change} WHERE id = '{}'", new.id)).await?;
    }
    attacker.refused("profile_links: DELETE refused", "DELETE FROM profile_links").await?;
    let hash = attacker.bytes(&[9; 32]);
    let columns = "(id, client_id, secret_hash, created_by, created_at, expires_at, used_at)";
    let born_used =
        format!("INSERT INTO profile_links {columns} VALUES ('lnk_0', '{client_id}', {hash}, 'mallory', 1, 2, 1)");
    attacker.refused("profile_links: illegal insert", born_used).await
}
