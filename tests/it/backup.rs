//! Backups, and databases made of them.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use secrecy::SecretString;
use vpn_core::{
    audit::{Action, Entry},
    backup::{self, BackupError, Restore},
    domain::{
        Approval, ApprovalId, ApprovalState, Caller, Client, ClientId, Credential, Fence, JobKind, JwtId, Operation,
        RequestId, Role, Scopes, TokenId,
    },
    service::verify_audit_log,
    store::{
        AuditFilter, Decision, IdempotencyRecord, NewProfile, NewToken, PageRequest, Remembered, Store, StoreError,
    },
    vault::Vault,
};
use vpn_tests::{Database, Db, World, failure, on_every_database, platform::caller, told};

on_every_database!(
    a_backup_restored_into_any_database_has_every_row_as_it_was,
    a_backup_is_of_one_instant_though_others_write,
    tokens_and_requests_end_unless_they_are_kept,
);

fn vault(digits: &str) -> Result<Vault> {
    Ok(Vault::new(&SecretString::from(digits.repeat(32)))?)
}

struct Desk {
    directory: tempfile::TempDir,
    caller: Caller,
    vault: Vault,
}

impl Desk {
    fn new() -> Result<Self> {
        Ok(Self { directory: tempfile::tempdir()?, caller: caller("ada", Role::Admin)?, vault: vault("5e")? })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn how(&self) -> Restore<'_> {
        Restore { caller: &self.caller, vault: &self.vault, give_up_profiles: false, keep_tokens: true }
    }

    /// A backup of the store, as its lines.
    async fn lines(&self, store: &Store, name: &str) -> Result<Vec<String>> {
        backup::write_file(store, &self.file(name)).await?;
        Ok(fs::read_to_string(self.file(name))?.lines().map(str::to_owned).collect())
    }

    fn write(&self, name: &str, lines: &[String]) -> Result<PathBuf> {
        fs::write(self.file(name), lines.join("\n") + "\n")?;
        Ok(self.file(name))
    }
}

