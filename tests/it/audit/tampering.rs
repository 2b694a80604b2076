//! Whoever owns the database can take its guards away and change the log. Every way of it is found and
//! named; some of them only by those who kept a checkpoint elsewhere.

use anyhow::{Result, bail};
use vpn_core::{
    audit::{AuditEntry, ChainFault, Checkpoint, leaf_hash, note::NoteError},
    service::{VerifyError, verify_audit_log_against},
};
use vpn_tests::{Database, World, attack::Attacker, on_every_database};

use super::{checkpoint, entries, filled, key_for};

on_every_database!(
    a_changed_byte_is_found,
    swapped_rows_are_found,
    a_removed_row_is_found,
    a_cut_tail_is_found_with_a_checkpoint,
    a_log_that_was_rewritten_whole_is_found_with_a_checkpoint,
    a_checkpoint_of_another_log_is_not_mistaken,
    a_forged_checkpoint_is_found,
);

/// Without triggers and checks, as the owner of the tables can have it.
async fn disarmed(world: &World) -> Result<Attacker> {
    let mut attacker = Attacker::on(&world.db).await?;
    match world.db.database {
        Database::Sqlite => {
            attacker.run("DROP TRIGGER audit_log_update; DROP TRIGGER audit_log_delete").await?;
            attacker.run("DROP TRIGGER audit_head_update").await?;
        }
        Database::Postgres => {
            attacker.run("ALTER TABLE audit_log DISABLE TRIGGER ALL, DROP CONSTRAINT audit_log_leaf_hash").await?;
            attacker.run("ALTER TABLE audit_head DISABLE TRIGGER ALL").await?;
        }
        Database::MariaDb => {
            for trigger in ["audit_log_update", "audit_log_delete", "audit_head_update"] {
                attacker.run(format!("DROP TRIGGER {trigger}")).await?;
            }
            attacker.run("ALTER TABLE audit_log DROP CONSTRAINT audit_log_leaf_hash").await?;
        }
    }
    Ok(attacker)
}

async fn fault(world: &World, checkpoints: Vec<Checkpoint>) -> Result<ChainFault> {
    match verify_audit_log_against(world.store(), checkpoints).await {
        Err(VerifyError::Fault(fault)) => Ok(fault),
        other => bail!("the log was tampered with, and the verifier says {other:?}"),
    }
}

async fn a_changed_byte_is_found(world: World) -> Result<()> {
    filled(&world).await?;
    let mut attacker = disarmed(&world).await?;
    let mut canonical = entries(world.store()).await?[3].canonical.clone();
    let last = canonical.len() - 3;
    canonical[last] ^= 1;
    let bytes = attacker.bytes(&canonical);
    attacker.run(format!("UPDATE audit_log SET canonical = {bytes} WHERE seq = 4")).await?;
    assert_eq!(fault(&world, vec![]).await?, ChainFault::Altered { seq: 4 });
    Ok(())
}

async fn swapped_rows_are_found(world: World) -> Result<()> {
    filled(&world).await?;
    let mut attacker = disarmed(&world).await?;
    for (from, to) in [(3, 1_000_000), (4, 3), (1_000_000, 4)] {
        attacker.run(format!("UPDATE audit_log SET seq = {to} WHERE seq = {from}")).await?;
    }
    assert_eq!(fault(&world, vec![]).await?, ChainFault::Moved { seq: 3, was: 4 });
    Ok(())
}

async fn a_removed_row_is_found(world: World) -> Result<()> {
    filled(&world).await?;
    let mut attacker = disarmed(&world).await?;
    attacker.run("DELETE FROM audit_log WHERE seq = 5").await?;
    assert_eq!(fault(&world, vec![]).await?, ChainFault::Gap { expected: 5, found: 6 });
    Ok(())
}

