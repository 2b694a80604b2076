//! Names and texts are erased, and the log stays what it was.

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::Command;
use vpn_core::{
    audit::{Action, AuditEntry, ChainFault, Entry, Erasable, JobAct, Naming, leaf_hash, verify_export},
    backup,
    domain::{Caller, Client, JobKind, Role},
    service::{
        EraseError, Erasure, SealUpTo, VerifyError, erase_values, export_audit_log, plan_erasure, plan_seal,
        seal_audit_log, verify_audit_log, verify_audit_log_against, verify_audit_log_with_segments,
    },
    store::{AuditFilter, PageRequest, Store, StoredValue},
};
use vpn_tests::{
    Database, Db, World, attack::Attacker, on_every_database, platform::caller, programs, restore::restore,
};

use super::{checkpoint, entries};

on_every_database!(
    entries_name_nobody_and_are_read_with_names,
    what_is_erased_is_gone_and_no_entry_changes,
    a_name_that_comes_again_is_a_new_one_to_every_process,
    nothing_leaves_that_the_log_does_not_tell_of,
    a_value_that_was_changed_or_lost_is_found,
    a_segment_names_nobody_and_is_verified_with_what_is_left,
    what_an_old_backup_brings_back_is_erased_again,
    entries_of_before_are_read_and_found_as_they_are,
);

const REASON: &str = "left on a train by Ada herself";

fn ada() -> Result<Caller> {
    caller("ada@example.org", Role::Admin)
}

/// A client that Ada made and had revoked.
async fn filled(world: &World) -> Result<Client> {
    let client = world.client().await?;
    let entry = |action| Ok::<_, anyhow::Error>(Entry::by(&ada()?, action).client_as_is(&client));
    let made = entry(Action::ClientCreated)?.with("name", "laptop-of-ada").with("serial", client.serial.as_str());
    world.store().begin().await?.commit(made, []).await?;
    let revoke = entry(Action::Job(JobKind::Revoke, JobAct::Requested))?.with("reason", REASON);
    let done = Entry::by_system("worker", Action::Job(JobKind::Revoke, JobAct::Succeeded)).client_as_is(&client);
    let done = done.with("requestedBy", "ada@example.org");
    world.store().begin().await?.commit(revoke, [done]).await?;
    Ok(client)
}

async fn erase(store: &Store, erasure: Erasure) -> Result<Vec<StoredValue>> {
    let values = plan_erasure(store, &erasure).await?;
    erase_values(store, &caller("root", Role::Admin)?, &"asked for by letter".parse()?, &values).await?;
    Ok(values)
}

fn of_person(name: &str) -> Erasure {
    Erasure { people: vec![name.to_owned()], ..Erasure::default() }
}

fn numbers(entries: &[AuditEntry]) -> Vec<i64> {
    entries.iter().map(|entry| entry.seq).collect()
}

async fn by_actor(store: &Store, actor: &str) -> Result<Vec<i64>> {
    let filter = AuditFilter { actor: Some(actor.to_owned()), ..AuditFilter::default() };
    Ok(numbers(&store.read().await?.audit_page(&filter, &PageRequest::first(10)).await?.items))
}

async fn entries_name_nobody_and_are_read_with_names(world: World) -> Result<()> {
    filled(&world).await?;
    let written = entries(world.store()).await?;
    for entry in &written {
        let canonical = std::str::from_utf8(&entry.canonical)?;
        ensure!(
            !canonical.contains("ada@") && !canonical.contains("of-ada") && !canonical.contains("Ada"),
            "{canonical}"
        );
    }
    let [.., made, revoke, done] = written.as_slice() else { bail!("three entries") };
    assert_eq!((made.actor(), revoke.actor()), ("ada@example.org".to_owned(), "ada@example.org".to_owned()));
    assert_eq!(made.columns.actor, revoke.columns.actor, "one name, one commitment");
    assert_eq!((&made.detail()["name"], &revoke.detail()["reason"]), (&"laptop-of-ada".into(), &REASON.into()));
    assert_eq!((done.actor(), &done.detail()["requestedBy"]), ("system:worker".to_owned(), &"ada@example.org".into()));
    assert_eq!(by_actor(world.store(), "ada@example.org").await?, [revoke.seq, made.seq]);
    assert_eq!(by_actor(world.store(), "system:worker").await?, [done.seq]);
    // Who has an entry with its values needs nobody's word for it.
    for commitment in made.commitments() {
        assert_eq!(made.values.get(&commitment).map(Erasable::commitment), Some(commitment));
    }
    assert_eq!(made.commitments().len(), 2);
    world.verify_log().await?;
    Ok(())
}

