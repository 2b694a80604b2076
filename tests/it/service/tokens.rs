//! Access tokens, from making to ending.

use std::time::Instant;

use anyhow::Result;
use sqlx::Executor as _;
use vpn_core::{
    domain::{Credential, Permission, RequestId, Role, Scope, Scopes},
    error::{Error, RejectionCode},
    secrecy::ExposeSecret as _,
    service::CreateToken,
    store::{AuditFilter, PageRequest, TokenFilter},
};
use vpn_tests::{Database, TestPlatform, whole_on_every_database};

whole_on_every_database!(a_token_admits_until_it_is_revoked);

fn request(test: &TestPlatform) -> RequestId {
    RequestId::generate(test.platform.ambient())
}

async fn refusals(test: &TestPlatform) -> Result<Vec<String>> {
    let filter = AuditFilter { action: Some("authentication.refused".into()), ..AuditFilter::default() };
    let page = test.platform.audit_log(&test.admin, &filter, &PageRequest::first(100)).await?;
    Ok(page.items.iter().rev().map(|entry| entry.detail()["why"].as_str().unwrap_or_default().to_owned()).collect())
}

async fn a_token_admits_until_it_is_revoked(test: TestPlatform) -> Result<()> {
    let platform = &test.platform;
    let input = CreateToken { principal: "oscar".into(), role: Role::Operator, scopes: Scopes::ALL, valid_for_days: 1 };
    let made = platform.create_token(&test.admin, input).await?;
    let secret = made.secret.expose_secret();
    let caller = platform.authenticate(Some(secret), None, request(&test)).await?;
    assert_eq!((caller.principal.as_str(), caller.role), ("oscar", Role::Operator));
    assert_eq!(caller.credential, Credential::Token(made.token.id));
    assert!(caller.may(Permission::RevokeClient) && !caller.may(Permission::ManageTokens));
    let first = PageRequest::first(100);
    let listed = platform.tokens(&test.admin, &TokenFilter::default(), &first).await?;
    assert!(listed.items.iter().any(|token| token.id == made.token.id && token.last_used_at.is_some()));

    platform.revoke_token(&test.admin, &made.token.id.to_string()).await?;
    for (active, count) in [(true, 0), (false, 1)] {
        let filter = TokenFilter { principal: Some("oscar".into()), active: Some(active) };
        assert_eq!(platform.tokens(&test.admin, &filter, &first).await?.items.len(), count, "active: {active}");
    }
    let again = platform.revoke_token(&test.admin, &made.token.id.to_string()).await?;
    assert!(again.revoked_at.is_some());
    let refused = platform.authenticate(Some(secret), None, request(&test)).await;
    assert!(matches!(refused, Err(Error::Unauthenticated)));
    assert_eq!(refusals(&test).await?, ["revoked token"]);
    Ok(())
}

#[tokio::test]
async fn nobody_else_is_admitted_and_only_the_log_says_why() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let platform = &test.platform;
    let input = CreateToken { principal: "oscar".into(), role: Role::Viewer, scopes: Scopes::ALL, valid_for_days: 1 };
    let made = platform.create_token(&test.admin, input).await?;
    let good = made.secret.expose_secret();
    // Another platform's token: well formed, and unknown here.
    let other = TestPlatform::on(Database::Sqlite).await?;
    let input = CreateToken { principal: "oscar".into(), role: Role::Admin, scopes: Scopes::ALL, valid_for_days: 1 };
    let foreign = other.platform.create_token(&other.admin, input).await?;
    let cut = &good[..good.len() - 1];
    for (bearer, why) in [
        (None, "no token"),
        (Some(""), "malformed token"),
        (Some("vpn_pat_x"), "malformed token"),
        (Some(cut), "malformed token"),
        (Some(foreign.secret.expose_secret()), "unknown token"),
    ] {
        let refused = platform.authenticate(bearer, None, request(&test)).await;
        let Err(error @ Error::Unauthenticated) = refused else { panic!("{refused:?}") };
        assert!(!error.public_message().contains(why));
        assert_eq!(refusals(&test).await?.last().map(String::as_str), Some(why));
    }
    Ok(())
}

