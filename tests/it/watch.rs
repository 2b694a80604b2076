//! Hosts that are looked at: what they say is noted, once for all workers, and nothing depends on it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vpn_core::{domain::OpenVpnState, host::Fault, secrecy::ExposeSecret as _};
use vpn_tests::{
    Database, PATIENCE, TestPlatform, World,
    hosts::{self, Errand},
    on_every_database, told,
};

/// So seldom that there is one look in a test.
const ONCE: Duration = Duration::from_hours(1);

#[tokio::test]
async fn many_workers_look_once_and_note_what_the_host_says() -> Result<()> {
    for database in [Database::Sqlite, Database::Postgres, Database::MariaDb] {
        let test = TestPlatform::on(database).await?;
        let guards: Vec<_> = (0..4).map(|_| test.watching(ONCE, None)).collect::<Result<_>>()?;
        let seen = test.noted(test.server.id, "the host was looked at", |it| it.sessions.is_some()).await?;
        let facts = seen.facts.context("facts")?;
        ensure!(facts.version == 1 && facts.capabilities.iter().any(|it| it == "issue"), "{facts:?}");
        ensure!(facts.ca_sha256.len() == 64 && facts.crl_next_update > 1_700_000_000, "{facts:?}");
        ensure!(seen.failure.is_none() && seen.answered_at >= Some(seen.looked_at), "{:?}", seen.failure);
        assert_eq!(seen.sessions.context("sessions")?.server, OpenVpnState::Absent);
        assert_eq!(test.faults.calls(), ["hello", "sessions"], "one worker looked");
        drop(guards);
    }
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_away_keeps_what_was_known_and_says_since_when() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let _watching = test.watching(Duration::from_millis(200), None)?;
    let before = test.noted(test.server.id, "it answers", |it| it.answered_at.is_some()).await?;
    for _ in 0..3 {
        test.faults.plan("hello", Fault::Unreachable);
    }
    let away = test.noted(test.server.id, "it is away", |it| it.failure.is_some()).await?;
    assert_eq!(away.failure.context("a failure")?.code, "HOST_UNREACHABLE");
    ensure!(away.facts == before.facts && away.answered_at < Some(away.looked_at));
    let back = test.noted(test.server.id, "it is back", |it| it.failure.is_none()).await?;
    ensure!(back.answered_at > before.answered_at);
    Ok(())
}

#[tokio::test]
async fn a_host_that_never_answers_delays_no_other() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    // Takes the connection, and says nothing.
    let silent = tokio::net::TcpListener::bind((test.server.address.host(), 0)).await?;
    let slow = test
        .another_server("a-silent-one", silent.local_addr()?.port(), test.server.host_key.as_deref().context("a key")?)
        .await?;
    let _watching = test.watching(Duration::from_millis(200), None)?;
    let first = test.noted(test.server.id, "the other answers", |it| it.answered_at.is_some()).await?;
    test.noted(test.server.id, "and again", |it| it.answered_at > first.answered_at).await?;
    let failure = test.noted(slow.id, "it is given up", |it| it.failure.is_some()).await?.failure;
    assert_eq!(failure.context("a failure")?.code, "HOST_UNREACHABLE");
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_not_the_pinned_one_is_noted_and_nothing_is_asked() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    let wrong = test.another_server("wrong", test.server.address.port(), other).await?;
    let _watching = test.watching(ONCE, None)?;
    let seen = test.noted(wrong.id, "the key was seen", |it| it.failure.is_some()).await?;
    assert_eq!(seen.presented_key.as_deref(), test.server.host_key.as_deref());
    assert_eq!(seen.failure.context("a failure")?.code, "HOST_KEY_MISMATCH");
    ensure!(seen.facts.is_none() && seen.answered_at.is_none());
    Ok(())
}

#[tokio::test]
async fn who_is_connected_is_seen() -> Result<()> {
    let host = hosts::with_server().await?;
    let tunnel = host.tunnel().map_err(|missing| anyhow::anyhow!("{missing}"))?;
    let (errand, server) = (Errand::new().await?, hosts::server(host)?);
    let hosts = hosts::hosts(host)?;
    let issued = hosts.issue(errand.at(&server), &vpn_tests::hosts::input()).await?;
    let name = errand.client.name.as_str();
    let client = tunnel.connect(issued.profile.expose_secret())?;
    client.connected(PATIENCE).await?;
    let sessions = hosts.sessions(&server).await?;
    assert_eq!(sessions.server, OpenVpnState::Running);
    let session = sessions.list.iter().find(|it| it.name == name).context("the session")?;
    ensure!(session.since > 1_700_000_000 && session.bytes_in > 0 && session.address.contains(':'), "{session:?}");
    client.stop().await;
    Ok(())
}

on_every_database!(a_later_look_is_not_written_over_by_an_earlier);

async fn a_later_look_is_not_written_over_by_an_earlier(world: World) -> Result<()> {
    use vpn_core::{domain::JobFailure, store::Looked};
    let server = world.server().await?;
    let mut tx = world.store().begin().await?;
    let earlier = tx.at().minus(Duration::from_secs(1));
    ensure!(tx.claim_look(server.id, Duration::ZERO).await?);
    tx.commit(told(), []).await?;
    let mut tx = world.store().begin().await?;
    let later = tx.at();
    ensure!(!tx.claim_look(server.id, ONCE).await?, "somebody has just looked");
    ensure!(tx.claim_look(server.id, Duration::ZERO).await?);
    tx.note_look(server.id, later, &Looked::default()).await?;
    let failure = Some(JobFailure { code: "OLD".into(), message: "old".into() });
    tx.note_look(server.id, earlier, &Looked { failure, ..Looked::default() }).await?;
    let (_, contact) = tx.contacts(&[server.id]).await?.pop().context("a contact")?;
    ensure!(contact.failure.is_none() && contact.looked_at == later);
    Ok(())
}
