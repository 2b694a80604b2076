//! Sealed entries leave the database in a file; the rest is proven without them, and all of it with them.

use std::{fs::File, io::BufReader, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use tokio::process::Command;
use vpn_core::{
    audit::{Action, AuditEntry, ChainFault, Checkpoint, Entry, ExportError, Naming, Seal, Sealed, Verified},
    backup,
    domain::Role,
    service::{
        SealError, SealUpTo, VerifyError, export_audit_log, finish_sealing, plan_seal, prove_entry, seal_audit_log,
        verify_audit_log, verify_audit_log_against, verify_audit_log_with_segments,
    },
    store::{AuditFilter, PageRequest, Store},
};
use vpn_tests::{
    Database, Db, TestPlatform, World, attack::Attacker, on_every_database, platform::caller, programs,
    restore::restore,
};

use super::{checkpoint, entries, filled};

on_every_database!(
    sealed_entries_are_in_the_file_and_the_rest_is_verified_without_them,
    what_was_not_sealed_cannot_be_deleted,
    a_forged_seal_is_named,
    a_sealing_that_was_stopped_is_finished,
    a_sealed_log_is_restored_from_a_backup,
);

/// Where segments go.
struct Shelf {
    directory: TempDir,
}

impl Shelf {
    fn new() -> Result<Self> {
        Ok(Self { directory: tempfile::tempdir()? })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn seal(&self, store: &Store, size: i64, name: &str) -> Result<Seal> {
        let signed = checkpoint(store).await?;
        let plan = plan_seal(store, SealUpTo::Size(size), &self.path(name), vec![signed]).await?;
        Ok(seal_audit_log(store, &caller("ada", Role::Admin)?, &plan).await?)
    }

    async fn verify(
        &self,
        store: &Store,
        names: &[&str],
        checkpoints: Vec<Checkpoint>,
    ) -> Result<Verified, VerifyError> {
        let open = |name: &&str| (*name).to_owned();
        let files =
            names.iter().map(|name| (open(name), BufReader::new(File::open(self.path(name)).expect("a segment"))));
        verify_audit_log_with_segments(store, files.collect::<Vec<_>>(), checkpoints).await
    }
}

async fn sealed_entries_are_in_the_file_and_the_rest_is_verified_without_them(world: World) -> Result<()> {
    let (shelf, store) = (Shelf::new()?, world.store());
    filled(&world).await?;
    let early = checkpoint(store).await?;
    let before = entries(store).await?;
    let first = shelf.seal(store, 3, "one").await?;
    assert_eq!((first.sealed.until, first.sealed.file.as_str()), (3, "one"));
    assert_eq!(entries(store).await?.first().map(|entry| entry.seq), Some(4));
    let told = store.read().await?.audit_entry(first.told_by).await?.context("the entry that tells of it")?;
    assert_eq!((told.columns.action.as_str(), told.actor().as_str()), ("audit.sealed", "ada"));
    assert_eq!(told.detail()["lastEntry"], "3");
    assert_eq!(told.detail()["sha256"], hex::encode(first.sealed.sha256));

    world.client().await?;
    let second = shelf.seal(store, 7, "two").await?;
    let rest = verify_audit_log_against(store, [early.clone()]).await?;
    assert_eq!((rest.sealed, rest.checkpoints, rest.too_old), (7, 1, 0));
    let whole = shelf.verify(store, &["one", "two"], vec![early.clone(), rest.checkpoint()]).await?;
    assert_eq!((whole.sealed, whole.root, whole.checkpoints), (0, rest.root, 2));
    let line = std::fs::read_to_string(shelf.path("one"))?.lines().nth(2).context("an entry")?.to_owned();
    ensure!(line.contains(&hex::encode(before[1].hash)), "the second entry is in the file: {line}");

    // What is left is exported, signed for and sealed again as before.
    let mut out = Vec::new();
    export_audit_log(store, None, None, Naming::Named, &mut out).await?;
    let gone = export_audit_log(store, Some(2), None, Naming::Named, &mut out).await;
    ensure!(matches!(gone, Err(VerifyError::Sealed { until: 7, .. })), "{gone:?}");
    let again = plan_seal(store, SealUpTo::Size(7), &shelf.path("three"), vec![]).await;
    ensure!(matches!(again, Err(SealError::Nothing { after: 7, .. })), "{again:?}");
    let other = plan_seal(store, SealUpTo::Size(8), &shelf.path("two"), vec![]).await?;
    let other = seal_audit_log(store, &caller("ada", Role::Admin)?, &other).await;
    ensure!(matches!(other, Err(SealError::Segment(ExportError::Elsewhere { .. }))), "{other:?}");
    let unsigned = plan_seal(store, SealUpTo::Size(rest.entries), &shelf.path("three"), vec![early]).await;
    ensure!(matches!(unsigned, Err(SealError::Unsigned { .. })), "{unsigned:?}");

    let few = shelf.verify(store, &["one"], vec![]).await;
    ensure!(matches!(few, Err(VerifyError::TooFewSegments { end: 3, until: 7 })), "{few:?}");
    let backwards = shelf.verify(store, &["two", "one"], vec![]).await;
    ensure!(matches!(backwards, Err(VerifyError::Segment { ref name, .. }) if name == "two"), "{backwards:?}");
    let text = std::fs::read_to_string(shelf.path("one"))?;
    std::fs::write(shelf.path("changed"), text.replacen("system:test", "system:best", 1))?;
    let changed = shelf.verify(store, &["changed", "two"], vec![]).await.expect_err("a changed segment");
    ensure!(changed.to_string().contains("was changed"), "{changed}");
    assert_eq!(store.read().await?.audit_seals().await?, [first, second]);
    Ok(())
}

fn seal_row(attacker: &Attacker, until: i64, told_by: i64, hash: &[u8]) -> String {
    let (hash, bytes) = (attacker.bytes(hash), attacker.bytes(&[7; 32]));
    format!(
        "INSERT INTO audit_seals (until_seq, told_by, leaf_hash, roots, file, file_sha256) \
         VALUES ({until}, {told_by}, {hash}, {bytes}, 'x', {bytes})"
    )
}

async fn what_was_not_sealed_cannot_be_deleted(world: World) -> Result<()> {
    let (shelf, store) = (Shelf::new()?, world.store());
    filled(&world).await?;
    let seal = shelf.seal(store, 3, "one").await?;
    let all = entries(store).await?;
    let head = store.read().await?.audit_head().await?;
    let mut attacker = Attacker::on(&world.db).await?;
    if world.db.database == Database::MariaDb {
        attacker.run("SET SESSION sql_mode = '', check_constraint_checks = 0, foreign_key_checks = 0").await?;
    }
    if world.db.database == Database::Postgres {
        attacker.run("SET session_replication_role = replica").await?;
    }
    for which in ["seq = 4", "seq <= 4", "1 = 1", &format!("seq = {}", head.seq)] {
        attacker.refused("audit_log: DELETE refused", format!("DELETE FROM audit_log WHERE {which}")).await?;
    }
    for change in ["until_seq = 100", "until_seq = until_seq", "told_by = 100", "file = 'y'"] {
        attacker.refused("audit_seals: UPDATE refused", format!("UPDATE audit_seals SET {change}")).await?;
    }
    attacker.refused("audit_seals: DELETE refused", "DELETE FROM audit_seals").await?;
    // A seal that the log does not tell of, of what is there and of what is not.
    for (until, told_by, hash) in [
        (4, head.seq, all[0].hash),
        (4, seal.told_by, all[0].hash),
        (4, head.seq + 1, all[0].hash),
        (4, seal.told_by, [1; 32]),
        (head.seq, head.seq + 1, head.hash),
        (2, seal.told_by, all[0].hash),
    ] {
        let sql = seal_row(&attacker, until, told_by, &hash);
        if (until, told_by) == (4, seal.told_by) {
            // The last entry does tell of a sealing, of another one.
            attacker.refused("audit_seals: must be what the log tells", sql).await?;
        } else {
            attacker.fails(sql).await?;
        }
    }
    match world.db.database {
        Database::Sqlite => {
            for pragma in ["OFF", "ON"] {
                attacker.run(format!("PRAGMA recursive_triggers = {pragma}")).await?;
                let replace = "INSERT OR REPLACE INTO audit_seals SELECT until_seq, told_by, leaf_hash, roots, 'y', \
                               file_sha256 FROM audit_seals";
                attacker.refused("audit_seals: must be what the log tells", replace).await?;
            }
        }
        Database::MariaDb => {
            let replace = "REPLACE INTO audit_seals SELECT * FROM audit_seals";
            attacker.refused("audit_seals: ", replace).await?;
            attacker.run("SET SESSION foreign_key_checks = 1").await?;
            let refusal = "Cannot truncate a table referenced in a foreign key constraint";
            attacker.refused(refusal, "TRUNCATE audit_seals").await?;
        }
        Database::Postgres => attacker.refused("audit_seals: TRUNCATE refused", "TRUNCATE audit_seals CASCADE").await?,
    }
    // The head of a log that is not empty does not jump.
    let hash = attacker.bytes(&seal.sealed.hash);
    let jump = format!("UPDATE audit_head SET seq = 3, leaf_hash = {hash}");
    attacker.refused("audit_head: must follow the log", jump).await?;
    verify_audit_log(store).await?;
    Ok(())
}

/// As the owner of the tables can have it.
async fn disarmed(world: &World) -> Result<Attacker> {
    let mut attacker = Attacker::on(&world.db).await?;
    if world.db.database == Database::Postgres {
        attacker.run("ALTER TABLE audit_seals DISABLE TRIGGER ALL").await?;
        attacker.run("ALTER TABLE audit_log DISABLE TRIGGER ALL").await?;
    } else {
        for trigger in ["audit_seals_insert", "audit_seals_update", "audit_seals_delete", "audit_log_delete"] {
            attacker.run(format!("DROP TRIGGER {trigger}")).await?;
        }
    }
    Ok(attacker)
}

async fn fault(world: &World) -> Result<ChainFault> {
    match verify_audit_log(world.store()).await {
        Err(VerifyError::Fault(fault)) => Ok(fault),
        other => bail!("the log was tampered with, and the verifier says {other:?}"),
    }
}

async fn a_forged_seal_is_named(world: World) -> Result<()> {
    filled(&world).await?;
    let shelf = Shelf::new()?;
    let seal = shelf.seal(world.store(), 2, "one").await?;
    let mut attacker = disarmed(&world).await?;
    // Entries are removed under a seal that no entry tells of, or another entry.
    let hash = entries(world.store()).await?[1].hash;
    let head = world.store().read().await?.audit_head().await?.seq;
    for told_by in [head - 1, head + 5] {
        let forged = seal_row(&attacker, 4, told_by, &hash);
        attacker.run(forged).await?;
        assert_eq!(fault(&world).await?, ChainFault::FalseSeal { until: 4 }, "told by {told_by}");
        attacker.run("DELETE FROM audit_seals WHERE until_seq = 4").await?;
    }
    verify_audit_log(world.store()).await?;
    // A true seal is changed: what is proven from it would be another log.
    let other = attacker.bytes(&[9; 32]);
    attacker.run(format!("UPDATE audit_seals SET roots = {other}")).await?;
    assert_eq!(fault(&world).await?, ChainFault::FalseSeal { until: 2 });
    let roots = attacker.bytes(&seal.sealed.tree.roots().concat());
    attacker.run(format!("UPDATE audit_seals SET roots = {roots}, file = 'y'")).await?;
    assert_eq!(fault(&world).await?, ChainFault::FalseSeal { until: 2 });
    // It is gone, and what was sealed seems to be missing.
    attacker.run("DELETE FROM audit_seals").await?;
    assert_eq!(fault(&world).await?, ChainFault::Gap { expected: 1, found: 3 });
    Ok(())
}

/// The seal is committed, and nothing was removed yet.
async fn a_sealing_that_was_stopped_is_finished(world: World) -> Result<()> {
    let (shelf, store) = (Shelf::new()?, world.store());
    filled(&world).await?;
    let mut exported = vpn_core::audit::Verifier::default();
    for entry in &entries(store).await?[..5] {
        exported.take(entry)?;
    }
    export_audit_log(store, None, Some(5), Naming::Nameless, File::create(shelf.path("one"))?).await?;
    let sealed = Sealed {
        until: 5,
        hash: *exported.head(),
        tree: exported.tree().clone(),
        file: "one".to_owned(),
        sha256: [0; 32],
    };
    let entry = Entry::by(&caller("ada", Role::Admin)?, Action::AuditSealed);
    ensure!(store.begin().await?.commit_seal(entry.clone(), 2, &sealed).await?.is_none(), "two at once");
    ensure!(store.begin().await?.commit_seal(entry, 0, &sealed).await?.is_some());
    assert_eq!(entries(store).await?.first().map(|entry| entry.seq), Some(1));
    assert_eq!(verify_audit_log(store).await?.sealed, 5);
    shelf.verify(store, &["one"], vec![]).await?;
    assert_eq!((finish_sealing(store).await?, finish_sealing(store).await?), (5, 0));
    assert_eq!(entries(store).await?.first().map(|entry| entry.seq), Some(6));
    assert_eq!(verify_audit_log(store).await?.sealed, 5);
    Ok(())
}

async fn a_sealed_log_is_restored_from_a_backup(world: World) -> Result<()> {
    let shelf = Shelf::new()?;
    filled(&world).await?;
    shelf.seal(world.store(), 3, "one").await?;
    shelf.seal(world.store(), 6, "two").await?;
    let before = checkpoint(world.store()).await?;
    backup::write_file(world.store(), &shelf.path("backup")).await?;
    for database in [Database::Sqlite, Database::Postgres, Database::MariaDb] {
        let db = Db::empty(database).await?;
        restore(&db, &shelf.path("backup")).await?;
        let verified = verify_audit_log_against(&db.store, [before.clone()]).await?;
        assert_eq!((verified.sealed, verified.checkpoints), (6, 1), "{database:?}");
        let whole = shelf.verify(&db.store, &["one", "two"], vec![before.clone()]).await?;
        assert_eq!(whole.root, verified.root);
        let mut attacker = Attacker::on(&db).await?;
        attacker.refused("audit_log: DELETE refused", "DELETE FROM audit_log WHERE seq = 7").await?;
    }
    Ok(())
}

/// Everything behind the sealed entries is proven as before; what is about them is in the file.
#[tokio::test]
async fn proofs_go_on_behind_what_was_sealed() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let (shelf, store, admin) = (Shelf::new()?, &test.db.store, &test.admin);
    for _ in 0..5 {
        test.client().await?;
    }
    let size = test.platform.audit_tree(admin, None).await?.0.size;
    let sealed = i64::try_from(size)? - 2;
    let old_size = sealed.unsigned_abs();
    let tree = test.platform.audit_tree(admin, Some(size)).await?;
    let inclusion = test.platform.prove_inclusion(admin, &tree, size).await?;
    let consistency = test.platform.prove_consistency(admin, &tree, old_size).await?;
    let (mut proofs, older) = (Vec::new(), test.platform.prove_consistency(admin, &tree, 2).await?);
    for seq in 1..=size {
        proofs.push(test.platform.prove_inclusion(admin, &tree, seq).await?);
    }
    let actors: Vec<String> = entries(store).await?.iter().map(AuditEntry::actor).collect();
    shelf.seal(store, sealed, "one").await?;
    assert_eq!(test.platform.audit_tree(admin, Some(size)).await?, tree);
    assert_eq!(test.platform.prove_inclusion(admin, &tree, size).await?, inclusion);
    assert_eq!(test.platform.prove_consistency(admin, &tree, old_size).await?, consistency);
    let said = [
        test.platform.prove_inclusion(admin, &tree, 2).await.expect_err("a sealed entry"),
        test.platform.prove_consistency(admin, &tree, old_size - 1).await.expect_err("a sealed tree"),
        test.platform.audit_tree(admin, Some(2)).await.expect_err("a sealed tree"),
    ];
    for error in said {
        ensure!(error.to_string().contains("take the segment one"), "{error}");
    }
    // Who has the segment makes the same proofs of what was sealed.
    let segment = || [("one".to_owned(), BufReader::new(File::open(shelf.path("one")).expect("the segment")))];
    for seq in 1..=size {
        let proof = prove_entry(store, segment(), seq, size, Some(2)).await?;
        assert_eq!((&proof.inclusion, &proof.consistency), (&proofs[usize::try_from(seq)? - 1], &Some(older.clone())));
        assert_eq!(proof.entry.actor(), actors[usize::try_from(seq)? - 1], "with the name that stands beside the log");
    }
    let few = prove_entry(store, [] as [(String, &[u8]); 0], 2, size, None).await;
    ensure!(matches!(few, Err(VerifyError::TooFewSegments { .. })), "{few:?}");
    let beyond = prove_entry(store, segment(), 2, size + 100, None).await;
    ensure!(matches!(beyond, Err(VerifyError::NotInTree { seq: 2, .. })), "{beyond:?}");
    assert!(test.platform.audit_entry(admin, 2).await?.is_none());
    let log = test.platform.audit_log(admin, &AuditFilter::default(), &PageRequest::first(100)).await?;
    assert_eq!(log.items.last().map(|entry| entry.seq), Some(sealed + 1));
    assert!(!log.has_next, "the log ends where the sealed entries begin");
    test.check().await
}

#[tokio::test]
async fn the_command_shows_its_plan_and_does_it_when_told_to() -> Result<()> {
    let (world, shelf) = (World::on(Database::Sqlite).await?, Shelf::new()?);
    filled(&world).await?;
    let to = shelf.path("segment").to_string_lossy().into_owned();
    let run = async |arguments: &[&str]| -> Result<(bool, String)> {
        let mut command = Command::new(programs::built("vpn-graphql")?);
        command.arg("audit").args(arguments).env("VPN_DATABASE_URL", &world.db.url);
        let output = programs::output(&mut command).await?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8(said)?))
    };
    let (done, said) = run(&["seal", "--size", "3", "--to", &to]).await?;
    ensure!(done && said.contains("nothing was done: say --apply"), "{said}");
    ensure!(!shelf.path("segment").exists() && entries(world.store()).await?[0].seq == 1);
    let (done, said) = run(&["seal", "--size", "3", "--to", &to, "--apply"]).await?;
    ensure!(done && said.contains("tells of it"), "{said}");
    assert_eq!(entries(world.store()).await?[0].seq, 4);
    let (done, said) = run(&["verify"]).await?;
    ensure!(done && said.contains("the first 3 of them were sealed"), "{said}");
    let (done, said) = run(&["verify", "--segment", &to]).await?;
    ensure!(done && !said.contains("were sealed"), "{said}");
    let (done, said) = run(&["verify", "--file", &to]).await?;
    ensure!(done, "{said}");
    // Nothing is that old.
    let before = ["seal", "--before", "2020-01-01T00:00:00Z", "--to", &to];
    let (done, said) = run(&before).await?;
    ensure!(!done && said.contains("there is nothing to seal"), "{said}");
    let (done, said) = run(&["seal", "--to", &to]).await?;
    ensure!(!done && said.contains("--before"), "{said}");
    Ok(())
}
