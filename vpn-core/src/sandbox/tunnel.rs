//! An OpenVPN server in its own network namespace, and clients in another.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Mutex;

use super::error::SandboxError;
use super::files::{make_directory, write};
use super::janitor::Janitor;
use super::namespaces::Namespaces;
use super::openvpn::{OpenVpnClient, start_server};
use super::process::{Launch, Process};

/// The port of every OpenVPN server of a sandbox: each has an address of its own.
pub(crate) const PORT: u16 = 1194;

/// The answers to a `ping`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Echo requests sent.
    pub sent: u32,
    /// Replies received.
    pub received: u32,
}

/// A running OpenVPN server and the network around it.
#[derive(Debug)]
pub struct Tunnel {
    /// The network namespace of the server.
    pub server_namespace: String,
    /// The network namespace of the clients.
    pub client_namespace: String,
    /// The server's address in the profiles; reachable from the client namespace and the machine's own.
    pub remote: Ipv4Addr,
    /// The server's UDP port.
    pub port: u16,
    /// The server's address inside of the tunnel.
    pub vpn_gateway: Ipv4Addr,
    configuration: PathBuf,
    directory: PathBuf,
    janitor: Janitor,
    clients: AtomicU32,
    server: Mutex<Option<Process>>,
}

impl Tunnel {
    /// Starts the server with the configuration that the host's setup has written.
    pub(crate) async fn start(
        janitor: &Janitor,
        namespaces: &Namespaces,
        configuration: &Path,
        directory: &Path,
    ) -> Result<Self, SandboxError> {
        make_directory(directory, 0o700)?;
        let tunnel = Self {
            server_namespace: namespaces.server.clone(),
            client_namespace: namespaces.client.clone(),
            remote: namespaces.remote(),
            port: PORT,
            vpn_gateway: namespaces.gateway(),
            configuration: configuration.to_owned(),
            directory: directory.to_owned(),
            janitor: janitor.clone(),
            clients: AtomicU32::new(0),
            server: Mutex::new(None),
        };
        tunnel.start_openvpn().await?;
        Ok(tunnel)
    }

    /// Starts the server, unless it runs, and returns once it serves.
    pub async fn start_openvpn(&self) -> Result<(), SandboxError> {
        let mut slot = self.server.lock().await;
        if slot.as_ref().is_some_and(|server| server.exit_status().is_none()) {
            return Ok(());
        }
        let log = self.server_log_path();
        let server = start_server(&self.janitor, &self.server_namespace, &self.configuration, &log).await?;
        *slot = Some(server);
        Ok(())
    }

    /// Stops the server in good order.
    pub async fn stop_openvpn(&self) {
        if let Some(server) = self.server.lock().await.take() {
            server.stop().await;
        }
    }

    /// Stops or continues the server (`SIGSTOP`, `SIGCONT`): alive, but it answers nothing.
    pub async fn freeze_openvpn(&self, frozen: bool) {
        if let Some(server) = self.server.lock().await.as_ref() {
            server.freeze(frozen);
        }
    }

    /// Starts an `openvpn` client with this profile in the client namespace; see
    /// [`OpenVpnClient::connected`].
    pub fn connect(&self, profile: &str) -> Result<OpenVpnClient, SandboxError> {
        let number = self.clients.fetch_add(1, Ordering::Relaxed) + 1;
        let file = self.directory.join(format!("client-{number}.ovpn"));
        // The profile holds a private key.
        write(&file, profile.as_bytes(), 0o600)?;
        let log = self.directory.join(format!("client-{number}.log"));
        OpenVpnClient::start(&self.janitor, &self.client_namespace, &file, &log)
    }

    /// Pings the server through the tunnel, from the client namespace. There is no other way to that
    /// address, so a reply proves the tunnel; without a tunnel nothing is received.
    pub async fn ping(&self, count: u32) -> Result<Ping, SandboxError> {
        let ping = super::programs::find("ping")?;
        let arguments = ["-n", "-q", "-i", "0.2", "-W", "1", "-c"];
        let result = Launch::new("ip")?
            .args(["netns", "exec", &self.client_namespace])
            .arg(ping)
            .args(arguments)
            .args([count.to_string(), self.vpn_gateway.to_string()])
            .named("ping")
            .run(&self.janitor)
            .await;
        match result {
            Ok(output) => Ok(Ping { sent: count, received: received(&output) }),
            // `ping` ends with 1 when nothing came back and with 2 when there is no route.
            Err(SandboxError::Failed { output, .. }) if output.contains("packets transmitted") => {
                Ok(Ping { sent: count, received: received(&output) })
            }
            Err(SandboxError::Failed { output, .. }) if output.contains("unreachable") => {
                Ok(Ping { sent: count, received: 0 })
            }
            Err(other) => Err(other),
        }
    }

    /// Everything the server has written, over all its starts.
    #[must_use]
    pub fn server_log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.server_log_path()).unwrap_or_default()).into_owned()
    }

    /// The server's log file.
    #[must_use]
    pub fn server_log_path(&self) -> PathBuf {
        self.directory.join("server.log")
    }
}

/// The number in front of `received` in `ping`'s summary.
fn received(output: &str) -> u32 {
    let words: Vec<&str> = output.split_whitespace().collect();
    let pair = words.windows(2).find(|pair| matches!(pair, [_, word] if word.starts_with("received")));
    pair.and_then(|pair| pair.first()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::received;

    #[test]
    fn the_replies_are_counted_from_the_summary() {
        assert_eq!(received("3 packets transmitted, 2 received, 33.3333% packet loss, time 402ms"), 2);
        assert_eq!(received("3 packets transmitted, 0 received, 100% packet loss, time 402ms"), 0);
        assert_eq!(received("ping: connect: Network is unreachable"), 0);
    }
}