/// Clients, jobs and profiles in every state that the triggers tell apart, names that were used again,
/// tokens, and an idempotency key.
async fn populate(world: &World, vault: &Vault) -> Result<()> {
    let revoked = world.revoked().await?;
    let mut again = world.new_client(revoked.server_id)?;
    again.name = revoked.name;
    let mut tx = world.store().begin().await?;
    tx.insert_client(again).await?;
    tx.commit(told(), []).await?;
    world.active().await?;
    world.running(JobKind::Provision).await?;
    world.running(JobKind::Revoke).await?;
    overtaken(world, false).await?;
    overtaken(world, true).await?;

    let (failed, fence) = world.running(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    tx.fail_job(&failed, &failure(), &fence).await?;
    tx.commit(told(), []).await?;
    world.job(failed.client_id, JobKind::Provision).await?;

    let (waiting, fence) = with_profile(world, vault).await?;
    let (delivered, _) = with_profile(world, vault).await?;
    let (destroyed, _) = with_profile(world, vault).await?;
    let mut tx = world.store().begin().await?;
    tx.deliver_profile(delivered.id, "ada").await?;
    tx.destroy_profile(destroyed.id).await?;
    tx.activate_client(waiting.id, &vpn_tests::certificate(), &fence).await?;
    tx.commit(told(), []).await?;
    world.request_revocation(waiting.id).await?;
    world.job(waiting.id, JobKind::Revoke).await?;

    token(world, false).await?;
    token(world, true).await?;
    let mut tx = world.store().begin().await?;
    let result = Remembered { client_id: Some(waiting.id), ..Remembered::default() };
    let record = IdempotencyRecord { operation: "createClient".to_owned(), request_hash: [7; 32], result };
    tx.remember("ada", "request-17", &record).await?;
    let entry = Entry::by(&caller("ada", Role::Admin)?, Action::ClientCreated);
    tx.commit(entry.with("name", "laptop-of-ada"), []).await?;
    for (state, by) in [
        (ApprovalState::Pending, None),
        (ApprovalState::Approved, Some("omar")),
        (ApprovalState::Denied, Some("omar")),
        (ApprovalState::Expired, None),
    ] {
        approval(world, waiting.id, state, by).await?;
    }
    Ok(())
}

async fn approval(world: &World, client: ClientId, state: ApprovalState, by: Option<&str>) -> Result<ApprovalId> {
    let mut tx = world.store().begin().await?;
    let new = Approval {
        id: ApprovalId::generate(&world.ambient),
        operation: Operation::RevokeClient,
        input: serde_json::json!({ "clientId": client.to_string() }),
        client_id: Some(client),
        requested_by: "olga".parse()?,
        role: Role::Operator,
        scopes: Scopes::ALL,
        credential: Credential::Jwt(JwtId::of("a token")),
        request_id: RequestId::generate(&world.ambient),
        requested_at: tx.at(),
        expires_at: tx.at().plus(Duration::from_hours(1)),
        stored: ApprovalState::Pending,
        decided_by: None,
        decided_at: None,
        reason: None,
        job_id: None,
    };
    tx.insert_approval(&new).await?;
    if state != ApprovalState::Pending {
        tx.decide_approval(new.id, &Decision { state, by, reason: None, job_id: None }).await?;
    }
    let (read, _) = tx.approval(new.id).await?;
    let read = read.context("an approval")?;
    ensure!((read.stored, read.credential, &read.input) == (state, new.credential, &new.input), "{read:?}");
    tx.commit(told(), []).await?;
    Ok(new.id)
}

/// A provision that was canceled before it ran, or after an attempt.
async fn overtaken(world: &World, tried: bool) -> Result<()> {
    let job = world.queued(JobKind::Provision).await?;
    if tried {
        let (job, fence) = world.claim(&job, Duration::from_secs(30)).await?;
        let mut tx = world.store().begin().await?;
        let now = tx.at();
        tx.delay_job(&job, &failure(), now, &fence).await?;
        tx.commit(told(), []).await?;
    }
    world.request_revocation(job.client_id).await?;
    let mut tx = world.store().begin().await?;
    tx.cancel_job(job.id).await?;
    tx.commit(told(), []).await?;
    Ok(())
}

async fn with_profile(world: &World, vault: &Vault) -> Result<(Client, Fence)> {
    let (job, fence) = world.running(JobKind::Provision).await?;
    let client = world.reload(job.client_id).await?;
    let sealed = vault.seal(&SecretString::from("profile"), &client, &world.ambient)?;
    let mut tx = world.store().begin().await?;
    tx.store_profile(&NewProfile { client_id: client.id, sealed, has_key: true }, &fence).await?;
    tx.commit(told(), []).await?;
    Ok((client, fence))
}

async fn token(world: &World, revoked: bool) -> Result<TokenId> {
    let mut tx = world.store().begin().await?;
    let new = NewToken {
        id: TokenId::generate(&world.ambient),
        principal: "bob@example.org".parse()?,
        role: Role::Operator,
        scopes: vpn_core::domain::Scopes::ALL,
        secret_hash: world.ambient.random(),
        created_by: "alice".to_owned(),
        expires_at: tx.at().plus(Duration::from_hours(1)),
    };
    tx.insert_token(&new).await?;
    tx.touch_token(new.id, Duration::ZERO).await?;
    if revoked {
        tx.revoke_token(new.id, "alice").await?;
    }
    tx.commit(told(), []).await?;
    Ok(new.id)
}

/// The rows of each table, and nothing that a backup says about itself.
fn by_table(lines: &[String]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let value: serde_json::Value = serde_json::from_str(line)?;
        if let Some(table) = value["table"].as_str() {
            tables.entry(table.to_owned()).or_default().push(line.clone());
        }
    }
    Ok(tables)
}

