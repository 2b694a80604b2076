//! Faults on demand, in front of real SSH.

use anyhow::{Result, ensure};
use vpn_core::{
    host::{Fault, FaultyTransport, HostErrorKind, Hosts},
    secrecy::ExposeSecret as _,
};
use vpn_tests::hosts::{self, Errand};

use super::error;

#[tokio::test]
async fn a_lost_reply_means_done_and_not_known() -> Result<()> {
    let host = hosts::shared().await?;
    let faulty = std::sync::Arc::new(FaultyTransport::before(hosts::transport(hosts::options(host))?));
    let (hosts, server, errand) = (Hosts::over(faulty.clone()), hosts::server(host)?, Errand::new().await?);
    faulty.plan("issue", Fault::ReplyLost);
    let lost = error(hosts.issue(errand.at(&server), &hosts::input()).await)?;
    ensure!(matches!(lost.kind(), HostErrorKind::Interrupted(_)) && lost.kind().is_retryable(), "{lost}");
    let file = host.state.join("issued").join(errand.client.serial.as_str());
    ensure!(file.exists(), "the host has done it");

    let again = hosts.issue(errand.again().await?.at(&server), &hosts::input()).await?;
    ensure!(again.replayed);
    assert_eq!(again.profile.expose_secret().trim_end(), std::fs::read_to_string(&file)?.trim_end());

    faulty.plan("revoke", Fault::ReplyLost);
    let errand = errand.again().await?;
    error(hosts.revoke(errand.at(&server)).await)?;
    ensure!(hosts.revoke(errand.at(&server)).await?.replayed);
    assert_eq!(faulty.calls(), ["issue", "issue", "revoke", "revoke"]);
    Ok(())
}

#[tokio::test]
async fn a_fault_hits_its_verb_only_and_once() -> Result<()> {
    let host = hosts::shared().await?;
    let faulty = std::sync::Arc::new(FaultyTransport::before(hosts::transport(hosts::options(host))?));
    let (hosts, server, errand) = (Hosts::over(faulty.clone()), hosts::server(host)?, Errand::new().await?);
    faulty.plan("ack", Fault::Unreachable);
    hosts.issue(errand.at(&server), &hosts::input()).await?;
    let refused = error(hosts.acknowledge(errand.at(&server)).await)?;
    ensure!(matches!(refused.kind(), HostErrorKind::Unreachable(_)), "{refused}");
    let file = host.state.join("issued").join(errand.client.serial.as_str());
    ensure!(std::fs::read_to_string(&file)?.contains("PRIVATE KEY"), "nothing reached the host");
    hosts.acknowledge(errand.at(&server)).await?;
    ensure!(!std::fs::read_to_string(&file)?.contains("PRIVATE KEY"));
    Ok(())
}
