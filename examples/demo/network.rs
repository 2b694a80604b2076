//! Whether a profile lets its holder in: asked of the real OpenVPN server where there is one, of
//! OpenSSL where `/dev/net/tun` cannot be opened.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vpn_core::sandbox::{OpenVpnClient, Sandbox, Tunnel, VpnHost};

use crate::{openssl, report::Report};

const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) enum Network<'a> {
    Tunnel { tunnel: &'a Tunnel, client: Option<OpenVpnClient> },
    OpenSsl { sandbox: &'a Sandbox, host: &'a VpnHost },
}

impl<'a> Network<'a> {
    pub(crate) fn of(sandbox: &'a Sandbox, report: &Report) -> Result<Self> {
        let host = sandbox.host()?;
        Ok(match host.tunnel() {
            Ok(tunnel) => {
                let at = format!(
                    "OpenVPN at {}:{} in network namespace {}",
                    tunnel.remote, tunnel.port, tunnel.server_namespace
                );
                report.step("network", at);
                Self::Tunnel { tunnel, client: None }
            }
            Err(reason) => {
                report.step(
                    "network",
                    format!("no tunnel ({reason}): profile, certificate and CRL are checked with OpenSSL instead"),
                );
                Self::OpenSsl { sandbox, host }
            }
        })
    }

    /// The holder of the profile gets in.
    pub(crate) async fn admits(&mut self, profile: &str, report: &Report) -> Result<()> {
        match self {
            Self::Tunnel { tunnel, client } => {
                ensure!(tunnel.is_silent().await?, "there must be no way to the server without a tunnel");
                let started = tunnel.connect(profile)?;
                started.connected(PATIENCE).await?;
                report.step(
                    "connected",
                    format!(
                        "a real openvpn client (process {}) in namespace {}",
                        started.pid(),
                        tunnel.client_namespace
                    ),
                );
                let ping = tunnel.ping(3).await?;
                ensure!(ping.received == 3, "{} of {} pings came back", ping.received, ping.sent);
                report.step(
                    "ping",
                    format!("{} of {} answered by {} through the tunnel", ping.received, ping.sent, tunnel.vpn_gateway),
                );
                *client = Some(started);
            }
            Self::OpenSsl { sandbox, host } => {
                openssl::check(sandbox, host, profile).await?;
                report.step(
                    "checked",
                    "certificate and key belong together, and are valid under the server's CA and CRL",
                );
            }
        }
        Ok(())
    }

    /// The open session is over.
    pub(crate) async fn has_ended_the_session(&self, report: &Report) -> Result<()> {
        if let Self::Tunnel { tunnel, .. } = self {
            ensure!(tunnel.is_silent().await?, "a ping still came through the tunnel");
            report.step("cut off", "the open session is gone: no ping is answered any more");
        }
        Ok(())
    }

    /// The holder of the profile stays out.
    pub(crate) async fn refuses(&mut self, profile: &str, report: &Report) -> Result<()> {
        match self {
            Self::Tunnel { tunnel, client } => {
                if let Some(client) = client.take() {
                    client.stop().await;
                }
                let seen = tunnel.server_log().len();
                let client = tunnel.connect(profile)?;
                let line = refusal(tunnel, seen, profile).await?;
                ensure!(!client.log().contains("Initialization Sequence Completed"), "the revoked client connected");
                ensure!(tunnel.is_silent().await?, "the revoked client has a tunnel");
                client.stop().await;
                report.step("refused", format!("the same profile again; the server says: {line}"));
            }
            Self::OpenSsl { sandbox, host } => {
                let error = openssl::check(sandbox, host, profile)
                    .await
                    .err()
                    .context("OpenSSL accepts the revoked certificate")?;
                ensure!(error.to_string().contains("revoked"), "refused for another reason: {error}");
                report.step("refused", "the CRL has the certificate: OpenSSL calls it revoked");
            }
        }
        Ok(())
    }
}

/// Waits until the server has logged that it refused this client. The client itself is told nothing.
/// The first line of a profile names its serial.
async fn refusal(tunnel: &Tunnel, seen: usize, profile: &str) -> Result<String> {
    let serial = profile.split_whitespace().nth(2).context("the profile does not name its serial")?;
    let refusal = format!("the serial {serial} is not admitted");
    let wait = async {
        loop {
            let log = tunnel.server_log();
            let fresh = log.get(seen..).unwrap_or_default();
            if let Some(line) = fresh.lines().find(|line| line.contains(&refusal)) {
                return line.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.context("the server did not log a refusal")
}
