//! The CRL of a host is renewed before it ends: once, on record, and nobody's access changes.

use std::{
    collections::BTreeSet,
    process::Stdio,
    time::{Duration, SystemTime},
};

use ::redis::AsyncCommands as _;
use anyhow::{Context as _, Result, ensure};
use vpn_core::{
    audit::AuditEntry,
    domain::{CrlRenewal, FencingToken, HostFacts, Server, Stage, WarningCode},
    host::{Fault, Hosts},
    lock::LockPolicy,
    sandbox::{Sandbox, VpnHost},
    service::HealthStatus,
    store::Looked,
    watch::{RenewalPolicy, WatchPolicy},
    worker,
};
use vpn_tests::{
    Database, TestPlatform, World,
    checker::pki::crl,
    eventually, hosts, on_every_database,
    platform::{PROFILE_KEY, hurried},
    programs, redis, soon, told,
    turn::turn,
    watching::let_the_crl_age,
};

const OFTEN: Duration = Duration::from_millis(100);
/// Tried once in a test, or at every look.
const ONCE: RenewalPolicy = RenewalPolicy { again: Duration::from_hours(1) };
const ALWAYS: RenewalPolicy = RenewalPolicy { again: Duration::ZERO };

/// A host of its own, and a platform on it.
async fn scene() -> Result<(Sandbox, TestPlatform)> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let test = TestPlatform::with_host(Database::Sqlite, host, host.port, &host.host_key).await?;
    Ok((sandbox, test))
}

/// A worker that also looks at the hosts.
fn looking(renewal: Option<RenewalPolicy>) -> worker::Options {
    worker::Options { watch: Some(WatchPolicy { every: OFTEN }), crl_renewal: renewal, ..hurried() }
}

/// What the log tells of renewals, oldest first.
async fn renewals(test: &TestPlatform) -> Result<Vec<AuditEntry>> {
    let entries = test.db.store.read().await?.audit_after(0, None, 1000).await?;
    Ok(entries.into_iter().filter(|entry| entry.columns.action.starts_with("crl.")).collect())
}

async fn actions(test: &TestPlatform) -> Result<Vec<String>> {
    Ok(renewals(test).await?.into_iter().map(|entry| entry.columns.action).collect())
}

async fn warnings(test: &TestPlatform) -> Result<Vec<WarningCode>> {
    Ok(test.platform.health(&test.admin).await?.warnings.into_iter().map(|warning| warning.code).collect())
}

fn asked(test: &TestPlatform) -> usize {
    test.faults.calls().iter().filter(|verb| **verb == "crl").count()
}

fn written(host: &VpnHost) -> Result<SystemTime> {
    Ok(host.state.join("pub/crl.pem").metadata()?.modified()?)
}

#[tokio::test]
async fn a_list_that_ends_soon_is_renewed_once_by_many_workers_and_holds_the_same_serials() -> Result<()> {
    let (sandbox, test) = scene().await?;
    let host = sandbox.host()?;
    let first = test.worker()?;
    let (revoked, active) = (test.active().await?, test.active().await?);
    test.succeeded(test.revoke(revoked.id).await?.job.id).await?;
    first.drain().await?;
    let_the_crl_age(host)?;
    let before = crl(&host.state).await?;
    assert_eq!(before, BTreeSet::from([revoked.serial.to_string()]));

    // Disabled, it goes on to let those in whom it knows.
    test.platform.disable_server(&test.admin, &test.server.id.to_string()).await?;
    let workers = [test.worker_with(looking(Some(ONCE)))?, test.worker_with(looking(Some(ONCE)))?];
    let is_renewed = |it: &vpn_core::domain::Contact| it.renewal == Some(CrlRenewal::On);
    let seen = test.noted(test.server.id, "the list is renewed", is_renewed).await?;
    let facts = seen.facts.context("facts")?;
    assert_eq!(facts.crl().stage(seen.looked_at), Stage::Fresh);
    let looked = seen.looked_at;
    test.noted(test.server.id, "they go on looking", |it| it.looked_at > looked).await?;
    for worker in workers {
        worker.drain().await?;
    }

    assert_eq!(crl(&host.state).await?, before, "nobody's access has changed");
    assert_eq!(test.reload(active.id).await?, active);
    assert_eq!(asked(&test), 1, "{:?}", test.faults.calls());
    let entries = renewals(&test).await?;
    let told: Vec<&str> = entries.iter().map(|entry| entry.columns.action.as_str()).collect();
    assert_eq!(told, ["crl.renewal_started", "crl.renewed"]);
    ensure!(entries.iter().all(|entry| entry.columns.actor == "system:crl" && entry.columns.outcome == "ok"));
    let detail = entries[1].detail();
    assert_eq!(detail["after"]["crlNumber"], facts.crl_number.to_string());
    assert_eq!(detail["after"]["crlNextUpdate"], facts.crl().ends_at.to_string());
    ensure!(detail["before"]["crlNextUpdate"].as_str() < detail["after"]["crlNextUpdate"].as_str(), "{detail:?}");
    assert_eq!((&detail["run"]["verb"], &detail["run"]["exit"]), (&"crl".into(), &0.into()));
    assert_eq!(warnings(&test).await?, []);
    test.check().await
}