async fn what_is_erased_is_gone_and_no_entry_changes(world: World) -> Result<()> {
    let client = filled(&world).await?;
    let store = world.store();
    let (before, signed) = (entries(store).await?, checkpoint(store).await?);
    let found = erase(store, Erasure { clients: vec![client.id], ..of_person("Ada@Example.org") }).await?;
    assert_eq!(found.len(), 3, "{found:?}");
    let after = entries(store).await?;
    for (was, is) in before.iter().zip(&after) {
        assert_eq!((&was.canonical, was.hash), (&is.canonical, is.hash));
    }
    let verified = verify_audit_log_against(store, [signed]).await?;
    assert_eq!((verified.checkpoints, verified.erased), (1, 3));

    let made = after.get(before.len() - 3).context("the entry")?;
    let shown = made.actor();
    assert_eq!(shown.strip_prefix("erased:").map(str::len), Some(64));
    ensure!(made.detail()["name"].as_str().is_some_and(|name| name.starts_with("erased:")), "{:?}", made.detail());
    assert_eq!(by_actor(store, &shown).await?, [made.seq + 1, made.seq], "two deeds of one person still");
    assert_eq!(by_actor(store, "ada@example.org").await?, [0; 0]);
    let told = after.last().context("the entry that tells of it")?;
    assert_eq!((told.columns.action.as_str(), told.actor()), ("audit.erased", "root".to_owned()));
    assert_eq!(told.detail()["commitments"].as_array().map(Vec::len), Some(3));
    let mut out = Vec::new();
    export_audit_log(store, None, None, Naming::Named, &mut out).await?;
    let text = String::from_utf8(out)?;
    ensure!(!text.contains("ada@") && !text.contains("Ada") && text.contains("asked for by letter"), "{text}");
    let again = plan_erasure(store, &of_person("ada@example.org")).await;
    ensure!(matches!(again, Err(EraseError::Nothing)), "{again:?}");
    let twice = erase_values(store, &ada()?, &"again".parse()?, &found).await;
    ensure!(matches!(twice, Err(EraseError::Overtaken { erased: 0 })), "{twice:?}");
    assert_eq!(store.read().await?.audit_head().await?.seq, told.seq, "and nothing was told");
    Ok(())
}

/// Processes remember commitments to names; none of them writes one that was erased.
async fn a_name_that_comes_again_is_a_new_one_to_every_process(world: World) -> Result<()> {
    let (one, other) = (world.store(), world.db.another_store()?);
    let deed = || Ok::<_, anyhow::Error>(Entry::by(&ada()?, Action::TokenRevoked));
    for store in [one, &other, one, &other] {
        store.begin().await?.commit(deed()?, []).await?;
    }
    let old = entries(one).await?.last().context("an entry")?.columns.actor.clone();
    erase(one, of_person("ada@example.org")).await?;
    other.begin().await?.commit(deed()?, []).await?;
    one.begin().await?.commit(deed()?, []).await?;
    let written = entries(one).await?;
    let [.., fifth, sixth] = written.as_slice() else { bail!("entries") };
    assert_eq!((fifth.actor(), sixth.actor()), ("ada@example.org".to_owned(), "ada@example.org".to_owned()));
    assert_eq!(fifth.columns.actor, sixth.columns.actor);
    assert_ne!(fifth.columns.actor, old);
    assert_eq!(by_actor(one, "ada@example.org").await?.len(), 2);
    // A transaction that is rolled back takes the name with it that it brought.
    let bob = Entry::by(&caller("bob", Role::Viewer)?, Action::TokenRevoked);
    let undone = one.begin().await?.commit_erasure(bob.clone(), &["00".repeat(32)]).await?;
    ensure!(undone.is_none());
    one.begin().await?.commit(bob, []).await?;
    assert_eq!(by_actor(one, "bob").await?.len(), 1);
    assert_eq!(world.verify_log().await?.erased, 0, "without the values, nobody looks for them");
    assert_eq!(verify_audit_log(one).await?.erased, 1);
    Ok(())
}

