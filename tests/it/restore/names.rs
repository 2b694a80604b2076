//! Since the backup a name has passed from a client that was revoked to another one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use vpn_core::{
    domain::{Claim, Client, ClientStatus, JobKind, JobState, Server},
    host::{Boxed, FaultyTransport, HostErrorKind, Output, Request, Transport},
    reconcile::Act,
    sandbox::Sandbox,
    store::{AuditFilter, PageRequest},
};
use vpn_tests::{Database, TestPlatform, hosts, level::acts};

use super::in_the_crl;

struct Passed {
    host: Sandbox,
    test: TestPlatform,
    /// Who had the name, and has it in the database again.
    first: Client,
    /// Who has it on the host.
    second: Client,
}

impl Passed {
    async fn on(database: Database) -> Result<Self> {
        let host = hosts::private().await?;
        let vpn = host.host()?;
        let before = TestPlatform::with_host(database, vpn, vpn.port, &vpn.host_key).await?;
        let worker = before.worker()?;
        let first = before.called("alice").await?;
        let job = before.provision(first.id).await?.job;
        before.succeeded(job.id).await?;
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("backup.jsonl");
        vpn_core::backup::write_file(&before.db.store, &file).await?;
        let job = before.revoke(first.id).await?.job;
        before.succeeded(job.id).await?;
        let second = before.called("alice").await?;
        let job = before.provision(second.id).await?.job;
        before.succeeded(job.id).await?;
        worker.drain().await?;
        Ok(Self { test: before.restored(&file, database).await?, host, first, second })
    }

    /// The first is revoked, and nobody says of its sessions what nobody has looked at.
    async fn first_is_out(&self, told: &[String]) -> Result<()> {
        let test = &self.test;
        ensure!(told.len() == 1 && told[0].contains("SessionsUnproven"), "{told:?}");
        assert_eq!(test.reload(self.first.id).await?.status(), ClientStatus::Revoked);
        ensure!(in_the_crl(&self.host, &self.first).await?);
        let job = test.db.store.read().await?.latest_job(self.first.id, JobKind::Revoke).await?.context("a job")?;
        assert_eq!(job.state, JobState::Failed);
        ensure!(job.proofs.iter().all(|proof| matches!(proof.claim, Claim::SerialInCrl | Claim::CrlReadable)));
        let filter = AuditFilter { client_id: Some(self.first.id), ..AuditFilter::default() };
        let newest = test.platform.audit_log(&test.admin, &filter, &PageRequest::first(1)).await?.items;
        let entry = String::from_utf8_lossy(&newest.first().context("an entry")?.canonical).into_owned();
        ensure!(entry.contains(r#""sessionsProvenGone":false"#), "{entry}");
        Ok(())
    }
}

/// OpenVPN stops answering after the host has refused once to look at the sessions.
struct FallsSilent {
    inner: Arc<dyn Transport>,
    kills: AtomicUsize,
}

impl Transport for FallsSilent {
    fn run<'a>(&'a self, server: &'a Server, request: &'a Request) -> Boxed<'a, Result<Output, HostErrorKind>> {
        if request.verb() != "kill" || self.kills.fetch_add(1, Ordering::Relaxed) == 0 {
            return self.inner.run(server, request);
        }
        let reply = "vpn-host 1 ok\nverb=kill\nserver=unreachable\nkilled=0\nopen=0\n";
        let stdout = format!("{reply}end={}\n", reply.len()).into_bytes().into();
        Box::pin(async move { Ok(Output { exit: 0, stdout, stderr: Vec::new(), duration: Duration::ZERO }) })
    }
}

#[tokio::test]
async fn silence_of_openvpn_is_not_taken_for_a_name_that_has_passed() -> Result<()> {
    let mut world = Passed::on(Database::Sqlite).await?;
    let heard = Arc::clone(&world.test.faults);
    let silent = FallsSilent { inner: Arc::clone(&heard) as _, kills: AtomicUsize::new(0) };
    world.test.faults = Arc::new(FaultyTransport::before(Arc::new(silent)));
    let mut shown = world.test.plan(true).await?;
    shown.findings.retain(|finding| finding.act == Act::Revoke);
    let failed = world.test.apply(shown).await?;
    ensure!(failed.len() == 1 && failed[0].contains("Err(Host"), "{failed:?}");
    assert_eq!(world.test.reload(world.first.id).await?.status(), ClientStatus::Active);

    world.test.faults = heard;
    the_second_is_kept(world).await
}

#[tokio::test]
async fn both_are_revoked_unless_somebody_keeps_the_second() -> Result<()> {
    let world = Passed::on(Database::Sqlite).await?;
    let shown = world.test.plan(false).await?;
    let alice = || "alice".to_owned();
    assert_eq!(acts(&shown), [(alice(), Act::Revoke), (alice(), Act::RecordAndRevoke)]);
    world.first_is_out(&world.test.apply(shown).await?).await?;
    assert_eq!(world.test.reload(world.second.id).await?.status(), ClientStatus::Revoked);
    ensure!(in_the_crl(&world.host, &world.second).await?);
    assert_eq!(acts(&world.test.plan(false).await?), []);
    world.test.check().await
}

#[tokio::test]
async fn the_second_is_kept_with_its_name_on_sqlite() -> Result<()> {
    the_second_is_kept(Passed::on(Database::Sqlite).await?).await
}

#[tokio::test]
async fn the_second_is_kept_with_its_name_on_postgres() -> Result<()> {
    the_second_is_kept(Passed::on(Database::Postgres).await?).await
}

#[tokio::test]
async fn the_second_is_kept_with_its_name_on_mariadb() -> Result<()> {
    the_second_is_kept(Passed::on(Database::MariaDb).await?).await
}

async fn the_second_is_kept(world: Passed) -> Result<()> {
    let test = &world.test;
    world.first_is_out(&test.apply(test.plan(true).await?).await?).await?;
    assert_eq!(test.reload(world.second.id).await?.status(), ClientStatus::Active);
    ensure!(!in_the_crl(&world.host, &world.second).await?);
    assert_eq!(acts(&test.plan(true).await?), []);

    let worker = test.worker()?;
    let job = test.revoke(world.second.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    test.check().await
}