#[tokio::test]
async fn a_token_ends_by_itself() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let input = CreateToken { principal: "oscar".into(), role: Role::Viewer, scopes: Scopes::ALL, valid_for_days: 1 };
    let made = test.platform.create_token(&test.admin, input).await?;
    // Time cannot be turned back in the database, and what a token is cannot be changed; so its trigger
    // is taken away for this.
    let mut raw = test.db.raw().await?;
    raw.execute("DROP TRIGGER tokens_update").await?;
    raw.execute("UPDATE tokens SET expires_at = 1").await?;
    let refused = test.platform.authenticate(Some(made.secret.expose_secret()), None, request(&test)).await;
    assert!(matches!(refused, Err(Error::Unauthenticated)));
    assert_eq!(refusals(&test).await?, ["expired token"]);
    for days in [0, 367] {
        let input =
            CreateToken { principal: "oscar".into(), role: Role::Viewer, scopes: Scopes::ALL, valid_for_days: days };
        assert_eq!(
            super::code(test.platform.create_token(&test.admin, input).await),
            vpn_core::error::RejectionCode::Invalid
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_token_does_no_more_than_its_maker() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let platform = &test.platform;
    let ask = |role, scopes| CreateToken { principal: "oscar".into(), role, scopes, valid_for_days: 1 };
    let only = |scope| Scopes::from_iter([scope]);
    let made = platform.create_token(&test.admin, ask(Role::Admin, only(Scope::Tokens))).await?;
    let narrowed = platform.authenticate(Some(made.secret.expose_secret()), None, request(&test)).await?;
    assert_eq!(narrowed.scopes, only(Scope::Tokens));
    platform.create_token(&narrowed, ask(Role::Viewer, only(Scope::Tokens))).await?;
    for (role, scopes) in
        [(Role::Admin, Scopes::ALL), (Role::Viewer, Scopes::ALL), (Role::Operator, only(Scope::Clients))]
    {
        let refused = super::rejection(platform.create_token(&narrowed, ask(role, scopes)).await);
        assert_eq!((refused.code, refused.field), (RejectionCode::Invalid, Some("scopes")), "{scopes}");
    }
    let nothing = super::rejection(platform.create_token(&test.admin, ask(Role::Admin, Scopes::default())).await);
    assert_eq!(nothing.field, Some("scopes"));
    Ok(())
}

#[tokio::test]
async fn whoever_tries_again_and_again_has_to_wait_and_others_do_not() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let platform = &test.platform;
    let input = CreateToken { principal: "oscar".into(), role: Role::Viewer, scopes: Scopes::ALL, valid_for_days: 1 };
    let made = platform.create_token(&test.admin, input).await?;
    let good = made.secret.expose_secret();
    let (here, there) = (Some([192, 0, 2, 1].into()), Some([192, 0, 2, 2].into()));
    platform.authenticate(Some(good), here, request(&test)).await?;
    let mut answers = Vec::new();
    for _ in 0..60 {
        answers.push(platform.authenticate(Some("vpn_pat_x"), here, request(&test)).await.map(drop));
    }
    assert!(answers.iter().take(30).all(|answer| matches!(answer, Err(Error::Unauthenticated))), "{answers:?}");
    // Not all: one more try is had every two seconds.
    let waits = answers.iter().skip(30).any(|answer| matches!(answer, Err(Error::TooManyAttempts(_))));
    assert!(waits, "{answers:?}");
    // Somebody elsewhere, and somebody here who was let in before.
    let elsewhere = platform.authenticate(Some("vpn_pat_x"), there, request(&test)).await;
    assert!(matches!(elsewhere, Err(Error::Unauthenticated)));
    platform.authenticate(Some(good), here, request(&test)).await?;
    let told = refusals(&test).await?;
    assert!(told.iter().any(|why| why == "too many attempts"), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn a_flood_of_what_is_not_permitted_is_counted() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let viewer = vpn_tests::platform::caller("vera", Role::Viewer)?;
    let begun = Instant::now();
    for _ in 0..150 {
        assert!(matches!(test.platform.audit_entry(&viewer, 1).await, Err(Error::Forbidden(_))));
    }
    let filter = AuditFilter { actor: Some("vera".into()), ..AuditFilter::default() };
    let page = test.platform.audit_log(&test.admin, &filter, &PageRequest::first(100)).await?;
    let rest = PageRequest { after: page.items.last().map(|entry| entry.seq), ..PageRequest::first(100) };
    let rest = test.platform.audit_log(&test.admin, &filter, &rest).await?;
    let (recorded, later) = (page.items.len() + rest.items.len(), usize::try_from(begun.elapsed().as_secs() / 10)?);
    assert!((100..=100 + later).contains(&recorded), "a hundred at once, and one in ten seconds: {recorded}");
    Ok(())
}
