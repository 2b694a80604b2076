//! Access tokens: stored as a hash, ended once.

use std::time::Duration;

use anyhow::{Result, ensure};
use vpn_core::{
    domain::{Role, TokenId},
    store::{NewToken, PageRequest, StoreError, TokenFilter},
};
use vpn_tests::{World, on_every_database, told};

on_every_database!(
    a_token_is_read_back_as_it_was_stored,
    an_unknown_token_is_none,
    a_token_is_ended_once,
    the_last_use_of_a_token_is_noted,
    tokens_are_listed_newest_first,
    tokens_are_listed_by_who_has_them_and_whether_they_hold,
    a_use_that_was_just_noted_is_not_noted_again,
    a_tokens_id_is_taken_once,
);

async fn stored(world: &World) -> Result<NewToken> {
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
    tx.commit(told(), []).await?;
    Ok(new)
}

async fn a_token_is_read_back_as_it_was_stored(world: World) -> Result<()> {
    let new = stored(&world).await?;
    let (found, now) = world.store().read().await?.token(new.id).await?;
    let Some(found) = found else { anyhow::bail!("no token") };
    assert_eq!((found.id, &found.principal, found.role), (new.id, &new.principal, Role::Operator));
    assert_eq!(found.scopes, new.scopes);
    assert_eq!((found.secret_hash, found.created_by.as_str()), (new.secret_hash, "alice"));
    assert_eq!((found.expires_at, found.revoked_at, found.last_used_at), (new.expires_at, None, None));
    ensure!(found.created_at <= now && now < found.expires_at);
    Ok(())
}

async fn an_unknown_token_is_none(world: World) -> Result<()> {
    let unknown = TokenId::generate(&world.ambient);
    ensure!(world.store().read().await?.token(unknown).await?.0.is_none());
    let mut tx = world.store().begin().await?;
    ensure!(!tx.revoke_token(unknown, "alice").await?);
    tx.touch_token(unknown, Duration::ZERO).await?;
    Ok(())
}

async fn a_token_is_ended_once(world: World) -> Result<()> {
    let token = stored(&world).await?;
    let mut tx = world.store().begin().await?;
    let at = tx.at();
    ensure!(tx.revoke_token(token.id, "alice").await?);
    ensure!(!tx.revoke_token(token.id, "bob").await?);
    tx.commit(told(), []).await?;
    let (found, _) = world.store().read().await?.token(token.id).await?;
    assert_eq!(found.and_then(|token| token.revoked_at), Some(at));
    Ok(())
}

async fn the_last_use_of_a_token_is_noted(world: World) -> Result<()> {
    let token = stored(&world).await?;
    let mut tx = world.store().begin().await?;
    let at = tx.at();
    tx.touch_token(token.id, Duration::ZERO).await?;
    tx.commit(told(), []).await?;
    let (found, _) = world.store().read().await?.token(token.id).await?;
    assert_eq!(found.and_then(|token| token.last_used_at), Some(at));
    Ok(())
}

async fn a_use_that_was_just_noted_is_not_noted_again(world: World) -> Result<()> {
    let token = stored(&world).await?;
    let mut noted = Vec::new();
    for _ in 0..2 {
        let mut tx = world.store().begin().await?;
        tx.touch_token(token.id, Duration::from_mins(1)).await?;
        tx.commit(told(), []).await?;
        noted.push(world.store().read().await?.token(token.id).await?.0.and_then(|it| it.last_used_at));
    }
    ensure!(noted[0].is_some() && noted[0] == noted[1], "{noted:?}");
    Ok(())
}

async fn tokens_are_listed_by_who_has_them_and_whether_they_hold(world: World) -> Result<()> {
    let (held, ended) = (stored(&world).await?, stored(&world).await?);
    let mut tx = world.store().begin().await?;
    tx.revoke_token(ended.id, "alice").await?;
    tx.commit(told(), []).await?;
    let mut reader = world.store().read().await?;
    for (principal, active, found) in [
        ("bob@example.org", Some(true), vec![held.id]),
        ("bob@example.org", Some(false), vec![ended.id]),
        ("bob@example.org", None, vec![ended.id, held.id]),
        ("alice", None, vec![]),
        ("ünknown", None, vec![]),
    ] {
        let filter = TokenFilter { principal: Some(principal.to_owned()), active };
        let listed = reader.tokens(&filter, &PageRequest::first(10)).await?.items;
        assert_eq!(listed.iter().map(|token| token.id).collect::<Vec<_>>(), found, "{filter:?}");
    }
    let second =
        reader.tokens(&TokenFilter::default(), &PageRequest { after: Some(ended.id), ..PageRequest::first(1) }).await?;
    assert_eq!(second.items.iter().map(|token| token.id).collect::<Vec<_>>(), [held.id]);
    Ok(())
}

async fn tokens_are_listed_newest_first(world: World) -> Result<()> {
    let (first, second) = (stored(&world).await?.id, stored(&world).await?.id);
    let all = TokenFilter::default();
    let listed = world.store().read().await?.tokens(&all, &PageRequest::first(10)).await?.items;
    assert_eq!(listed.iter().map(|token| token.id).collect::<Vec<_>>(), [second, first]);
    Ok(())
}

async fn a_tokens_id_is_taken_once(world: World) -> Result<()> {
    let token = stored(&world).await?;
    let again = world.store().begin().await?.insert_token(&token).await;
    ensure!(matches!(again, Err(StoreError::Duplicate(_))), "{again:?}");
    Ok(())
}
