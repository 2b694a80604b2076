//! Where a VPN host and the database differ: made by hand on a real host, found, and put right by the cure.

mod program;
mod rounds;
mod sessions;

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use vpn_core::{
    domain::{Client, Difference, Drift, DriftKind, DriftReport},
    drift::InspectError,
    error::Error,
    host::Fault,
    sandbox::{Sandbox, VpnHost},
};
use vpn_tests::{
    Database, TestPlatform, World,
    hosts::{self, Errand},
    on_every_database, told,
};

/// A platform with a host of its own, and one client of each status on it.
struct Pair {
    test: TestPlatform,
    host: Sandbox,
    active: Client,
    revoked: Client,
    /// The CRL from before the revocation.
    older_crl: Vec<u8>,
}

impl Pair {
    async fn new(host: Sandbox) -> Result<Self> {
        let vpn = host.host()?;
        let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
        let worker = test.worker()?;
        let (active, revoked) = (test.active().await?, test.active().await?);
        test.client().await?;
        let older_crl = fs::read(vpn.state.join("pub/crl.pem"))?;
        let job = test.revoke(revoked.id).await?.job;
        test.succeeded(job.id).await?;
        worker.drain().await?;
        Ok(Self { test, host, active, revoked, older_crl })
    }

    fn vpn(&self) -> Result<&VpnHost> {
        Ok(self.host.host()?)
    }

    /// Carries out what `reconcile --apply` would.
    async fn reconcile(&self) -> Result<()> {
        let left = self.test.apply(self.test.plan(false).await?).await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    }
}

/// What differs now, by kind and name.
async fn differences(test: &TestPlatform) -> Result<Vec<(DriftKind, String)>> {
    let report = test.inspect().await?.report.context("a report")?;
    let name = |it: &Difference| it.certificate().and_then(|of| of.name.as_ref()).map(ToString::to_string);
    Ok(report.differences.iter().map(|it| (it.kind(), name(it).unwrap_or_else(|| it.subject()))).collect())
}

#[tokio::test]
async fn a_host_that_is_level_has_no_difference() -> Result<()> {
    let pair = Pair::new(hosts::private().await?).await?;
    let before = pair.test.db.store.read().await?.audit_head().await?;
    let state = hosts::state(pair.vpn()?)?;
    let drift = pair.test.inspect().await?;
    let report = drift.report.context("a report")?;
    assert_eq!((report.total, report.differences), (0, vec![]));
    ensure!(drift.checked_at.is_some() && drift.failure.is_none() && drift.confirmed == Some(report.configuration));
    assert_eq!(pair.test.db.store.read().await?.audit_head().await?, before, "nothing was changed in the database");
    let after = hosts::state(pair.vpn()?)?;
    let kept = |files: std::collections::BTreeMap<String, Vec<u8>>| -> Vec<_> {
        files.into_iter().filter(|(file, _)| !file.contains("/tmp/.") && !file.contains("state/tmp/")).collect()
    };
    ensure!(kept(after) == kept(state), "nothing was changed on the host");
    pair.test.check().await
}

#[tokio::test]
async fn a_certificate_that_was_made_without_the_platform_is_named_until_it_is_revoked() -> Result<()> {
    let pair = Pair::new(hosts::private().await?).await?;
    let (stranger, server) = (Errand::new().await?, hosts::server(pair.vpn()?)?);
    hosts::hosts(pair.vpn()?)?.issue(stranger.at(&server), &hosts::input()).await?;
    let name = stranger.client.name.to_string();
    assert_eq!(differences(&pair.test).await?, [(DriftKind::UnknownCertificate, name)]);
    pair.reconcile().await?;
    assert_eq!(differences(&pair.test).await?, []);
    pair.test.check().await
}

#[tokio::test]
async fn an_active_client_whose_certificate_is_gone_is_named() -> Result<()> {
    let pair = Pair::new(hosts::private().await?).await?;
    fs::remove_file(pair.vpn()?.state.join("issued").join(pair.active.serial.as_str()))?;
    assert_eq!(differences(&pair.test).await?, [(DriftKind::CertificateMissing, pair.active.name.to_string())]);
    let worker = pair.test.worker()?;
    let job = pair.test.revoke(pair.active.id).await?.job;
    pair.test.succeeded(job.id).await?;
    worker.drain().await?;
    assert_eq!(differences(&pair.test).await?, [], "as the cure says");
    pair.test.check().await
}