#[tokio::test]
async fn a_renewal_that_fails_is_on_record_and_health_says_why() -> Result<()> {
    let (sandbox, test) = scene().await?;
    let host = sandbox.host()?;
    let_the_crl_age(host)?;
    let aged = written(host)?;
    test.faults.plan("crl", Fault::Unreachable);
    let watching = test.watching(OFTEN, Some(ONCE))?;
    let failed = |it: &vpn_core::domain::Contact| matches!(it.renewal, Some(CrlRenewal::Failed(_)));
    let looked = test.noted(test.server.id, "it failed", failed).await?.looked_at;
    let later = test.noted(test.server.id, "and is looked at again", |it| it.looked_at > looked).await?.looked_at;
    test.noted(test.server.id, "and again", |it| it.looked_at > later).await?;
    drop(watching);
    assert_eq!(asked(&test), 1, "it is not tried at every look");
    assert_eq!(actions(&test).await?, ["crl.renewal_started", "crl.renewal_failed"]);
    let failure = renewals(&test).await?[1].failure().context("why")?;
    assert_eq!(failure.code, "HOST_UNREACHABLE");
    assert_eq!(written(host)?, aged);
    let health = test.platform.health(&test.admin).await?;
    assert_eq!(warnings(&test).await?, [WarningCode::CrlEndsSoon, WarningCode::CrlRenewalFailed]);
    ensure!(health.warnings[1].message.contains("as planned by a test"), "{:?}", health.warnings);
    assert_eq!(health.status, HealthStatus::Degraded);

    // The host does it, and the answer is lost: the next look sees that it is done.
    test.faults.plan("crl", Fault::ReplyLost);
    let _watching = test.watching(OFTEN, Some(ALWAYS))?;
    let renewed = |it: &vpn_core::domain::Contact| it.renewal == Some(CrlRenewal::On);
    test.noted(test.server.id, "it is renewed", renewed).await?;
    assert_eq!(asked(&test), 2);
    assert_eq!(warnings(&test).await?, []);
    test.check().await
}

/// Redis forgets the lock while the host is at work.
#[tokio::test]
async fn a_renewal_that_loses_its_lock_has_an_outcome_on_record() -> Result<()> {
    let (sandbox, test) = scene().await?;
    let_the_crl_age(sandbox.host()?)?;
    test.faults.plan("crl", Fault::ReplyHeld);
    let _watching = test.watching(OFTEN, Some(ONCE))?;
    eventually("the host is asked", async || Ok(asked(&test) == 1)).await?;
    let key = format!("vpn:{{{}}}:lock", Server::resource(test.server.id));
    let removed: i64 = redis::look(&test.sandbox.redis()?.url()).await?.del(key).await?;
    assert_eq!(removed, 1);

    let failed = |it: &vpn_core::domain::Contact| matches!(it.renewal, Some(CrlRenewal::Failed(_)));
    test.noted(test.server.id, "it failed", failed).await?;
    assert_eq!(actions(&test).await?, ["crl.renewal_started", "crl.renewal_failed"]);
    assert_eq!(renewals(&test).await?[1].failure().context("why")?.code, "LOCK_LOST");
    test.check().await
}

#[tokio::test]
async fn switched_off_nothing_is_renewed_and_log_and_health_warn() -> Result<()> {
    let _turn = turn().await?;
    let (sandbox, test) = scene().await?;
    let host = sandbox.host()?;
    let directory = tempfile::tempdir()?;
    let (ssh_key, log) = (directory.path().join("ssh_key"), directory.path().join("log"));
    std::fs::write(&ssh_key, &host.private_key)?;
    let out = std::fs::File::create(&log)?;
    let _worker = tokio::process::Command::new(programs::built("vpn-worker")?)
        .env("VPN_DATABASE_URL", &test.db.url)
        .env("VPN_REDIS_URL", test.sandbox.redis()?.url())
        .env("VPN_PROFILE_KEY", PROFILE_KEY)
        .env("VPN_SSH_KEY_FILE", &ssh_key)
        .env("VPN_WATCH_SECONDS", "1")
        .env("VPN_CRL_RENEWAL", "false")
        .stdout(out.try_clone()?)
        .stderr(out)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let off = |it: &vpn_core::domain::Contact| it.renewal == Some(CrlRenewal::Off);
    test.noted(test.server.id, "it is looked at", off).await?;
    assert_eq!(warnings(&test).await?, [WarningCode::CrlRenewalOff]);
    let fresh = test.platform.health(&test.admin).await?.checks;
    ensure!(fresh.iter().any(|check| check.name == "hosts" && check.status == HealthStatus::Ok), "{fresh:?}");

    let_the_crl_age(host)?;
    let aged = written(host)?;
    eventually("health warns", async || Ok(warnings(&test).await?.contains(&WarningCode::CrlEndsSoon))).await?;
    let looked = test.contact(test.server.id).await?.context("a contact")?.looked_at;
    let later = test.noted(test.server.id, "it is looked at again", |it| it.looked_at > looked).await?.looked_at;
    test.noted(test.server.id, "and again", |it| it.looked_at > later).await?;
    assert_eq!(warnings(&test).await?, [WarningCode::CrlEndsSoon, WarningCode::CrlRenewalOff]);
    let hosts = test.platform.health(&test.admin).await?.checks;
    let hosts = hosts.into_iter().find(|check| check.name == "hosts").context("a check of the hosts")?;
    assert_eq!(hosts.status, HealthStatus::Degraded);
    let message = hosts.message.context("a message")?;
    ensure!(message.contains("`vpn1`") && message.contains("vpn-host-crl.service"), "{message}");
    assert_eq!(written(host)?, aged, "the list is as it was");
    assert_eq!(actions(&test).await?, Vec::<String>::new());
    let log = std::fs::read_to_string(&log)?;
    let times = |what: &str| log.lines().filter(|line| line.contains(what) && line.contains("WARN")).count();
    assert_eq!((times("the CRL of `vpn1` ends at"), times("workers do not renew the CRL")), (1, 1), "{log}");
    Ok(())
}

