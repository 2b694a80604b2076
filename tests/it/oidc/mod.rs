//! Single sign-on, against an identity provider that answers, takes other keys, and goes away; and against
//! tokens that an independent library has made.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use vpn_core::{
    domain::{Caller, Credential, RequestId, Role},
    error::Error,
    oidc::{Algorithms, Patience, Provider, ProviderOptions},
    service::Platform,
    store::{AuditFilter, PageRequest},
};
use vpn_tests::{
    Database, TestPlatform,
    issuer::{Issuer, SigningKey},
    soon,
};

/// Asks whenever it is to.
const AT_ONCE: Patience = Patience {
    between: Duration::ZERO,
    fresh: Duration::from_hours(1),
    stale: Duration::from_hours(1),
    answer: Duration::from_secs(5),
};

fn options(issuer: &str, patience: Patience) -> ProviderOptions {
    ProviderOptions {
        issuer: issuer.to_owned(),
        audience: vec!["vpn".into()],
        keys_url: None,
        algorithms: Algorithms::default(),
        clock_skew: Duration::ZERO,
        principal_claim: "sub".into(),
        role_claim: "roles".into(),
        roles: vec![("admins".into(), Role::Admin), ("staff".into(), Role::Operator)],
        patience,
    }
}

fn with(test: &TestPlatform, options: ProviderOptions) -> Result<Platform> {
    Ok(test.platform.clone().with_provider(Provider::new(options)?))
}

async fn sign_in(platform: &Platform, token: &str) -> Result<Caller, Error> {
    platform.authenticate(Some(token), None, RequestId::generate(platform.ambient())).await
}

/// Why the last one was refused.
async fn why(test: &TestPlatform) -> Result<String> {
    let filter = AuditFilter { action: Some("authentication.refused".into()), ..AuditFilter::default() };
    let page = test.platform.audit_log(&test.admin, &filter, &PageRequest::first(1)).await?;
    Ok(page.items.first().context("a refusal")?.detail()["why"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_signed_token_admits_with_its_name_and_role_and_its_end() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let key = SigningKey::p256("one")?;
    let issuer = Issuer::start(&[&key]).await?;
    let platform = with(&test, options(&issuer.url, AT_ONCE))?;
    let token = key.sign(&issuer.claims("ada", "staff", 600))?;
    let ada = sign_in(&platform, &token).await?;
    assert_eq!((ada.principal.as_str(), ada.role), ("ada", Role::Operator));
    ensure!(matches!(ada.credential, Credential::Jwt(_)) && ada.expires_at.is_some());
    ensure!(platform.tokens(&ada, &vpn_core::store::TokenFilter::default(), &PageRequest::first(1)).await.is_ok());
    ensure!(platform.audit_tree(&ada, None).await.is_ok());
    // Our own tokens are taken beside it, and without a provider a signed token is nothing.
    ensure!(matches!(sign_in(&test.platform, &token).await, Err(Error::Unauthenticated)));
    assert_eq!(why(&test).await?, "malformed token");
    for _ in 0..20 {
        sign_in(&platform, &token).await?;
    }
    assert_eq!(issuer.asked(), 1, "the keys are kept");
    Ok(())
}

#[tokio::test]
async fn a_stream_ends_with_the_token() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let key = SigningKey::p256("one")?;
    let issuer = Issuer::start(&[&key]).await?;
    let platform = with(&test, options(&issuer.url, AT_ONCE))?;
    let ada = sign_in(&platform, &key.sign(&issuer.claims("ada", "staff", 10))?).await?;
    let mut events = std::pin::pin!(platform.job_events(&ada, None, None).await?);
    let end = soon("the end of the stream", events.next()).await?;
    ensure!(matches!(end, Some(Err(Error::Unauthenticated))));
    Ok(())
}

#[tokio::test]
async fn new_keys_are_taken_and_old_ones_are_not() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let (old, new) = (SigningKey::p256("old")?, SigningKey::p256("new")?);
    let issuer = Issuer::start(&[&old]).await?;
    let platform = with(&test, options(&issuer.url, AT_ONCE))?;
    let claims = issuer.claims("ada", "admins", 600);
    assert_eq!(sign_in(&platform, &old.sign(&claims)?).await?.role, Role::Admin);
    issuer.publish(&[&new])?;
    sign_in(&platform, &new.sign(&claims)?).await?;
    ensure!(matches!(sign_in(&platform, &old.sign(&claims)?).await, Err(Error::Unauthenticated)));
    assert_eq!(why(&test).await?, "signed with an unknown key");
    Ok(())
}