async fn nothing_leaves_that_the_log_does_not_tell_of(world: World) -> Result<()> {
    filled(&world).await?;
    let mut attacker = Attacker::on(&world.db).await?;
    attacker.refused("audit_values: UPDATE refused", "UPDATE audit_values SET value = 'mallory'").await?;
    attacker.refused("audit_values: DELETE refused", "DELETE FROM audit_values").await?;
    // An entry that tells of one erasure opens nothing else.
    erase(world.store(), of_person("ada@example.org")).await?;
    attacker.refused("audit_values: DELETE refused", "DELETE FROM audit_values").await?;
    // Nor does it for longer than it is the last.
    let kept = plan_erasure(world.store(), &of_person("root")).await?;
    let named = Entry::by(&ada()?, Action::AuditErased).with("commitments", vec![kept[0].commitment.clone()]);
    world.store().begin().await?.commit(named, [vpn_tests::told()]).await?;
    let delete = format!("DELETE FROM audit_values WHERE commitment = '{}'", kept[0].commitment);
    attacker.refused("audit_values: DELETE refused", delete).await?;
    world.verify_log().await?;
    Ok(())
}

async fn fault(world: &World) -> Result<ChainFault> {
    match verify_audit_log(world.store()).await {
        Err(VerifyError::Fault(fault)) => Ok(fault),
        other => bail!("the values were tampered with, and the verifier says {other:?}"),
    }
}

async fn a_value_that_was_changed_or_lost_is_found(world: World) -> Result<()> {
    filled(&world).await?;
    let written = entries(world.store()).await?;
    let made = written.get(written.len() - 3).context("the entry")?;
    let text =
        plan_erasure(world.store(), &Erasure { containing: vec!["OF-ada".into()], ..Erasure::default() }).await?;
    let row = format!("commitment = '{}'", text[0].commitment);
    let mut owner = Attacker::on(&world.db).await?;
    match world.db.database {
        Database::Sqlite => owner.run("DROP TRIGGER audit_values_update; DROP TRIGGER audit_values_delete").await?,
        Database::Postgres => {
            let forged = format!("UPDATE audit_values SET value = 'mallory' WHERE {row}");
            owner.run("ALTER TABLE audit_values DISABLE TRIGGER ALL").await?;
            owner.refused("audit_values_commitment", forged).await?;
            owner.run("ALTER TABLE audit_values DROP CONSTRAINT audit_values_commitment").await?
        }
        Database::MariaDb => {
            owner.run("DROP TRIGGER audit_values_update; DROP TRIGGER audit_values_delete").await?;
            let forged = format!("UPDATE audit_values SET value = 'mallory' WHERE {row}");
            owner.refused("audit_values_commitment", forged).await?;
            owner.run("ALTER TABLE audit_values DROP CONSTRAINT audit_values_commitment").await?
        }
    };
    owner.run(format!("UPDATE audit_values SET value = 'mallory' WHERE {row}")).await?;
    assert_eq!(fault(&world).await?, ChainFault::ValueChanged { seq: made.seq });
    owner.run(format!("DELETE FROM audit_values WHERE {row}")).await?;
    assert_eq!(fault(&world).await?, ChainFault::ValueLost { seq: made.seq });
    Ok(())
}

