//! What ends is told of in time: by the database for clients, by what was seen for hosts.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vpn_core::{
    clock::Timestamp,
    domain::{
        Certificate, Client, EndingSoon, Expiry, HostFacts, JobKind, Perishable, ServerId, Stage, Warning, WarningCode,
    },
    service::HealthStatus,
    store::Looked,
};
use vpn_tests::{Database, TestPlatform, World, certificate, on_every_database, told};

const DAY: i64 = 86_400;

on_every_database!(clients_whose_certificates_end_soon_are_counted_as_the_domain_has_it);

/// A client with a certificate of this validity, in days since the epoch.
async fn active(world: &World, server: ServerId, from: i64, to: i64) -> Result<(Client, Certificate)> {
    let client = world.client_on(server).await?;
    let job = world.job(client.id, JobKind::Provision).await?;
    let (job, fence) = world.claim(&job, Duration::from_secs(30)).await?;
    let (not_before, not_after) = (Timestamp::from_seconds(from * DAY), Timestamp::from_seconds(to * DAY));
    let certificate = Certificate { not_before, not_after, ..certificate() };
    let mut tx = world.store().begin().await?;
    tx.activate_client(client.id, &certificate, &fence).await?;
    tx.succeed_job(&job, &fence).await?;
    tx.commit(told(), []).await?;
    Ok((client, certificate))
}

async fn clients_whose_certificates_end_soon_are_counted_as_the_domain_has_it(world: World) -> Result<()> {
    let (server, other) = (world.server().await?.id, world.server().await?.id);
    let mut certificates = Vec::new();
    for (from, to) in [(0, 6), (0, 30), (20, 50), (0, 365), (0, 3650)] {
        certificates.push(active(&world, server, from, to).await?.1);
    }
    let (leaving, _) = active(&world, server, 0, 30).await?;
    world.request_revocation(leaving.id).await?;
    active(&world, other, 0, 400).await?;
    let stage = |it: &Certificate, now| {
        let expiry = Expiry { of: Perishable::ClientCertificate, made_at: Some(it.not_before), ends_at: it.not_after };
        expiry.stage(now)
    };
    let mut reader = world.store().read().await?;
    let mut before = Timestamp::from_seconds(0);
    for day in [1, 4, 5, 6, 19, 20, 21, 29, 30, 40, 41, 49, 350, 351, 352, 3640, 4000] {
        let now = Timestamp::from_seconds(day * DAY);
        let ends = reader.client_ends(now).await?.into_iter().find(|(id, _)| *id == server).map(|(_, ends)| ends);
        let living = certificates.iter().filter(|it| stage(it, now) != Stage::Ended);
        assert_eq!(ends.map(|it| it.first), living.map(|it| it.not_after).min(), "day {day}");
        let soon = |at, it: &&Certificate| stage(it, at) == Stage::EndsSoon;
        let count = |these: Vec<&Certificate>| {
            let first = these.iter().map(|it| it.not_after).min();
            first.map(|first| EndingSoon { count: u32::try_from(these.len()).expect("a few"), first })
        };
        let expected = count(certificates.iter().filter(|it| soon(now, it)).collect());
        assert_eq!(ends.and_then(|it| it.soon), expected, "day {day}");
        let new = count(certificates.iter().filter(|it| soon(now, it) && !soon(before, it)).collect());
        assert_eq!(reader.clients_ending_since(server, before, now).await?, new, "day {day}");
        before = now;
    }
    Ok(())
}

/// Notes that the host has said that its CRL, CA and server certificate end after so many days.
async fn said(test: &TestPlatform, crl: i64, ca: i64, server: i64) -> Result<()> {
    let mut tx = test.db.store.begin().await?;
    let now = tx.at().micros() / 1_000_000;
    let facts = HostFacts {
        version: 1,
        crl_number: u64::try_from(now + (crl - 30) * DAY)?,
        crl_next_update: now + crl * DAY,
        ca_not_after: Some(now + ca * DAY),
        server_not_after: Some(now + server * DAY),
        ..HostFacts::default()
    };
    let begun = tx.at();
    tx.claim_look(test.server.id, Duration::ZERO).await?;
    tx.note_look(test.server.id, begun, &Looked { facts: Some(facts), ..Looked::default() }).await?;
    tx.commit(told(), []).await?;
    Ok(())
}

async fn warnings(test: &TestPlatform) -> Result<(HealthStatus, Vec<Warning>)> {
    let health = test.platform.health(&test.admin).await?;
    let hosts = health.checks.iter().find(|check| check.name == "hosts").context("the hosts are checked")?;
    Ok((hosts.status, health.warnings))
}

#[tokio::test]
async fn health_names_the_server_what_ends_there_and_the_cure() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    said(&test, 30, 7300, 3650).await?;
    assert_eq!(warnings(&test).await?, (HealthStatus::Ok, Vec::new()));
    said(&test, -1, 300, 10).await?;
    let (status, told) = warnings(&test).await?;
    assert_eq!(status, HealthStatus::Degraded);
    for (warning, code, cure) in [
        (&told[0], WarningCode::CrlEnded, "start vpn-host-crl.service"),
        (&told[1], WarningCode::CaEndsSoon, "set up another host"),
        (&told[2], WarningCode::ServerCertificateEndsSoon, "run install.sh"),
    ] {
        assert_eq!((warning.code, warning.server.as_str(), warning.server_id), (code, "vpn1", test.server.id));
        ensure!(warning.message.contains("`vpn1`") && warning.message.contains(cure), "{}", warning.message);
        ensure!(warning.ends_at.is_some());
    }
    assert_eq!(told.len(), 3);
    assert_ne!(test.platform.readiness().await.status, HealthStatus::Down, "requests are accepted all the same");
    test.platform.retire_server(&test.admin, &test.server.id.to_string()).await?;
    assert_eq!(warnings(&test).await?, (HealthStatus::Ok, Vec::new()), "what is retired needs nothing");
    Ok(())
}