#[tokio::test]
async fn a_revoked_client_that_the_crl_lacks_is_named_until_it_is_revoked_again() -> Result<()> {
    let pair = Pair::new(hosts::private().await?).await?;
    let state = &pair.vpn()?.state;
    fs::write(state.join("pub/crl.pem"), &pair.older_crl)?;
    let wanted = [(DriftKind::NotInCrl, pair.revoked.name.to_string())];
    assert_eq!(differences(&pair.test).await?, wanted, "the host has a tombstone, and that is not enough");
    pair.reconcile().await?;
    assert_eq!(differences(&pair.test).await?, []);
    // The host forgets all of it.
    fs::write(state.join("pub/crl.pem"), &pair.older_crl)?;
    fs::remove_file(state.join("revoked").join(pair.revoked.serial.as_str()))?;
    fs::write(state.join("revoked.log"), "")?;
    assert_eq!(differences(&pair.test).await?, wanted);
    pair.reconcile().await?;
    assert_eq!(differences(&pair.test).await?, []);
    pair.test.check().await
}

#[tokio::test]
async fn another_configuration_is_named_until_somebody_confirms_exactly_that() -> Result<()> {
    let pair = Pair::new(hosts::private().await?).await?;
    assert_eq!(differences(&pair.test).await?, [], "the first one is taken for the right one");
    let file = pair.vpn()?.state.join("server/openvpn.conf");
    let before = fs::read_to_string(&file)?;
    fs::write(&file, format!("{before}duplicate-cn\n"))?;
    let wanted = [(DriftKind::ConfigurationChanged, "server/openvpn.conf".to_owned())];
    assert_eq!(differences(&pair.test).await?, wanted);
    let drift = pair.test.inspect().await?;
    let (confirmed, found) = (drift.confirmed.context("one")?, drift.report.context("a report")?.configuration);
    ensure!(confirmed != found);
    let (platform, admin, server) = (&pair.test.platform, &pair.test.admin, &*pair.test.server.id.to_string());
    let refused = platform.confirm_configuration(admin, server, &confirmed).await;
    ensure!(matches!(refused, Err(Error::Rejected(_))), "{refused:?}");
    platform.confirm_configuration(admin, server, &found).await?;
    let head = pair.test.db.store.read().await?.audit_head().await?;
    platform.confirm_configuration(admin, server, &found).await?;
    assert_eq!(pair.test.db.store.read().await?.audit_head().await?, head, "asked again, it changes nothing");
    assert_eq!(differences(&pair.test).await?, []);

    fs::write(&file, before)?;
    assert_eq!(differences(&pair.test).await?, wanted, "the one before is another one now");
    fs::remove_file(&file)?;
    assert_eq!(differences(&pair.test).await?, wanted);
    let refused = platform.confirm_configuration(admin, server, "missing").await;
    ensure!(matches!(refused, Err(Error::Rejected(_))), "{refused:?}");
    pair.test.check().await
}

#[tokio::test]
async fn a_host_that_does_not_answer_keeps_the_last_report_and_says_why() -> Result<()> {
    let pair = Pair::new(hosts::private().await?).await?;
    let before = pair.test.inspect().await?;
    pair.test.faults.plan("published", Fault::Unreachable);
    ensure!(matches!(pair.test.inspect().await, Err(InspectError::Host(_))));
    let id = pair.test.server.id;
    let after = pair.test.platform.drifts(&pair.test.admin, &[id]).await?.remove(&id).context("a drift")?;
    assert_eq!(after.failure.context("a failure")?.code, "HOST_UNREACHABLE");
    assert_eq!((after.report, after.checked_at), (before.report, before.checked_at));
    ensure!(pair.test.inspect().await?.failure.is_none());
    Ok(())
}

