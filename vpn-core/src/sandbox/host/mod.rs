//! A VPN host on loopback: a real sshd with the forced command, a real PKI, a real OpenVPN server.

mod keys;
mod scripts;
mod sshd;

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::SandboxError;
use super::files::{make_directory, passable, read, read_number, write};
use super::janitor::{Janitor, suitable};
use super::namespaces::{Namespaces, TunnelUnavailable};
use super::process::Launch;
use super::tunnel::{PORT, Tunnel};
use sshd::Sshd;

/// The directories that a host is made in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    /// Keys and PKI; kept if the sandbox has a directory of its own.
    pub(crate) data: &'a Path,
    /// Sockets and pid files: short paths, never kept.
    pub(crate) run: &'a Path,
}

/// A VPN host as the platform sees one: an address, a login, a host key.
pub struct VpnHost {
    /// Where its sshd listens: 127.0.0.1.
    pub address: String,
    /// The port of its sshd. The same in every run with the same directory, if it is free.
    pub port: u16,
    /// The user to log in as: the one who runs the sandbox.
    pub user: String,
    /// The host's public key at the start, `ssh-ed25519 AAAA…`, without a comment.
    pub host_key: String,
    /// The platform's private key in OpenSSH's PEM form. It opens this host and nothing else.
    pub private_key: String,
    /// The host's state directory.
    pub state: PathBuf,
    /// Where the host's scripts are (`gate`, `vpn-host`, `setup`, `sessions`).
    pub scripts: PathBuf,
    /// The OpenVPN server, or why there is none.
    pub tunnel: Result<Tunnel, TunnelUnavailable>,
    keys: PathBuf,
    janitor: Janitor,
    sshd: Sshd,
}

impl fmt::Debug for VpnHost {
    /// Without the private key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VpnHost")
            .field("port", &self.port)
            .field("state", &self.state)
            .field("tunnel", &self.tunnel)
            .finish_non_exhaustive()
    }
}

impl VpnHost {
    /// Makes a host and starts its services.
    pub(crate) async fn start(janitor: &Janitor, places: Places<'_>, tunnel: bool) -> Result<Self, SandboxError> {
        suitable(places.data)?;
        make_directory(places.data, 0o711)?;
        make_directory(places.run, 0o711)?;
        let scripts = scripts::install(janitor, places.data)?;
        let state = places.data.join("state");
        let tunnel =
            if tunnel { start_tunnel(janitor, places, &scripts).await } else { Err(TunnelUnavailable::NotRequested) };
        if tunnel.is_err() {
            Setup { places, remote: "127.0.0.1", network: "198.19.0.0/24", server: false }
                .run(janitor, &scripts)
                .await?;
        }

        let keys = places.data.join("ssh");
        make_directory(&keys, 0o700)?;
        let user = Launch::new("id")?.arg("-un").run(janitor).await?.trim().to_owned();
        let host_key = keys::keep(janitor, &keys.join("host_key")).await?;
        let platform = keys::keep(janitor, &keys.join("platform_key")).await?;
        let gate = scripts.join("gate");
        let entry = format!("restrict,command=\"{} {}\" {platform}\n", gate.display(), state.display());
        write(&keys.join("authorized_keys"), entry.as_bytes(), 0o600)?;
        let private_key = read(&keys.join("platform_key"))?;
        let sshd = Sshd::start(janitor, &keys, &user).await?;
        Ok(Self {
            address: "127.0.0.1".to_owned(),
            port: sshd.port,
            user,
            host_key,
            private_key,
            state,
            scripts,
            tunnel,
            keys,
            janitor: janitor.clone(),
            sshd,
        })
    }

    /// Stops sshd and cuts its connections; the port refuses. Scripts under way go on to their end.
    pub async fn stop_sshd(&self) {
        self.sshd.stop().await;
    }

    /// Starts sshd again, on the same port.
    pub async fn start_sshd(&self) -> Result<(), SandboxError> {
        self.sshd.run().await
    }

    /// Cuts the connections that are open; new ones are accepted at once.
    pub async fn cut_connections(&self) {
        self.sshd.cut().await;
    }

    /// Gives the host another key, as if it were a different machine, and restarts sshd. Returns the
    /// new key; [`host_key`](Self::host_key) goes on to name the one that was registered.
    pub async fn rekey(&self) -> Result<String, SandboxError> {
        let key = keys::replace(&self.janitor, &self.keys.join("host_key")).await?;
        self.sshd.stop().await;
        self.sshd.run().await?;
        Ok(key)
    }

    /// The file with the platform's private key (mode 0600), for `ssh -i`.
    #[must_use]
    pub fn private_key_path(&self) -> PathBuf {
        self.keys.join("platform_key")
    }

    /// The log of sshd.
    #[must_use]
    pub fn sshd_log_path(&self) -> PathBuf {
        self.keys.join("sshd.log")
    }

    /// The tunnel, or the reason why there is none as an error.
    pub fn tunnel(&self) -> Result<&Tunnel, &TunnelUnavailable> {
        self.tunnel.as_ref()
    }
}

/// Lays the wires, makes the PKI for them and starts the server.
async fn start_tunnel(janitor: &Janitor, places: Places<'_>, scripts: &Path) -> Result<Tunnel, TunnelUnavailable> {
    let directory = places.data.join("tunnel");
    make_directory(&directory, 0o700)?;
    let stored = directory.join("network");
    let namespaces = Namespaces::create(janitor, read_number(&stored)).await?;
    write(&stored, format!("{}\n", namespaces.number).as_bytes(), 0o600)?;
    let remote = namespaces.remote().to_string();
    Setup { places, remote: &remote, network: &namespaces.network(), server: true }.run(janitor, scripts).await?;
    let configuration = places.data.join("state/server/openvpn.conf");
    Tunnel::start(janitor, &namespaces, &configuration, &directory).await.map_err(TunnelUnavailable::Server)
}

/// One run of the host's `setup`.
struct Setup<'a> {
    places: Places<'a>,
    remote: &'a str,
    network: &'a str,
    /// Whether there is an OpenVPN server.
    server: bool,
}

impl Setup<'_> {
    async fn run(&self, janitor: &Janitor, scripts: &Path) -> Result<(), SandboxError> {
        let state = self.places.data.join("state");
        let socket = self.places.run.join("management");
        let socket = if self.server { socket.to_string_lossy() } else { "none".into() };
        // Without root's rights OpenVPN must still reach the CRL, and below a closed home directory
        // `nobody` cannot.
        let user = if passable(self.places.data) { "nobody" } else { "root" };
        // Read by a shell, and not executed: another thread's child may still hold it open for writing.
        Launch::new("sh")?
            .arg(scripts.join("setup"))
            .named("setup")
            .arg("--state")
            .arg(state)
            .args(["--remote", self.remote, "--local", self.remote, "--port", &PORT.to_string(), "--proto", "udp"])
            .args(["--network", self.network, "--management", &socket, "--pidfile"])
            .arg(self.places.run.join("openvpn.pid"))
            .args(["--openvpn-user", user, "--crl-days", "30", "--static-addresses", "5"])
            .run(janitor)
            .await
            .map(drop)
    }
}