async fn a_segment_names_nobody_and_is_verified_with_what_is_left(world: World) -> Result<()> {
    let client = filled(&world).await?;
    let (store, directory) = (world.store(), tempfile::tempdir()?);
    let (path, signed) = (directory.path().join("one"), checkpoint(store).await?);
    let until = store.read().await?.audit_head().await?.seq;
    let plan = plan_seal(store, SealUpTo::Size(until), &path, vec![signed.clone()]).await?;
    seal_audit_log(store, &ada()?, &plan).await?;
    let segment = std::fs::read(&path)?;
    let text = String::from_utf8(segment.clone())?;
    ensure!(!text.contains("ada@") && !text.contains("of-ada") && !text.contains("train"), "{text}");
    assert_eq!(verify_export(segment.as_slice(), [])?.left_out, 5);
    let whole = async || {
        let segments = [("one".to_owned(), segment.as_slice())];
        verify_audit_log_with_segments(store, segments, vec![signed.clone()]).await
    };
    assert_eq!((whole().await?.checkpoints, whole().await?.erased), (1, 0));
    // What was sealed is erased like the rest, and no segment has to be touched.
    erase(store, Erasure { clients: vec![client.id], ..Erasure::default() }).await?;
    assert_eq!(whole().await?.erased, 2);
    erase(store, of_person("ada@example.org")).await?;
    assert_eq!(whole().await?.erased, 3);
    verify_audit_log(store).await?;
    Ok(())
}

async fn what_an_old_backup_brings_back_is_erased_again(world: World) -> Result<()> {
    filled(&world).await?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("backup");
    backup::write_file(world.store(), &file).await?;
    let erased = erase(world.store(), of_person("ada@example.org")).await?;
    let db = Db::empty(world.db.database).await?;
    restore(&db, &file).await?;
    ensure!(!by_actor(&db.store, "ada@example.org").await?.is_empty(), "it is back");
    let again = Erasure { commitments: erased.into_iter().map(|it| it.commitment).collect(), ..Erasure::default() };
    erase(&db.store, again).await?;
    assert_eq!(by_actor(&db.store, "ada@example.org").await?, [0; 0]);
    assert_eq!(verify_audit_log(&db.store).await?.erased, 1);

    // A backup is not believed about values, either.
    let forged = std::fs::read_to_string(&file)?.replace("\"value\":\"laptop-of-ada\"", "\"value\":\"laptop-of-bob\"");
    let (body, _) = forged.trim_end().rsplit_once('\n').context("its end")?;
    let body = format!("{body}\n");
    let sum = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(body.as_bytes()));
    let end = format!("{{\"end\":{{\"lines\":{},\"sha256\":\"{sum}\"}}}}\n", body.lines().count());
    std::fs::write(&file, format!("{body}{end}"))?;
    let refused = restore(&Db::empty(world.db.database).await?, &file).await;
    ensure!(refused.as_ref().is_err_and(|error| error.to_string().contains("has a commitment to")), "{refused:?}");
    Ok(())
}