#[tokio::test]
async fn tokens_with_unknown_keys_do_not_keep_the_issuer_busy() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let key = SigningKey::p256("one")?;
    let issuer = Issuer::start(&[&key]).await?;
    let patience = Patience { between: Duration::from_hours(1), ..AT_ONCE };
    let platform = with(&test, options(&issuer.url, patience))?;
    let claims = issuer.claims("ada", "staff", 600);
    let stranger = SigningKey::p256("two")?.sign(&claims)?;
    let answers = futures_util::future::join_all((0..20).map(|_| sign_in(&platform, &stranger))).await;
    ensure!(answers.iter().all(Result::is_err));
    assert_eq!(issuer.asked(), 1, "all of them together");
    sign_in(&platform, &key.sign(&claims)?).await?;
    assert_eq!(issuer.asked(), 1);
    Ok(())
}

#[tokio::test]
async fn an_issuer_that_is_away_costs_nothing_for_a_while_and_nobody_comes_in_after_that() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let key = SigningKey::p256("one")?;
    let issuer = Issuer::start(&[&key]).await?;
    issuer.go_away(true);
    let token = key.sign(&issuer.claims("ada", "staff", 600))?;
    let never_had = with(&test, options(&issuer.url, AT_ONCE))?;
    let Err(error @ Error::Provider(_)) = sign_in(&never_had, &token).await else {
        anyhow::bail!("checked without keys")
    };
    assert_eq!((error.code(), error.is_retryable()), ("SERVICE_UNAVAILABLE", true));
    ensure!(!error.public_message().contains(&issuer.url), "{}", error.public_message());
    issuer.go_away(false);
    // Always to be fetched again, and used for ever or not at all without it.
    let keeps = with(&test, options(&issuer.url, Patience { fresh: Duration::ZERO, ..AT_ONCE }))?;
    let forgets =
        with(&test, options(&issuer.url, Patience { fresh: Duration::ZERO, stale: Duration::ZERO, ..AT_ONCE }))?;
    sign_in(&keeps, &token).await?;
    sign_in(&forgets, &token).await?;
    issuer.go_away(true);
    sign_in(&keeps, &token).await?;
    ensure!(matches!(sign_in(&forgets, &token).await, Err(Error::Provider(_))));
    issuer.go_away(false);
    sign_in(&forgets, &token).await?;
    Ok(())
}

#[tokio::test]
async fn a_configuration_of_another_issuer_is_not_believed() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let key = SigningKey::p256("one")?;
    let issuer = Issuer::start(&[&key]).await?;
    // The same place by another name: its configuration names itself, and not us.
    let alias = issuer.url.replace("127.0.0.1", "localhost");
    let platform = with(&test, options(&alias, AT_ONCE))?;
    let mut claims = issuer.claims("ada", "staff", 600);
    claims["iss"] = json!(alias);
    ensure!(matches!(sign_in(&platform, &key.sign(&claims)?).await, Err(Error::Provider(_))));
    Ok(())
}

/// Made by `joserfc` 1.6 (Python) and by hand; the tokens end in the year 2100.
#[tokio::test]
async fn tokens_of_an_independent_library_are_taken_and_forged_ones_are_not() -> Result<()> {
    let vectors: Value = serde_json::from_str(include_str!("vectors.json"))?;
    let test = TestPlatform::on(Database::Sqlite).await?;
    let issuer = Issuer::start(&[]).await?;
    issuer.publish_raw(vectors["keys"].as_array().context("keys")?);
    let mut options = options(vectors["issuer"].as_str().context("an issuer")?, AT_ONCE);
    options.keys_url = Some(format!("{}/keys", issuer.url));
    let platform = with(&test, options)?;
    for (algorithm, token) in vectors["good"].as_object().context("good ones")? {
        let ada = sign_in(&platform, token.as_str().context("a token")?).await;
        let ada = ada.with_context(|| algorithm.clone())?;
        assert_eq!((ada.principal.as_str(), ada.role), ("ada", Role::Operator), "{algorithm}");
    }
    for (name, vector) in vectors["bad"].as_object().context("bad ones")? {
        let token = vector[1].as_str().context("a token")?;
        ensure!(matches!(sign_in(&platform, token).await, Err(Error::Unauthenticated)), "{name} was taken");
        assert_eq!(why(&test).await?, vector[0].as_str().unwrap_or_default(), "{name}");
    }
    let good = vectors["good"]["EdDSA"].as_str().context("a token")?;
    for (at, character) in good.char_indices().step_by(7) {
        let other = if character == 'A' { "B" } else { "A" };
        let changed = format!("{}{other}{}", &good[..at], &good[at + 1..]);
        // The last digit of a part may hold bits that are not used.
        let is_last = matches!(good.as_bytes().get(at + 1), None | Some(b'.'));
        ensure!(is_last || sign_in(&platform, &changed).await.is_err(), "changed at {at}: {changed}");
    }
    Ok(())
}
