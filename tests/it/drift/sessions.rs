//! A revoked client is connected.

use std::fs;

use anyhow::{Result, ensure};
use vpn_core::{
    domain::DriftKind,
    sandbox::{Options, Sandbox},
    secrecy::ExposeSecret as _,
};
use vpn_tests::{Database, PATIENCE, TestPlatform};

use super::{Pair, differences};

#[tokio::test]
async fn the_session_of_a_revoked_client_is_named_until_it_is_ended() -> Result<()> {
    let host = Sandbox::start(Options { host: true, tunnel: true, ..Options::default() }).await?;
    let vpn = host.host()?;
    let tunnel = vpn.tunnel().map_err(|missing| anyhow::anyhow!("{missing}"))?;
    let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let worker = test.worker()?;
    let (active, revoked) = (test.active().await?, test.active().await?);
    let profile = test.platform.deliver_profile(&test.admin, &revoked.id.to_string()).await?.profile;
    let older_crl = fs::read(vpn.state.join("pub/crl.pem"))?;
    let job = test.revoke(revoked.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;
    assert_eq!(differences(&test).await?, []);

    // Somebody lets it in again, by hand.
    fs::write(vpn.state.join("pub/crl.pem"), &older_crl)?;
    fs::write(vpn.state.join("pub/admitted").join(revoked.serial.as_str()), "")?;
    let client = tunnel.connect(profile.expose_secret())?;
    client.connected(PATIENCE).await?;
    let name = revoked.name.to_string();
    let wanted = [(DriftKind::RevokedSession, name.clone()), (DriftKind::NotInCrl, name)];
    assert_eq!(differences(&test).await?, wanted);
    let pair = Pair { test, host, active, revoked, older_crl };
    pair.reconcile().await?;
    assert_eq!(differences(&pair.test).await?, []);
    ensure!(!pair.vpn()?.state.join("pub/admitted").join(pair.revoked.serial.as_str()).exists());
    client.stop().await;
    pair.test.check().await
}
