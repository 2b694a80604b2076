//! Access tokens, from making to ending.

use anyhow::Result;
use sqlx::Executor as _;
use vpn_core::{
    domain::{RequestId, Role},
    error::Error,
    secrecy::ExposeSecret as _,
    service::CreateToken,
    store::{AuditFilter, PageRequest},
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
    let input = CreateToken { principal: "oscar".into(), role: Role::Operator, valid_for_days: 1 };
    let made = platform.create_token(&test.admin, input).await?;
    let secret = made.secret.expose_secret();
    let caller = platform.authenticate(Some(secret), request(&test)).await?;
    assert_eq!((caller.principal.as_str(), caller.role), ("oscar", Role::Operator));
    assert_eq!(caller.token, Some(made.token.id));
    let listed = platform.tokens(&test.admin).await?;
    assert!(listed.iter().any(|token| token.id == made.token.id && token.last_used_at.is_some()));

    platform.revoke_token(&test.admin, &made.token.id.to_string()).await?;
    let again = platform.revoke_token(&test.admin, &made.token.id.to_string()).await?;
    assert!(again.revoked_at.is_some());
    let refused = platform.authenticate(Some(secret), request(&test)).await;
    assert!(matches!(refused, Err(Error::Unauthenticated)));
    assert_eq!(refusals(&test).await?, ["revoked token"]);
    Ok(())
}

#[tokio::test]
async fn nobody_else_is_admitted_and_only_the_log_says_why() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let platform = &test.platform;
    let input = CreateToken { principal: "oscar".into(), role: Role::Viewer, valid_for_days: 1 };
    let made = platform.create_token(&test.admin, input).await?;
    let good = made.secret.expose_secret();
    // Another platform's token: well formed, and unknown here.
    let other = TestPlatform::on(Database::Sqlite).await?;
    let input = CreateToken { principal: "oscar".into(), role: Role::Admin, valid_for_days: 1 };
    let foreign = other.platform.create_token(&other.admin, input).await?;
    let cut = &good[..good.len() - 1];
    for (bearer, why) in [
        (None, "no token"),
        (Some(""), "malformed token"),
        (Some("vpn_pat_x"), "malformed token"),
        (Some(cut), "malformed token"),
        (Some(foreign.secret.expose_secret()), "unknown token"),
    ] {
        let refused = platform.authenticate(bearer, request(&test)).await;
        let Err(error @ Error::Unauthenticated) = refused else { panic!("{refused:?}") };
        assert!(!error.public_message().contains(why));
        assert_eq!(refusals(&test).await?.last().map(String::as_str), Some(why));
    }
    Ok(())
}

#[tokio::test]
async fn a_token_ends_by_itself() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let input = CreateToken { principal: "oscar".into(), role: Role::Viewer, valid_for_days: 1 };
    let made = test.platform.create_token(&test.admin, input).await?;
    // Time cannot be turned back in the database, and what a token is cannot be changed; so its trigger
    // is taken away for this.
    let mut raw = test.db.raw().await?;
    raw.execute("DROP TRIGGER tokens_update").await?;
    raw.execute("UPDATE tokens SET expires_at = 1").await?;
    let refused = test.platform.authenticate(Some(made.secret.expose_secret()), request(&test)).await;
    assert!(matches!(refused, Err(Error::Unauthenticated)));
    assert_eq!(refusals(&test).await?, ["expired token"]);
    for days in [0, 367] {
        let input = CreateToken { principal: "oscar".into(), role: Role::Viewer, valid_for_days: days };
        assert_eq!(
            super::code(test.platform.create_token(&test.admin, input).await),
            vpn_core::error::RejectionCode::Invalid
        );
    }
    Ok(())
}
