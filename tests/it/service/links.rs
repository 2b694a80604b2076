//! Links to profiles: good once, for a short time, and traceless but in the audit log.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vpn_core::{
    domain::{ClientId, LinkId, RequestId, Role, Scopes},
    error::{Error, RejectionCode as Code},
    secrecy::ExposeSecret as _,
    service::{CreateProfileLink, CreateToken, Delivered, Policy, Taken},
    store::{AuditFilter, NewLink, PageRequest},
};
use vpn_tests::{Database, TestPlatform, whole_on_every_database};

use super::{code, rejection};

whole_on_every_database!(
    a_link_gives_the_profile_once,
    a_link_ends_with_what_it_leads_to,
    a_link_ends_when_a_token_of_its_maker_is_revoked,
);

fn ask(client: ClientId) -> CreateProfileLink {
    CreateProfileLink { client_id: client.to_string(), valid_for_minutes: 60 }
}

/// A link to this client's profile: what opens it.
async fn link(test: &TestPlatform, client: ClientId) -> Result<String> {
    let made = test.platform.create_profile_link(&test.admin, ask(client)).await?;
    let url = made.url.expose_secret();
    let secret = url.strip_prefix("https://vpn.example.org/profile#").context(url.to_owned())?;
    Ok(secret.to_owned())
}

async fn open(test: &TestPlatform, secret: &str) -> Result<Option<Box<Delivered>>> {
    let request = RequestId::generate(test.platform.ambient());
    match test.platform.take_profile(secret, None, request).await? {
        Taken::Profile(delivered) => Ok(Some(delivered)),
        Taken::Nothing => Ok(None),
        Taken::TooMany => anyhow::bail!("too many"),
    }
}

/// Why links were refused, oldest first.
async fn refusals(test: &TestPlatform) -> Result<Vec<String>> {
    let filter = AuditFilter { action: Some("link.refused".into()), ..AuditFilter::default() };
    let page = test.platform.audit_log(&test.admin, &filter, &PageRequest::first(100)).await?;
    let why = |entry: &vpn_core::audit::AuditEntry| entry.detail()["why"].as_str().unwrap_or_default().to_owned();
    Ok(page.items.iter().rev().map(why).collect())
}

async fn a_link_gives_the_profile_once(test: TestPlatform) -> Result<()> {
    let worker = test.worker()?;
    let client = test.active().await?;
    let (first, second) = (link(&test, client.id).await?, link(&test, client.id).await?);
    assert_ne!(first, second);
    let delivered = open(&test, &first).await?.context("the profile")?;
    ensure!(delivered.profile.expose_secret().contains("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(delivered.client.id, client.id);
    ensure!(open(&test, &first).await?.is_none() && open(&test, &second).await?.is_none());
    assert_eq!(code(test.platform.deliver_profile(&test.admin, &client.id.to_string()).await), Code::ProfileGone);
    assert_eq!(code(test.platform.create_profile_link(&test.admin, ask(client.id)).await), Code::ProfileGone);
    assert_eq!(refusals(&test).await?, ["used link", "profile gone"]);

    let filter = AuditFilter { client_id: Some(client.id), ..AuditFilter::default() };
    let page = test.platform.audit_log(&test.admin, &filter, &PageRequest::first(10)).await?;
    let entry = page.items.iter().find(|entry| entry.columns.action == "profile.delivered").context("on record")?;
    assert_eq!((entry.columns.actor.as_str(), &entry.detail()["linkCreatedBy"]), ("anonymous", &"ada".into()));
    for entry in &page.items {
        let told = String::from_utf8_lossy(&entry.canonical).into_owned();
        ensure!(!told.contains(&first) && !told.contains(&second), "{told}");
    }
    worker.drain().await?;
    test.check().await
}

async fn a_link_ends_with_what_it_leads_to(test: TestPlatform) -> Result<()> {
    let worker = test.worker()?;
    let (delivered, revoked) = (test.active().await?, test.active().await?);
    let secret = link(&test, delivered.id).await?;
    test.platform.deliver_profile(&test.admin, &delivered.id.to_string()).await?;
    ensure!(open(&test, &secret).await?.is_none());
    let secret = link(&test, revoked.id).await?;
    test.revoke(revoked.id).await?;
    ensure!(open(&test, &secret).await?.is_none());
    assert_eq!(refusals(&test).await?, ["profile gone", "profile gone"]);
    worker.drain().await?;
    test.check().await
}

/// Whoever had stolen the token may have made links before it was missed.
async fn a_link_ends_when_a_token_of_its_maker_is_revoked(test: TestPlatform) -> Result<()> {
    let worker = test.worker()?;
    let token = async |principal: &str| {
        let (principal, scopes) = (principal.to_owned(), Scopes::ALL);
        let input = CreateToken { principal, role: Role::Operator, scopes, valid_for_days: 1 };
        Ok::<_, Error>(test.platform.create_token(&test.admin, input).await?.token.id.to_string())
    };
    let (hers, his, client) = (token("ada").await?, token("bob").await?, test.active().await?);
    let (first, second) = (link(&test, client.id).await?, link(&test, client.id).await?);
    test.platform.revoke_token(&test.admin, &hers).await?;
    ensure!(open(&test, &first).await?.is_none() && open(&test, &second).await?.is_none());
    assert_eq!(refusals(&test).await?, ["token revoked", "token revoked"]);
    let mut later = String::new();
    for _ in 0..5 {
        later = link(&test, client.id).await.context("those are none of the five that may be open")?;
    }
    test.platform.revoke_token(&test.admin, &his).await?;
    ensure!(open(&test, &later).await?.is_some(), "that token was somebody else's");
    worker.drain().await?;
    test.check().await
}

#[tokio::test]
async fn of_two_who_come_at_once_one_gets_the_profile() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let secret = link(&test, test.active().await?.id).await?;
    let (one, other) = tokio::join!(open(&test, &secret), open(&test, &secret));
    assert_eq!([one?, other?].iter().flatten().count(), 1);
    worker.drain().await?;
    test.check().await
}

#[tokio::test]
async fn a_link_that_has_expired_opens_nothing() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let client = test.active().await?;
    let secret = link(&test, client.id).await?;
    // As if it had been made long ago.
    let mut tx = test.db.store.begin().await?;
    let found = tx.link(hash_of(&secret)).await?.context("stored by its hash")?;
    ensure!(found.expires_at.since(tx.at()) > Duration::from_mins(59));
    let old = "vpn_link_".to_owned() + &"ab".repeat(32);
    let old = format!("{old}{}", &hex::encode(sha(old.as_bytes()))[..8]);
    let new = NewLink {
        id: LinkId::generate(test.platform.ambient()),
        client_id: client.id,
        secret_hash: hash_of(&old),
        created_by: "ada".into(),
        expires_at: tx.at(),
    };
    tx.insert_link(&new).await?;
    tx.commit(vpn_tests::told(), []).await?;
    ensure!(open(&test, &old).await?.is_none());
    assert_eq!(refusals(&test).await?, ["expired link"]);
    ensure!(open(&test, &secret).await?.is_some(), "the other one is still good");
    worker.drain().await
}