async fn a_backup_restored_into_any_database_has_every_row_as_it_was(world: World) -> Result<()> {
    let desk = Desk::new()?;
    populate(&world, &desk.vault).await?;
    let before = desk.lines(world.store(), "before").await?;
    assert_eq!(fs::metadata(desk.file("before"))?.permissions().mode() & 0o777, 0o600);
    let text = before.join("\n");
    assert!(!text.contains(&"5e".repeat(32)), "the profile key is not in it");
    let mut was = by_table(&before)?;
    assert_eq!(was.len(), 10, "every table has a row");
    let log = was.remove("audit_log").context("entries")?;

    for database in [Database::Sqlite, Database::Postgres, Database::MariaDb] {
        let target = Db::empty(database).await?;
        backup::restore(&target.store, &desk.file("before"), &desk.how()).await?;
        let verified = verify_audit_log(&target.store).await?;
        assert_eq!(usize::try_from(verified.entries)?, log.len() + 1);
        let newest = target.store.read().await?.audit_page(&AuditFilter::default(), &PageRequest::first(1)).await?;
        assert_eq!(newest.items.first().map(|entry| entry.columns.action.as_str()), Some("database.restored"));

        let mut is = by_table(&desk.lines(&target.store, &format!("{database:?}")).await?)?;
        let log_now = is.remove("audit_log").context("entries")?;
        assert_eq!(log_now.get(..log.len()), Some(&log[..]), "the log is extended, and not changed");
        assert_eq!(is, was);
    }
    Ok(())
}

async fn a_backup_is_of_one_instant_though_others_write(world: World) -> Result<()> {
    let desk = Desk::new()?;
    world.active().await?;
    let mut snapshot = world.store().snapshot().await?;
    let head = snapshot.head().await?;
    world.active().await?;
    assert_eq!(snapshot.head().await?, head);
    assert_eq!(snapshot.clients(false, None).await?.len(), 1);
    drop(snapshot);
    assert_eq!(by_table(&desk.lines(world.store(), "later").await?)?["clients"].len(), 2);
    Ok(())
}