/// Its scripts are from before there was `published`.
#[tokio::test]
async fn an_older_host_is_told_from_a_level_one_and_can_still_be_reconciled() -> Result<()> {
    let pair = Pair::new(hosts::private().await?).await?;
    let script = pair.vpn()?.scripts.join("lib/inspect.sh");
    fs::write(&script, fs::read_to_string(&script)?.replace(",proofs,published", ",proofs"))?;
    let error = pair.test.inspect().await.expect_err("too old").to_string();
    ensure!(error.contains("install.sh"), "{error}");
    pair.reconcile().await
}

#[tokio::test]
async fn a_retired_server_is_forgotten_and_not_compared_again() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let (platform, admin, id) = (&test.platform, &test.admin, test.server.id);
    let begun = test.db.store.begin().await?.at();
    let name = "ada@example.org".to_owned();
    let found = vec![Difference::UnknownSession { name, address: "192.0.2.1:1194".to_owned() }];
    let report = DriftReport::of(vpn_tests::FOUND.to_owned(), found);
    let mut tx = test.db.store.begin().await?;
    tx.claim_comparison(id, Duration::ZERO).await?;
    tx.note_comparison(id, begun, &Ok(report)).await?;
    tx.commit(told(), []).await?;
    ensure!(platform.drifts(admin, &[id]).await?[&id].report.is_some());
    ensure!(test.db.store.begin().await?.is_in_use(id).await?);
    platform.retire_server(admin, &id.to_string()).await?;
    assert_eq!(platform.drifts(admin, &[id]).await?[&id].report, None);
    ensure!(!test.db.store.begin().await?.is_in_use(id).await?, "what is under way is not noted any more");
    let refused = test.inspect().await.expect_err("retired").to_string();
    ensure!(refused.contains("retired"), "{refused}");
    let refused = platform.confirm_configuration(admin, &id.to_string(), vpn_tests::FOUND).await;
    ensure!(refused.as_ref().is_err_and(|error| error.to_string().contains("retired")), "{refused:?}");
    Ok(())
}

on_every_database!(the_last_comparison_is_kept_and_not_written_over_by_an_earlier);

async fn the_last_comparison_is_kept_and_not_written_over_by_an_earlier(world: World) -> Result<()> {
    use vpn_core::domain::JobFailure;
    let server = world.server().await?;
    ensure!(world.store().read().await?.drifts(&[server.id]).await?.is_empty());
    let mut tx = world.store().begin().await?;
    let earlier = tx.at().minus(Duration::from_secs(1));
    ensure!(tx.claim_comparison(server.id, Duration::ZERO).await?);
    ensure!(tx.drifts(&[server.id]).await?.is_empty(), "it was only claimed");
    tx.commit(told(), []).await?;

    let mut tx = world.store().begin().await?;
    let later = tx.at();
    ensure!(!tx.claim_comparison(server.id, Duration::from_hours(1)).await?, "somebody has just compared");
    let report = DriftReport::of("aa".repeat(32), vec![Difference::SessionsUnknown]);
    tx.note_comparison(server.id, later, &Ok(report.clone())).await?;
    let failure = JobFailure { code: "OLD".into(), message: "old".into() };
    tx.note_comparison(server.id, earlier, &Err(failure)).await?;
    let (_, drift) = tx.drifts(&[server.id]).await?.pop().context("a drift")?;
    assert_eq!(
        drift,
        Drift {
            checked_at: Some(later),
            report: Some(report.clone()),
            failure: None,
            confirmed: Some("aa".repeat(32)),
        }
    );
    let next = DriftReport { configuration: "bb".repeat(32), ..report };
    tx.commit(told(), []).await?;
    let mut tx = world.store().begin().await?;
    tx.note_comparison(server.id, tx.at(), &Ok(next.clone())).await?;
    let (_, drift) = tx.drifts(&[server.id]).await?.pop().context("a drift")?;
    assert_eq!((drift.report, drift.confirmed), (Some(next), Some("aa".repeat(32))), "the first stays confirmed");
    tx.confirm_configuration(server.id, &"bb".repeat(32)).await?;
    let (_, drift) = tx.drifts(&[server.id]).await?.pop().context("a drift")?;
    assert_eq!(drift.confirmed, Some("bb".repeat(32)));
    ensure!(world.store().read().await?.servers_to_compare(Duration::from_hours(1)).await?.is_empty());
    Ok(())
}
