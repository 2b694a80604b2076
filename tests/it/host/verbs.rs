//! What a host does when all is well: issue, sign, acknowledge, revoke, kill; and again.

use anyhow::{Context, Result, ensure};
use vpn_core::{
    domain::{OpenVpnState, ProvisionInput},
    host::{HostErrorKind, KeyState, certificate_of_profile, check_csr},
    secrecy::ExposeSecret as _,
};
use vpn_tests::{
    csr,
    hosts::{self, Errand},
};

use super::{block, error};

#[tokio::test]
async fn the_same_order_gives_the_same_bytes() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server, errand) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    let first = hosts.issue(errand.at(&server), &hosts::input()).await?;
    ensure!(first.key == KeyState::Present && !first.replayed);
    let certificate = certificate_of_profile(&first.profile, &errand.client, None)?;
    ensure!(certificate.not_before < certificate.not_after && certificate.sha256_fingerprint.len() == 64);
    ensure!(block(&first.profile, "key").is_some_and(|key| key.contains("PRIVATE KEY")));

    let again = errand.again().await?;
    for repeated in [&errand, &again] {
        let second = hosts.issue(repeated.at(&server), &hosts::input()).await?;
        ensure!(second.replayed && second.key == KeyState::Present);
        assert_eq!(second.profile.expose_secret(), first.profile.expose_secret());
    }
    Ok(())
}

#[tokio::test]
async fn an_acknowledged_key_is_forgotten_and_the_certificate_is_not() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server, errand) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    let issued = hosts.issue(errand.at(&server), &hosts::input()).await?;
    let key = block(&issued.profile, "key").context("a key")?.to_owned();
    for _ in 0..2 {
        hosts.acknowledge(errand.at(&server)).await?;
    }
    let again = hosts.issue(errand.at(&server), &hosts::input()).await?;
    assert_eq!(again.key, KeyState::Forgotten);
    assert_eq!(block(&again.profile, "cert"), block(&issued.profile, "cert"));
    assert_eq!(block(&again.profile, "key"), None);
    let line = key.lines().nth(1).context("a line of the key")?;
    for (file, content) in hosts::state(host)? {
        ensure!(!String::from_utf8_lossy(&content).contains(line), "the key is still in {file}");
    }
    Ok(())
}

#[tokio::test]
async fn a_signed_request_certifies_its_own_key_and_our_name() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server, errand) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    let csr = csr::make().await?;
    check_csr(&csr.request)?;
    let input = ProvisionInput { csr: Some(csr.request), ..ProvisionInput::for_days(30) };
    let first = hosts.issue(errand.at(&server), &input).await?;
    assert_eq!(first.key, KeyState::Absent);
    ensure!(!first.profile.expose_secret().contains("PRIVATE KEY"));
    certificate_of_profile(&first.profile, &errand.client, None)?;
    let certificate = block(&first.profile, "cert").context("a certificate")?;
    assert_eq!(csr::public_key_of(certificate).await?, csr.public_key);

    let second = hosts.issue(errand.at(&server), &input).await?;
    ensure!(second.replayed);
    assert_eq!(second.profile.expose_secret(), first.profile.expose_secret());
    hosts.acknowledge(errand.at(&server)).await?;

    let other = ProvisionInput { csr: Some(csr::make().await?.request), ..ProvisionInput::for_days(30) };
    for input in [other, hosts::input()] {
        let refused = error(hosts.issue(errand.at(&server), &input).await)?;
        ensure!(matches!(refused.kind(), HostErrorKind::Conflict(_)), "{refused}");
    }
    Ok(())
}

#[tokio::test]
async fn a_revoked_client_is_published_and_never_issued_again() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server, errand) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    hosts.issue(errand.at(&server), &hosts::input()).await?;
    let first = hosts.revoke(errand.at(&server)).await?;
    ensure!(!first.replayed && first.crl_number.parse::<u64>().is_ok());
    let second = hosts.revoke(errand.at(&server)).await?;
    ensure!(second.replayed);
    ensure!(host.state.join("revoked").join(errand.client.serial.as_str()).exists());

    let newest = errand.again().await?;
    for outcome in [
        error(hosts.issue(newest.at(&server), &hosts::input()).await)?,
        error(hosts.acknowledge(newest.at(&server)).await)?,
    ] {
        ensure!(matches!(outcome.kind(), HostErrorKind::Revoked(_)) && !outcome.kind().is_retryable(), "{outcome}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_was_never_issued_is_revoked_for_good() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server, errand) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    ensure!(!hosts.revoke(errand.at(&server)).await?.replayed);
    let refused = error(hosts.issue(errand.again().await?.at(&server), &hosts::input()).await)?;
    ensure!(matches!(refused.kind(), HostErrorKind::Revoked(_)), "{refused}");
    Ok(())
}

#[tokio::test]
async fn sessions_are_ended_only_of_the_revoked() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server, errand) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    hosts.issue(errand.at(&server), &hosts::input()).await?;
    let early = error(hosts.kill(errand.at(&server)).await)?;
    ensure!(matches!(early.kind(), HostErrorKind::Conflict(_)), "{early}");

    hosts.revoke(errand.at(&server)).await?;
    let killed = hosts.kill(errand.at(&server)).await?;
    // This host runs no OpenVPN server: nobody can be connected.
    assert_eq!((killed.server, killed.killed, killed.open), (OpenVpnState::Absent, 0, 0));
    ensure!(killed.proves_no_session());
    Ok(())
}

#[tokio::test]
async fn a_name_belongs_to_one_living_client() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server) = (hosts::hosts(host)?, hosts::server(host)?);
    let (first, mut second) = (Errand::new().await?, Errand::new().await?);
    second.client.name = first.client.name.clone();
    hosts.issue(first.at(&server), &hosts::input()).await?;
    let taken = error(hosts.issue(second.at(&server), &hosts::input()).await)?;
    ensure!(matches!(taken.kind(), HostErrorKind::Conflict(_)) && !taken.kind().is_retryable(), "{taken}");
    hosts.revoke(first.at(&server)).await?;
    hosts.issue(second.at(&server), &hosts::input()).await?;
    Ok(())
}

#[tokio::test]
async fn evidence_tells_what_ran_and_never_a_key() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server, errand) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    let issued = hosts.issue(errand.at(&server), &hosts::input()).await?;
    let run = issued.evidence.to_json();
    assert_eq!((run["verb"].as_str(), run["exit"].as_u64()), (Some("issue"), Some(0)));
    ensure!(run["durationMs"].is_u64(), "{run}");
    ensure!(run["outputSha256"].as_str().is_some_and(|hash| hash.len() == 64), "{run}");
    ensure!(run["output"].as_str().is_some_and(|text| text.contains(errand.client.serial.as_str())), "{run}");
    for evidence in [
        run,
        hosts.acknowledge(errand.at(&server)).await?.to_json(),
        hosts.revoke(errand.at(&server)).await?.evidence.to_json(),
        hosts.kill(errand.at(&server)).await?.evidence.to_json(),
        error(hosts.issue(errand.at(&server), &hosts::input()).await)?.evidence().context("a run")?.to_json(),
    ] {
        let text = evidence.to_string();
        ensure!(!text.contains("PRIVATE") && !text.contains("BEGIN"), "{text}");
        let secret = block(&issued.profile, "key").context("a key")?;
        ensure!(secret.lines().all(|line| line.starts_with('-') || !text.contains(line)), "{text}");
    }
    Ok(())
}
