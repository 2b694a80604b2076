//! The audit log takes an entry that extends it, and nothing else.

use anyhow::Result;
use vpn_core::{
    audit::{ChainFault, GENESIS, Hash, leaf_hash},
    store::Head,
};
use vpn_tests::{Database, World, attack::Attacker, on_every_database};

on_every_database!(
    an_entry_that_does_not_extend_the_head_is_refused,
    an_entry_is_not_changed,
    the_head_goes_nowhere_without_the_log,
    an_entry_with_a_wrong_hash_is_refused_or_found,
    a_true_entry_by_another_hand_is_taken,
);

const CANONICAL: &[u8] = b"{}";

/// The statement that appends an entry.
fn insert(attacker: &Attacker, seq: i64, previous: &Hash, canonical: &[u8], leaf: &Hash) -> String {
    format!(
        "INSERT INTO audit_log (seq, prev_hash, canonical, leaf_hash, at, actor, action, outcome) \
         VALUES ({seq}, {}, {}, {}, 1, 'mallory', 'a', 'ok')",
        attacker.bytes(previous),
        attacker.bytes(canonical),
        attacker.bytes(leaf)
    )
}

/// A true leaf at this place.
fn entry(attacker: &Attacker, seq: i64, previous: &Hash) -> String {
    insert(attacker, seq, previous, CANONICAL, &leaf_hash(seq, previous, CANONICAL))
}

async fn head(world: &World) -> Result<Head> {
    Ok(world.store().read().await?.audit_head().await?)
}

async fn an_entry_that_does_not_extend_the_head_is_refused(world: World) -> Result<()> {
    world.server().await?;
    let head = head(&world).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    for (seq, previous) in [
        (head.seq + 2, head.hash),
        (head.seq, head.hash),
        (head.seq + 1, GENESIS),
        (head.seq + 1, [1; 32]),
        (1, GENESIS),
        (i64::MAX, head.hash),
    ] {
        let sql = entry(&attacker, seq, &previous);
        attacker.refused("audit_log: must extend the head", sql).await?;
    }
    for seq in [0, -1] {
        let sql = entry(&attacker, seq, &head.hash);
        attacker.fails(sql).await?;
    }
    world.verify_log().await?;
    Ok(())
}

async fn an_entry_is_not_changed(world: World) -> Result<()> {
    world.server().await?;
    let mut attacker = Attacker::on(&world.db).await?;
    let change = attacker.bytes(b"{\"v\":1}");
    for change in [
        "actor = 'mallory'".to_owned(),
        "actor = actor".to_owned(),
        "seq = seq + 100".to_owned(),
        "at = 0".to_owned(),
        "client_id = NULL".to_owned(),
        format!("canonical = {change}"),
    ] {
        attacker.refused("audit_log: UPDATE refused", format!("UPDATE audit_log SET {change} WHERE seq = 1")).await?;
    }
    world.verify_log().await?;
    Ok(())
}

async fn the_head_goes_nowhere_without_the_log(world: World) -> Result<()> {
    world.server().await?;
    let head = head(&world).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    let zero = attacker.bytes(&GENESIS);
    let first = attacker.bytes(&world.store().read().await?.audit_after(0, None, 1).await?[0].hash);
    for change in [
        format!("seq = 0, leaf_hash = {zero}"),
        format!("seq = 1, leaf_hash = {first}"),
        format!("seq = {}, leaf_hash = {zero}", head.seq + 1),
        format!("leaf_hash = {zero}"),
        "seq = seq + 1".to_owned(),
    ] {
        attacker.refused("audit_head: must follow the log", format!("UPDATE audit_head SET {change}")).await?;
    }
    let second = format!("INSERT INTO audit_head (one, seq, leaf_hash) VALUES (1, 0, {zero})");
    attacker.refused("audit_head: INSERT refused", second).await?;
    world.verify_log().await?;
    Ok(())
}

async fn an_entry_with_a_wrong_hash_is_refused_or_found(world: World) -> Result<()> {
    let head = head(&world).await?;
    let (seq, wrong) = (head.seq + 1, [9; 32]);
    let mut attacker = Attacker::on(&world.db).await?;
    let sql = insert(&attacker, seq, &head.hash, CANONICAL, &wrong);
    match world.db.database {
        Database::Postgres => attacker.refused("audit_log_leaf_hash", sql).await?,
        Database::MariaDb => {
            attacker.refused("audit_log: wrong leaf hash", sql.clone()).await?;
            attacker.run("SET SESSION check_constraint_checks = 0").await?;
            attacker.refused("audit_log: wrong leaf hash", sql).await?;
        }
        // It has no SHA-256: whoever verifies the log finds it.
        Database::Sqlite => {
            attacker.run(sql).await?;
            let follow = format!("UPDATE audit_head SET seq = {seq}, leaf_hash = {}", attacker.bytes(&wrong));
            attacker.run(follow).await?;
            let Err(error) = world.verify_log().await else { anyhow::bail!("a wrong hash was verified") };
            assert_eq!(error.downcast_ref(), Some(&ChainFault::Altered { seq }));
        }
    }
    Ok(())
}

/// The database keeps the chain whole; who wrote an entry is told by its content and the verifier.
async fn a_true_entry_by_another_hand_is_taken(world: World) -> Result<()> {
    let head = head(&world).await?;
    let seq = head.seq + 1;
    let mut attacker = Attacker::on(&world.db).await?;
    let sql = entry(&attacker, seq, &head.hash);
    attacker.run(sql).await?;
    // The head has not followed: the next writer and the verifier both notice.
    assert_eq!(
        world.verify_log().await.unwrap_err().downcast_ref(),
        Some(&ChainFault::Mislabelled { seq, column: "canonical" })
    );
    let appended = world.store().begin().await?.commit(vpn_tests::told(), []).await;
    anyhow::ensure!(appended.is_err(), "an entry was written over another");
    Ok(())
}
