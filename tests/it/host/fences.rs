//! A host refuses whoever was overtaken, for every verb that changes something.

use anyhow::{Context, Result, ensure};
use vpn_core::{
    domain::Server,
    host::{HostErrorKind, Hosts},
};
use vpn_tests::hosts::{self, Errand};

use super::error;

/// Checks that every verb refuses this errand, and that nothing changes.
async fn all_refuse(hosts: &Hosts, server: &Server, stale: &Errand) -> Result<()> {
    for refused in [
        error(hosts.issue(stale.at(server), &hosts::input()).await)?,
        error(hosts.acknowledge(stale.at(server)).await)?,
        error(hosts.revoke(stale.at(server)).await)?,
        error(hosts.kill(stale.at(server)).await)?,
    ] {
        ensure!(matches!(refused.kind(), HostErrorKind::StaleFence(_)), "{refused}");
        ensure!(!refused.kind().is_retryable() && refused.kind().code() == "HOST_AHEAD");
        let run = refused.evidence().context("it ran")?.to_json();
        assert_eq!(run["exit"].as_u64(), Some(76), "{run}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stale_fence_is_refused_by_every_verb() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server, stale) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    let newer = stale.again().await?;
    ensure!(newer.fence.token() > stale.fence.token());
    hosts.issue(newer.at(&server), &hosts::input()).await?;
    all_refuse(&hosts, &server, &stale).await?;
    ensure!(hosts.issue(newer.at(&server), &hosts::input()).await?.replayed, "the newer one goes on");
    Ok(())
}

#[tokio::test]
async fn an_issue_that_arrives_after_the_revocation_issues_nothing() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server, late) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    let revoking = late.again().await?;
    hosts.revoke(revoking.at(&server)).await?;
    all_refuse(&hosts, &server, &late).await?;
    let serial = late.client.serial.as_str();
    ensure!(!host.state.join("issued").join(serial).exists(), "a certificate after the revocation");
    ensure!(host.state.join("revoked").join(serial).exists());
    Ok(())
}

/// After Redis lost its counters two attempts may have been given one token: the first to come wins.
#[tokio::test]
async fn the_same_token_of_another_attempt_is_refused() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server) = (hosts::hosts(host)?, hosts::server(host)?);
    let (mut first, second) = (Errand::new().await?, Errand::new().await?);
    // One client, and the fences of two locks that each began at one.
    first.client = second.client.clone();
    assert_eq!(first.fence.token(), second.fence.token());
    hosts.issue(first.at(&server), &hosts::input()).await?;
    all_refuse(&hosts, &server, &second).await?;
    Ok(())
}
