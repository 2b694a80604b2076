//! Hosts that answer nonsense, too much, or that something is wrong.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::{Context, Result, ensure};
use vpn_core::{
    host::{HostError, HostErrorKind, Output},
    sandbox::VpnHost,
};
use vpn_tests::hosts::{self, Errand};

use super::error;

/// Has the host answer with this script instead of its own.
fn speaks(host: &VpnHost, script: &str) -> Result<()> {
    let program = host.scripts.join("vpn-host");
    fs::write(&program, format!("#!/bin/sh\n{script}\n"))?;
    Ok(fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?)
}

/// The same, and asks it for a certificate.
async fn answer_of(host: &VpnHost, script: &str) -> Result<HostError> {
    speaks(host, script)?;
    let (hosts, server) = (hosts::hosts(host)?, hosts::server(host)?);
    error(hosts.issue(Errand::new().await?.at(&server), &hosts::input()).await)
}

#[tokio::test]
async fn an_answer_that_is_not_of_the_contract_is_not_believed() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    for script in [
        "cat >/dev/null; echo 'Welcome to this host!'",
        "cat >/dev/null; exit 0",
        "cat >/dev/null; printf 'vpn-host 1 ok\\nverb=issue\\nend=25\\n'",
        "cat >/dev/null; printf 'vpn-host 1 ok\\nverb=issue\\nkey=present\\nend=38\\n'",
        "cat >/dev/null; printf 'vpn-host 1 ok\\nverb=issue\\nend=999\\n'",
        "cat >/dev/null; printf 'vpn-host 1 ok\\nverb=issue\\nend=25\\n'; exit 3",
        "cat >/dev/null; printf 'vpn-host 1 error\\ncode=65\\nerror=x\\nend=33\\n'; exit 66",
        "cat >/dev/null; printf 'vpn-host 1 error\\ncode=99\\nerror=x\\nend=33\\n'; exit 99",
        "cat >/dev/null; printf '\\377\\376'",
    ] {
        let refused = answer_of(host, script).await?;
        ensure!(matches!(refused.kind(), HostErrorKind::Unintelligible(_)), "{script}: {refused:?}");
        ensure!(!refused.kind().is_retryable() && refused.evidence().is_some());
    }
    Ok(())
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    for stream in ["", ">&2"] {
        let refused = answer_of(host, &format!("exec cat /dev/zero {stream}")).await?;
        let limit = Output::MAX.to_string();
        ensure!(matches!(refused.kind(), HostErrorKind::Unintelligible(what) if what.contains(&limit)), "{refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_host_says_is_what_is_done_about_it() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    for (code, expected, retryable) in [
        (64, "HOST_BAD_REQUEST", false),
        (65, "HOST_CONFLICT", false),
        (66, "HOST_REVOKED", false),
        (69, "HOST_TROUBLE", true),
        (70, "HOST_DAMAGED", false),
        (74, "HOST_TROUBLE", true),
        (75, "HOST_TROUBLE", true),
        (76, "HOST_AHEAD", false),
    ] {
        let reply = format!("vpn-host 1 error\ncode={code}\nerror=as planned\n");
        let script = format!("cat >/dev/null; printf '%send=%s\\n' '{reply}' {}; exit {code}", reply.len());
        let refused = answer_of(host, &script).await?;
        assert_eq!((refused.kind().code(), refused.kind().is_retryable()), (expected, retryable));
        ensure!(refused.to_string().contains("as planned"), "{refused}");
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_a_broken_host_spills_is_not_kept() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let secret = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----");
    for script in [
        format!("cat >/dev/null; echo '{pem}' >&2; exit 1"),
        format!("cat >/dev/null; echo '{pem}'; exit 0"),
        format!("cat >/dev/null; printf '%s\\n%s' '-----BEGIN PRIVATE KEY-----' '{secret}'; exit 0"),
        format!("cat >/dev/null; printf 'vpn-host 1 ok\\nverb=issue\\nkey=present\\npayload=9999\\n{secret}\\n'"),
    ] {
        let refused = answer_of(host, &script).await?;
        let kept = refused.evidence().context("a run")?.to_json().to_string();
        ensure!(!kept.contains(secret) && kept.contains("redacted"), "{kept}");
        ensure!(!refused.to_string().contains(secret), "{refused}");
    }
    Ok(())
}

#[tokio::test]
async fn a_script_that_is_killed_has_no_outcome() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let refused = answer_of(host, "kill -KILL $$").await?;
    ensure!(matches!(refused.kind(), HostErrorKind::Interrupted(_)) && refused.kind().is_retryable(), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_damaged_state_directory_is_an_alarm() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let (hosts, server, errand) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    hosts.issue(errand.at(&server), &hosts::input()).await?;
    // Without it a stale worker would be let in.
    fs::remove_file(host.state.join("fence").join(errand.client.serial.as_str()))?;
    for refused in
        [error(hosts.issue(errand.at(&server), &hosts::input()).await)?, error(hosts.revoke(errand.at(&server)).await)?]
    {
        ensure!(matches!(refused.kind(), HostErrorKind::Damaged(_)) && !refused.kind().is_retryable(), "{refused}");
    }
    Ok(())
}

#[tokio::test]
async fn only_a_host_that_knows_of_no_session_proves_that_none_is_left() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let (hosts, server, errand) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    for (openvpn, open, proven) in [
        ("running", 0, true),
        ("stopped", 0, true),
        ("absent", 0, true),
        ("running", 1, false),
        ("unreachable", 0, false),
    ] {
        let head = format!("vpn-host 1 ok\nverb=kill\nserver={openvpn}\nkilled=1\nopen={open}\ncrl_checked=yes\n");
        speaks(host, &format!("cat >/dev/null; printf '%s' '{head}end={}\n'", head.len()))?;
        let killed = hosts.kill(errand.at(&server)).await?;
        ensure!(killed.proves_no_session() == proven, "{openvpn}, {open} open");
    }
    Ok(())
}
