//! Who the host is, and who we are: before anything is sent.

use std::time::Duration;

use anyhow::{Result, ensure};
use vpn_core::{
    domain::Server,
    host::{HostError, HostErrorKind, Hosts, SshOptions, SshTransport, fingerprint},
    sandbox::VpnHost,
    secrecy::SecretString,
};
use vpn_tests::{
    hosts::{self, Errand},
    proxy::Proxy,
    soon,
};

use super::{error, is_before_sending, names_host_and_cure};

/// Tries every verb; none gets anywhere, and the host's state is as it was. Gives one of the errors.
async fn nothing_is_sent(host: &VpnHost, hosts: &Hosts, server: &Server) -> Result<HostError> {
    let (errand, before) = (Errand::new().await?, hosts::state(host)?);
    for refused in [
        error(hosts.issue(errand.at(server), &hosts::input()).await)?,
        error(hosts.acknowledge(errand.at(server)).await)?,
        error(hosts.revoke(errand.at(server)).await)?,
        error(hosts.kill(errand.at(server)).await)?,
    ] {
        ensure!(is_before_sending(refused.kind()) && refused.evidence().is_none(), "{refused}");
        names_host_and_cure(&refused, server, refused.kind().to_string().as_str());
    }
    ensure!(hosts::state(host)? == before, "the state of the host has changed");
    error(hosts.revoke(errand.at(server)).await)
}

#[tokio::test]
async fn another_host_key_than_the_pinned_one_is_refused() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let (hosts, server) = (hosts::hosts(host)?, hosts::server(host)?);
    let errand = Errand::new().await?;
    hosts.issue(errand.at(&server), &hosts::input()).await?;

    let new = host.rekey().await?;
    let refused = nothing_is_sent(host, &hosts, &server).await?;
    let kind = refused.kind();
    let HostErrorKind::HostKeyMismatch { pinned, presented, .. } = kind else { anyhow::bail!("{kind:?}") };
    assert_eq!((pinned, presented), (&fingerprint(&host.host_key)?, &fingerprint(&new)?));
    ensure!(kind.to_string().contains("pin its new key") && !kind.is_retryable(), "{kind}");

    let pinned_anew = Server { host_key: Some(new), ..server };
    ensure!(hosts.issue(errand.at(&pinned_anew), &hosts::input()).await?.replayed);
    Ok(())
}

#[tokio::test]
async fn a_host_without_a_pinned_key_is_refused() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    for host_key in ["", "ssh-ed25519", "ssh-ed25519 AAAA"] {
        let server = Server { host_key: Some(host_key.to_owned()), ..hosts::server(host)? };
        let refused = nothing_is_sent(host, &hosts::hosts(host)?, &server).await?;
        let kind = refused.kind();
        let HostErrorKind::HostKeyUnknown { presented, .. } = kind else { anyhow::bail!("{host_key:?}: {kind:?}") };
        assert_eq!(presented, &fingerprint(&host.host_key)?);
        ensure!(kind.to_string().contains("then pin it"), "{kind}");
    }
    Ok(())
}

/// The host has no key of the pinned algorithm at all.
#[tokio::test]
async fn a_pinned_key_of_another_algorithm_is_a_mismatch() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX8qLRLqqEAs2FjQkYzQsx\
                 bBL1ZDyG1mzGLlFNSbkNVQGzZ0e0QJB4fVPT5GMhYEDJ3X1qzrwB0m3tnwGz1aM=";
    let server = Server { host_key: Some(ecdsa.replace([' ', '\n'], " ")), ..hosts::server(host)? };
    let refused = nothing_is_sent(host, &hosts::hosts(host)?, &server).await?;
    let kind = refused.kind();
    let pinned = matches!(kind, HostErrorKind::HostKeyMismatch { .. } | HostErrorKind::HostKeyUnknown { .. });
    ensure!(pinned, "{kind:?}");
    Ok(())
}

#[tokio::test]
async fn a_login_that_is_refused_names_the_account() -> Result<()> {
    let (sandbox, stranger) = (hosts::private().await?, hosts::private().await?);
    let host = sandbox.host()?;
    let options = SshOptions { key: SecretString::from(stranger.host()?.private_key.clone()), ..hosts::options(host) };
    let hosts = Hosts::over(hosts::transport(options)?);
    let refused = nothing_is_sent(host, &hosts, &hosts::server(host)?).await?;
    let kind = refused.kind();
    ensure!(matches!(kind, HostErrorKind::LoginRefused(user) if *user == host.user), "{kind:?}");
    ensure!(kind.to_string().contains("authorized keys") && !kind.is_retryable(), "{kind}");
    Ok(())
}

/// Wherever the connection breaks on the way in: that is no refusal, and another attempt may succeed.
#[tokio::test]
async fn a_connection_that_breaks_during_the_login_is_not_a_refusal() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let (proxy, mut broken) = (Proxy::before(host.port).await?, 0);
    let server = hosts::server_at(host, proxy.port())?;
    let hour = Duration::from_hours(1);
    for number in 1.. {
        let options = SshOptions { connect_timeout: hour, command_timeout: hour, ..hosts::options(host) };
        let (hosts, errand, lost) =
            (Hosts::over(hosts::transport(options)?), Errand::new().await?, proxy.lost_replies());
        proxy.lose_reply_number(number);
        // No request waits for its time-out when its connection has ended.
        let asked = soon("the request ends", hosts.issue(errand.at(&server), &hosts::input())).await?;
        if let Err(error) = asked {
            ensure!(error.kind().is_retryable(), "reply {number}: {:?}", error.kind());
            broken += 1;
        }
        if proxy.lost_replies() == lost {
            break;
        }
    }
    // However much of them is read at once, each of these answers something of ours: the host's half of the key
    // exchange, its words on the service, on the key and on the channel.
    ensure!(broken >= 4, "only {broken} logins broke");
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_down_names_itself_and_the_cure() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    host.stop_sshd().await;
    let (hosts, server) = (hosts::hosts(host)?, hosts::server(host)?);
    let refused = nothing_is_sent(host, &hosts, &server).await?;
    let kind = refused.kind();
    ensure!(matches!(kind, HostErrorKind::Unreachable(_)) && kind.is_retryable(), "{kind:?}");
    names_host_and_cure(&refused, &server, "check that it runs");
    host.start_sshd().await?;
    hosts.issue(Errand::new().await?.at(&server), &hosts::input()).await?;
    Ok(())
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_refused_with_the_cure() -> Result<()> {
    for bad in ["", "not a key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"] {
        let Err(error) = SshTransport::new(SshOptions::new(SecretString::from(bad.to_owned()))) else {
            anyhow::bail!("it was taken: {bad}");
        };
        ensure!(error.to_string().contains("ssh-keygen -t ed25519"), "{error}");
    }
    Ok(())
}
