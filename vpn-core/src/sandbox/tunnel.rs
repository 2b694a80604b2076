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

    /// Pings the server through the tunnel, from the client namespace, until so many replies are there; a minute
    /// at most. There is no other way to that address, so a reply proves the tunnel.
    pub async fn ping(&self, replies: u32) -> Result<Ping, SandboxError> {
        self.run_ping(&["-i", "0.2", "-w", "60", "-c", &replies.to_string()]).await
    }

    /// Whether a ping stays without a reply for a second: there is no tunnel, or none that carries anything.
    pub async fn is_silent(&self) -> Result<bool, SandboxError> {
        Ok(self.run_ping(&["-W", "1", "-c", "1"]).await?.received == 0)
    }

    async fn run_ping(&self, arguments: &[&str]) -> Result<Ping, SandboxError> {
        let ping = super::programs::find("ping")?;
        let result = Launch::new("ip")?
            .args(["netns", "exec", &self.client_namespace])
            .arg(ping)
            .args(["-n", "-q"])
            .args(arguments)
            .arg(self.vpn_gateway.to_string())
            .named("ping")
            .run(&self.janitor)
            .await;
        match result {
            Ok(output) => Ok(Ping::read(&output)),
            // `ping` ends with 1 when nothing came back and with 2 when there is no route.
            Err(SandboxError::Failed { output, .. })
                if output.contains("packets transmitted") || output.contains("unreachable") =>
            {
                Ok(Ping::read(&output))
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

impl Ping {
    /// From the summary: the numbers in front of these words.
    fn read(output: &str) -> Self {
        let words: Vec<&str> = output.split_whitespace().collect();
        let before = |what: &str| {
            let at = words.iter().position(|word| word.starts_with(what))?;
            words.get(..at)?.iter().rev().find_map(|word| word.parse().ok())
        };
        Self { sent: before("transmitted").unwrap_or(0), received: before("received").unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::Ping;

    #[test]
    fn the_replies_are_counted_from_the_summary() {
        for (output, sent, received) in [
            ("3 packets transmitted, 2 received, 33.3333% packet loss, time 402ms", 3, 2),
            ("3 packets transmitted, 0 received, 100% packet loss, time 402ms", 3, 0),
            ("ping: connect: Network is unreachable", 0, 0),
        ] {
            assert_eq!(Ping::read(output), Ping { sent, received });
        }
    }
}