async fn a_cut_tail_is_found_with_a_checkpoint(world: World) -> Result<()> {
    filled(&world).await?;
    let kept = checkpoint(world.store()).await?;
    let mut attacker = disarmed(&world).await?;
    attacker.run("DELETE FROM audit_log WHERE seq > 6").await?;
    let head = i64::try_from(kept.size)?;
    assert_eq!(fault(&world, vec![]).await?, ChainFault::Cut { expected: head, found: 6 });
    // A careful attacker sets the head back, too.
    let last = attacker.bytes(&entries(world.store()).await?[5].hash);
    attacker.run(format!("UPDATE audit_head SET seq = 6, leaf_hash = {last}")).await?;
    verify_audit_log_against(world.store(), []).await?;
    let signed = kept.size;
    assert_eq!(fault(&world, vec![kept]).await?, ChainFault::Truncated { signed, found: 6 });
    Ok(())
}

async fn a_log_that_was_rewritten_whole_is_found_with_a_checkpoint(world: World) -> Result<()> {
    world.client().await?;
    let early = checkpoint(world.store()).await?;
    filled(&world).await?;
    let late = checkpoint(world.store()).await?;
    let mut attacker = disarmed(&world).await?;
    rewrite(&world, &mut attacker, early.size + 2).await?;
    verify_audit_log_against(world.store(), []).await?;
    verify_audit_log_against(world.store(), [early.clone()]).await?;
    let found = fault(&world, vec![late.clone(), early.clone()]).await?;
    assert_eq!(found, ChainFault::Rewritten { from: early.size + 1, to: late.size });
    let said = found.to_string();
    assert!(said.contains("rewritten") && said.contains(&format!("the first {} still are", early.size)), "{said}");
    Ok(())
}

/// Puts another name into the entry `changed` and makes every hash from there on anew.
async fn rewrite(world: &World, attacker: &mut Attacker, changed: u64) -> Result<()> {
    let all: Vec<AuditEntry> = entries(world.store()).await?;
    let from = usize::try_from(changed)? - 1;
    let mut previous = all[from].previous_hash;
    for entry in &all[from..] {
        let mut canonical = String::from_utf8(entry.canonical.clone())?;
        if entry.seq.unsigned_abs() == changed {
            canonical = canonical.replace("system:test", "system:nobody");
            attacker.run(format!("UPDATE audit_log SET actor = 'system:nobody' WHERE seq = {changed}")).await?;
        }
        let hash = leaf_hash(entry.seq, &previous, canonical.as_bytes());
        let (bytes, prev, leaf) =
            (attacker.bytes(canonical.as_bytes()), attacker.bytes(&previous), attacker.bytes(&hash));
        let change = format!("canonical = {bytes}, prev_hash = {prev}, leaf_hash = {leaf}");
        attacker.run(format!("UPDATE audit_log SET {change} WHERE seq = {}", entry.seq)).await?;
        previous = hash;
    }
    let leaf = attacker.bytes(&previous);
    attacker.run(format!("UPDATE audit_head SET leaf_hash = {leaf}")).await?;
    Ok(())
}

async fn a_checkpoint_of_another_log_is_not_mistaken(world: World) -> Result<()> {
    let mut theirs = checkpoint(world.store()).await?;
    let ours = std::mem::replace(&mut theirs.origin, "vpn-audit/another".into());
    let other = ChainFault::OtherLog { theirs: theirs.origin.clone(), ours };
    assert_eq!(fault(&world, vec![theirs.clone()]).await?, other);
    theirs.size += 100;
    assert_eq!(fault(&world, vec![theirs]).await?, other);
    Ok(())
}

async fn a_forged_checkpoint_is_found(world: World) -> Result<()> {
    let (key, other) = (key_for(world.store()).await?, key_for(world.store()).await?);
    let trusted = [key.public().clone()];
    let true_one = checkpoint(world.store()).await?;
    let note = true_one.signed(&[key]);
    assert_eq!(Checkpoint::open_all(&note, &trusted), Ok(vec![true_one.clone()]));
    let forged = note.replace(&format!("\n{}\n", true_one.size), "\n99\n");
    assert!(matches!(Checkpoint::open_all(&forged, &trusted), Err(NoteError::Forged(_))));
    assert_eq!(Checkpoint::open_all(&true_one.signed(&[other]), &trusted), Err(NoteError::Unsigned));
    Ok(())
}