fn sha(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

/// As the documentation has it: the SHA-256 of the 64 digits.
fn hash_of(secret: &str) -> [u8; 32] {
    sha(&secret.as_bytes()["vpn_link_".len()..][..64])
}

#[tokio::test]
async fn links_that_nobody_made_are_refused_and_a_flood_of_them_is_stopped() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let secret = link(&test, test.active().await?.id).await?;
    let mut wrong = secret.clone().into_bytes();
    wrong[20] = if wrong[20] == b'0' { b'1' } else { b'0' };
    let body = String::from_utf8(wrong)?[..73].to_owned();
    let unknown = format!("{body}{}", &hex::encode(sha(body.as_bytes()))[..8]);
    for guess in ["", "vpn_link_", &secret[..80], &unknown, "é"] {
        ensure!(open(&test, guess).await?.is_none(), "{guess}");
    }
    assert_eq!(
        refusals(&test).await?,
        ["malformed link", "malformed link", "malformed link", "unknown link", "malformed link"]
    );
    let request = RequestId::generate(test.platform.ambient());
    let mut tries = 0;
    let bad = Some("192.0.2.7".parse()?);
    while !matches!(test.platform.take_profile("guess", bad, request).await?, Taken::TooMany) {
        tries += 1;
        ensure!(tries < 10_000, "nobody stops it");
    }
    let good = test.platform.take_profile(&secret, Some("198.51.100.7".parse()?), request).await?;
    ensure!(matches!(good, Taken::Profile(_)), "who guesses keeps nobody else out");
    worker.drain().await
}

#[tokio::test]
async fn what_is_asked_of_a_link_is_checked() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let client = test.client().await?;
    let link = |minutes| CreateProfileLink { client_id: client.id.to_string(), valid_for_minutes: minutes };
    for minutes in [i32::MIN, -1, 0, 1441, i32::MAX] {
        let no = rejection(test.platform.create_profile_link(&test.admin, link(minutes)).await);
        assert_eq!((no.code, no.field), (Code::Invalid, Some("validForMinutes")));
    }
    assert_eq!(code(test.platform.create_profile_link(&test.admin, link(60)).await), Code::WrongState);
    let nowhere = test.platform.clone().with_policy(Policy::default());
    let no = rejection(nowhere.create_profile_link(&test.admin, link(60)).await);
    ensure!(no.message.contains("public_url"), "{}", no.message);

    let worker = test.worker()?;
    let client = test.active().await?;
    for _ in 0..5 {
        test.platform.create_profile_link(&test.admin, ask(client.id)).await?;
    }
    let no = rejection(test.platform.create_profile_link(&test.admin, ask(client.id)).await);
    ensure!(no.code == Code::WrongState && no.message.contains("wait until one ends"), "{}", no.message);
    worker.drain().await
}
