//! `vpn-worker drift`, as an operator runs it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;
use vpn_tests::{
    TestPlatform, hosts,
    platform::PROFILE_KEY,
    programs::{built, output},
    turn::turn,
};

use super::Pair;

/// The exit status, and what was printed.
async fn drift(test: &TestPlatform, key: &Path, more: &[&str]) -> Result<(Option<i32>, String, String)> {
    let mut command = Command::new(built("vpn-worker")?);
    command
        .args(["drift", "--server", "vpn1"])
        .args(more)
        .env_clear()
        .env("LOGNAME", "ada")
        .env("VPN_DATABASE_URL", &test.db.url)
        .env("VPN_REDIS_URL", test.sandbox.redis()?.url())
        .env("VPN_PROFILE_KEY", PROFILE_KEY)
        .env("VPN_LOG", "warn")
        .env("VPN_SSH_KEY_FILE", key);
    let output = output(&mut command).await?;
    let printed = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), printed(&output.stdout), printed(&output.stderr)))
}

#[tokio::test]
async fn an_operator_compares_and_the_exit_status_tells_whether_they_differ() -> Result<()> {
    let _turn = turn().await?;
    let pair = Pair::new(hosts::private().await?).await?;
    let (test, key) = (&pair.test, pair.vpn()?.private_key_path());
    let (code, said, _) = drift(test, &key, &[]).await?;
    ensure!(code == Some(0) && said.contains("no difference"), "{code:?} {said}");

    fs::write(pair.vpn()?.state.join("pub/crl.pem"), &pair.older_crl)?;
    let file = pair.vpn()?.state.join("server/openvpn.conf");
    fs::write(&file, format!("{}duplicate-cn\n", fs::read_to_string(&file)?))?;
    let (code, said, _) = drift(test, &key, &[]).await?;
    ensure!(code == Some(3) && said.contains("2 differences"), "{code:?} {said}");
    for part in [pair.revoked.name.as_str(), "not_in_crl", "vpn-worker reconcile --from-host vpn1 --apply"] {
        ensure!(said.contains(part), "{part} is not in: {said}");
    }
    let (code, said, _) = drift(test, &key, &["--json"]).await?;
    let report: Value = serde_json::from_str(&said)?;
    ensure!(code == Some(3) && report["total"] == 2, "{report}");
    assert_eq!(report["differences"][0]["clientId"], pair.revoked.id.to_string());

    let sha256 = report["configuration"].as_str().context("a hash")?;
    let (code, _, refused) = drift(test, &key, &["--confirm-configuration", "00"]).await?;
    ensure!(code == Some(1) && refused.contains(sha256), "{code:?} {refused}");
    let (code, said, _) = drift(test, &key, &["--confirm-configuration", sha256]).await?;
    ensure!(code == Some(3) && said.contains("one difference"), "{code:?} {said}");

    pair.vpn()?.stop_sshd().await;
    let (code, _, failed) = drift(test, &key, &[]).await?;
    ensure!(code == Some(1) && !failed.is_empty(), "{code:?} {failed}");
    test.check().await
}