#[tokio::test]
async fn renewals_in_the_middle_of_revocations_lose_none_of_them() -> Result<()> {
    let (sandbox, test) = scene().await?;
    let host = sandbox.host()?;
    let worker = test.worker()?;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(test.active().await?);
    }
    let mut jobs = Vec::new();
    for client in &clients {
        jobs.push(test.revoke(client.id).await?.job);
    }
    let locks = redis::locks(&test.sandbox.redis()?.url(), LockPolicy::default())?;
    let over_ssh: Hosts = hosts::hosts(host)?;
    let resource = Server::resource(test.server.id);
    let renewing = async || -> Result<BTreeSet<String>> {
        let mut listed = BTreeSet::new();
        loop {
            let mut done = true;
            for job in &jobs {
                done &= test.platform.job(&test.admin, job.id).await?.is_some_and(|job| job.state.is_final());
            }
            let made = async |lease: vpn_core::lock::Lease| over_ssh.renew_crl(&test.server, lease.fence()).await;
            locks.with(&resource, FencingToken::ZERO, made).await??;
            let now = crl(&host.state).await?;
            ensure!(now.is_superset(&listed), "a serial has left the list: {listed:?}, then {now:?}");
            listed = now;
            if done {
                return Ok(listed);
            }
        }
    };
    let listed = soon("all are revoked", renewing()).await??;
    assert_eq!(listed, clients.iter().map(|client| client.serial.to_string()).collect());
    for job in jobs {
        test.succeeded(job.id).await?;
    }
    worker.drain().await?;
    test.check().await
}

on_every_database!(one_attempt_at_a_time_and_none_under_an_old_token);

async fn one_attempt_at_a_time_and_none_under_an_old_token(world: World) -> Result<()> {
    let id = world.server().await?.id;
    let mut tx = world.store().begin().await?;
    ensure!(tx.claim_look(id, Duration::ZERO).await?);
    assert_eq!(tx.renewal_fence(id).await?, FencingToken::ZERO);
    let fence = async |floor: FencingToken| {
        let granted = world.locks.with(&Server::resource(id), floor, async |lease| lease.fence().clone()).await;
        granted.context("a fence")
    };
    let older = fence(FencingToken::ZERO).await?;
    let newer = fence(older.token()).await?;
    let (hour, facts) = (Duration::from_hours(1), HostFacts { crl_number: 7, ..HostFacts::default() });
    ensure!(tx.begin_renewal(id, &older, hour).await?);
    ensure!(!tx.begin_renewal(id, &newer, hour).await?, "somebody has just tried");
    ensure!(!tx.begin_renewal(id, &older, Duration::ZERO).await?, "a token is good for one attempt");
    ensure!(tx.begin_renewal(id, &newer, Duration::ZERO).await?);
    assert_eq!(tx.renewal_fence(id).await?, newer.token());
    ensure!(!tx.begin_renewal(id, &older, Duration::ZERO).await?, "the older one is late");
    let late = tx.end_renewal(id, &older, &CrlRenewal::On, &facts).await;
    ensure!(late.is_err_and(|error| error.code() == "FENCED"));
    tx.end_renewal(id, &newer, &CrlRenewal::Failed(vpn_tests::failure()), &facts).await?;
    tx.end_renewal(id, &newer, &CrlRenewal::Failed(vpn_tests::failure()), &facts).await?;

    // A look that began before, and asked before.
    let begun = tx.at();
    let looked = Looked { facts: Some(HostFacts::default()), ..Looked::default() };
    tx.note_look(id, begun, &looked).await?;
    let noted = tx.contact(id).await?.context("a contact")?;
    assert_eq!((noted.looked_at, noted.facts), (begun, Some(facts)), "what the host said last stays");
    tx.commit(told(), []).await?;
    Ok(())
}