/// As the first version of entries was written, in a database that was migrated since.
async fn entries_of_before_are_read_and_found_as_they_are(world: World) -> Result<()> {
    let mut reader = world.store().read().await?;
    let (origin, head) = (reader.audit_origin().await?, reader.audit_head().await?);
    let seq = head.seq + 1;
    let looks_like_one = format!("erasable:{}", "ab".repeat(32));
    let canonical = format!(
        r#"{{"action":"token.revoked","actor":"ada@example.org","at":"1970-01-01T00:00:00.000001Z","detail":{{"reason":"{looks_like_one}"}},"log":"{origin}","outcome":"ok","v":1}}"#
    );
    let leaf = leaf_hash(seq, &head.hash, canonical.as_bytes());
    let mut hand = Attacker::on(&world.db).await?;
    let (previous, bytes, hash) = (hand.bytes(&head.hash), hand.bytes(canonical.as_bytes()), hand.bytes(&leaf));
    hand.run(format!(
        "INSERT INTO audit_log (seq, prev_hash, canonical, leaf_hash, at, actor, action, outcome) \
         VALUES ({seq}, {previous}, {bytes}, {hash}, 1, 'ada@example.org', 'token.revoked', 'ok')"
    ))
    .await?;
    hand.run(format!("UPDATE audit_head SET seq = {seq}, leaf_hash = {hash}")).await?;
    filled(&world).await?;
    let old = reader.audit_entry(seq).await?.context("the old entry")?;
    assert_eq!((old.actor(), old.detail()["reason"].as_str()), ("ada@example.org".to_owned(), Some(&*looks_like_one)));
    ensure!(old.commitments().is_empty());
    verify_audit_log(world.store()).await?;

    // Both kinds are one list, in pages from both ends.
    let all = by_actor(world.store(), "ada@example.org").await?;
    assert_eq!((all.len(), all.last()), (3, Some(&seq)));
    let filter = AuditFilter { actor: Some("ada@example.org".into()), ..AuditFilter::default() };
    let first = reader.audit_page(&filter, &PageRequest::first(2)).await?;
    assert_eq!((numbers(&first.items), first.has_next), (all[..2].to_vec(), true));
    let last = reader.audit_page(&filter, &PageRequest { after: Some(all[1]), ..PageRequest::first(2) }).await?;
    assert_eq!((numbers(&last.items), last.has_next), (all[2..].to_vec(), false));
    let oldest = reader.audit_page(&filter, &PageRequest::last(2)).await?;
    assert_eq!((numbers(&oldest.items), oldest.has_previous), (all[1..].to_vec(), true));
    let timed = AuditFilter { since: Some(old.columns.at), ..filter };
    assert_eq!(numbers(&reader.audit_page(&timed, &PageRequest::first(10)).await?.items).last(), Some(&seq));
    Ok(())
}

#[tokio::test]
async fn the_command_shows_what_it_would_erase_and_can_do_it_again() -> Result<()> {
    let world = World::on(Database::Sqlite).await?;
    let client = filled(&world).await?;
    let directory = tempfile::tempdir()?;
    let run = async |arguments: &[&str]| -> Result<(bool, String, String)> {
        let mut command = Command::new(programs::built("vpn-graphql")?);
        let command = command.args(["audit", "erase", "--reason", "asked for by letter"]).args(arguments);
        let output = programs::output(command.env("VPN_DATABASE_URL", &world.db.url)).await?;
        Ok((output.status.success(), String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
    };
    let (done, _, said) = run(&[]).await?;
    ensure!(!done && said.contains("say what to erase"), "{said}");
    let id = client.id.to_string();
    let selected = ["--person", "ada@example.org", "--client", &id, "--containing", "TRAIN"];
    let (done, listed, said) = run(&selected).await?;
    ensure!(done && said.contains("3 values; nothing was done: say --apply"), "{said}");
    for value in ["ada@example.org", "laptop-of-ada", REASON] {
        ensure!(listed.contains(value), "{listed}");
    }
    let name = listed.lines().find(|line| line.contains("laptop-of-ada")).context("the name")?;
    let kept = name.split_whitespace().next().context("its commitment")?;
    let (done, list, said) = run(&[&selected[..], &["--keep", kept, "--apply"]].concat()).await?;
    ensure!(done && said.contains("2 values are erased, entry"), "{said}");
    assert_eq!(list.lines().count(), 2);
    let is_commitment = |line: &str| line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit());
    ensure!(list.lines().all(is_commitment) && !list.contains(kept), "{list}");
    let file = directory.path().join("erased");
    std::fs::write(&file, &list)?;
    let file = file.to_string_lossy();
    let (done, _, said) = run(&["--again", &file, "--apply"]).await?;
    ensure!(!done && said.contains("nothing to erase"), "{said}");
    let (done, left, _) = run(&["--containing", "Ada"]).await?;
    ensure!(done && left.contains(kept) && left.lines().count() == 1, "{left}");
    assert_eq!(verify_audit_log(world.store()).await?.erased, 2);
    Ok(())
}