async fn tokens_and_requests_end_unless_they_are_kept(world: World) -> Result<()> {
    let desk = Desk::new()?;
    let asked = approval(&world, world.client().await?.id, ApprovalState::Pending, None).await?;
    let (valid, ended) = (token(&world, false).await?, token(&world, true).await?);
    backup::write_file(world.store(), &desk.file("backup")).await?;
    for keep_tokens in [false, true] {
        let target = Db::empty(Database::Sqlite).await?;
        let how = Restore { keep_tokens, ..desk.how() };
        let restored = backup::restore(&target.store, &desk.file("backup"), &how).await?;
        assert_eq!(restored.tokens_revoked, u64::from(!keep_tokens));
        assert_eq!(restored.requests_ended, u64::from(!keep_tokens));
        for (id, is_revoked) in [(valid, !keep_tokens), (ended, true)] {
            let (found, _) = target.store.read().await?.token(id).await?;
            assert_eq!(found.context("the token")?.revoked_at.is_some(), is_revoked);
        }
        let request = target.store.read().await?.approval(asked).await?.0.context("the request")?;
        assert_eq!(request.stored, if keep_tokens { ApprovalState::Pending } else { ApprovalState::Expired });
        let filter = AuditFilter { action: Some("approval.expired".into()), ..AuditFilter::default() };
        let told = target.store.read().await?.audit_page(&filter, &PageRequest::first(1)).await?.items;
        let reasons: Vec<_> = told.iter().map(|entry| entry.detail()["reason"].clone()).collect();
        assert_eq!(reasons, if keep_tokens { vec![] } else { vec!["the database was restored"] });
        verify_audit_log(&target.store).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_backup_that_was_changed_anywhere_is_refused_and_nothing_is_restored() -> Result<()> {
    let (desk, world) = (Desk::new()?, World::on(Database::Sqlite).await?);
    world.active().await?;
    let whole = desk.lines(world.store(), "whole").await?;
    for at in 0..whole.len() {
        let (mut cut, mut changed, mut doubled) = (whole.clone(), whole.clone(), whole.clone());
        cut.remove(at);
        changed[at] = changed[at].replacen(['1', 'a'], "2", 1);
        doubled.insert(at, whole[at].clone());
        for lines in [cut, changed, doubled, whole[..at].to_vec()] {
            let target = Db::empty(Database::Sqlite).await?;
            let path = desk.write("damaged", &lines)?;
            let refused = backup::restore(&target.store, &path, &desk.how()).await;
            ensure!(matches!(refused, Err(BackupError::Damaged { .. })), "line {at}: {refused:?}");
            target.store.begin_restore().await.context("the database is still empty")?;
        }
    }
    Ok(())
}

/// The lines with a last one that fits them.
fn sealed(mut lines: Vec<String>) -> Vec<String> {
    use sha2::Digest as _;
    let digest = hex::encode(sha2::Sha256::digest((lines.join("\n") + "\n").as_bytes()));
    lines.push(format!(r#"{{"end":{{"lines":{},"sha256":"{digest}"}}}}"#, lines.len()));
    lines
}

#[tokio::test]
async fn a_backup_of_an_older_schema_is_restored_and_one_of_a_newer_is_not() -> Result<()> {
    let (desk, world) = (Desk::new()?, World::on(Database::Sqlite).await?);
    world.active().await?;
    let mut lines = desk.lines(world.store(), "whole").await?;
    lines.pop();
    for (schema, fits) in [(1, true), (1_000, false)] {
        let mut header: serde_json::Value = serde_json::from_str(&lines[0])?;
        header["backup"]["schema"] = schema.into();
        lines[0] = header.to_string();
        let path = desk.write(&format!("schema-{schema}"), &sealed(lines.clone()))?;
        let target = Db::empty(Database::Sqlite).await?;
        let restored = backup::restore(&target.store, &path, &desk.how()).await;
        ensure!(restored.is_ok() == fits, "{schema}: {restored:?}");
        ensure!(fits || matches!(restored, Err(BackupError::Version(_))));
    }
    Ok(())
}

/// Whoever can write the file can make the checksum right, too.
#[tokio::test]
async fn a_log_that_was_changed_together_with_the_checksum_is_refused() -> Result<()> {
    let (desk, world) = (Desk::new()?, World::on(Database::Sqlite).await?);
    world.active().await?;
    let mut lines = desk.lines(world.store(), "whole").await?;
    lines.pop();
    let entry = lines.pop().context("an entry")?;
    lines.push(entry.replace("system:test", "system:true"));
    let lines = sealed(lines);
    let target = Db::empty(Database::Sqlite).await?;
    let refused = backup::restore(&target.store, &desk.write("forged", &lines)?, &desk.how()).await;
    ensure!(matches!(refused, Err(BackupError::Chain(_))), "{refused:?}");
    target.store.begin_restore().await.context("the database is still empty")?;
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_in_use_is_not_restored_into() -> Result<()> {
    let (desk, world) = (Desk::new()?, World::on(Database::Sqlite).await?);
    backup::write_file(world.store(), &desk.file("backup")).await?;
    let refused = backup::restore(world.store(), &desk.file("backup"), &desk.how()).await;
    let Err(BackupError::Store(StoreError::Schema(message))) = refused else { anyhow::bail!("{refused:?}") };
    assert!(message.contains("restore into a new, empty database"), "{message}");
    Ok(())
}

#[tokio::test]
async fn a_backup_does_not_overwrite_a_file() -> Result<()> {
    let (desk, world) = (Desk::new()?, World::on(Database::Sqlite).await?);
    fs::write(desk.file("taken"), "mine")?;
    assert!(matches!(backup::write_file(world.store(), &desk.file("taken")).await, Err(BackupError::File { .. })));
    assert_eq!(fs::read_to_string(desk.file("taken"))?, "mine");
    assert_eq!(fs::read_dir(desk.directory.path())?.count(), 1, "and leaves nothing beside it");
    Ok(())
}

#[tokio::test]
async fn profiles_under_another_key_are_given_up_only_on_demand() -> Result<()> {
    let (desk, world) = (Desk::new()?, World::on(Database::Sqlite).await?);
    let (client, _) = with_profile(&world, &vault("5e")?).await?;
    backup::write_file(world.store(), &desk.file("backup")).await?;
    let (other, target) = (vault("77")?, Db::empty(Database::Sqlite).await?);
    let how = Restore { vault: &other, ..desk.how() };
    let refused = backup::restore(&target.store, &desk.file("backup"), &how).await;
    let Err(error @ BackupError::OtherProfileKey { .. }) = refused else { anyhow::bail!("{refused:?}") };
    assert!(error.to_string().contains(&desk.vault.key_id()), "{error}");
    let how = Restore { give_up_profiles: true, ..how };
    backup::restore(&target.store, &desk.file("backup"), &how).await?;
    let stored = target.store.read().await?.profile(client.id).await?.and_then(|profile| profile.sealed);
    desk.vault.open(&stored.context("still there, for whoever finds the key")?, &client)?;
    Ok(())
}
