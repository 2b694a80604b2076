//! Two network namespaces, one for an OpenVPN server and one for its clients, and the wires between.
//!
//! ```text
//!   client namespace          server namespace             the machine's own namespace
//!   198.18.N.3  client ──── server  198.18.N.1 (lo)  root ──── vpnsb…  198.18.N.2
//! ```
//!
//! The server has one address, on its loopback device, that both sides reach, so that one profile
//! serves a client in the client namespace and one that a person starts by hand on the machine.
//! N tells the sandboxes of a machine apart. The addresses are those that RFC 2544 sets aside for
//! tests (198.18.0.0/15), which no real network has: 198.18.N.0/24 outside of the tunnel, 198.19.N.0/24
//! inside.

use std::fs::OpenOptions;
use std::net::Ipv4Addr;
use std::path::Path;

use super::error::SandboxError;
use super::files::random_hex;
use super::janitor::Janitor;
use super::process::Launch;

/// Why there is no OpenVPN server. Everything else of a VPN host works without one.
#[derive(Debug, thiserror::Error)]
pub enum TunnelUnavailable {
    /// Nobody asked for one.
    #[error("no tunnel was asked for")]
    NotRequested,
    /// Network namespaces and tun devices are for root.
    #[error("not running as root, which network namespaces and tun devices need")]
    NotRoot,
    /// The kernel or the container gives no tun device.
    #[error("/dev/net/tun cannot be opened: {0}")]
    NoTunDevice(#[source] std::io::Error),
    /// A program is missing, or one of those that lay the wires failed.
    #[error("{0}")]
    Setup(#[from] SandboxError),
    /// The OpenVPN server did not start.
    #[error("the OpenVPN server did not start: {0}")]
    Server(#[source] SandboxError),
}

/// The two namespaces of one VPN host. They belong to the janitor, which removes them.
#[derive(Clone, Debug)]
pub(crate) struct Namespaces {
    pub(crate) server: String,
    pub(crate) client: String,
    /// N of the addresses.
    pub(crate) number: u8,
}

impl Namespaces {
    /// Makes the namespaces; with the number `preferred` if it is free, since issued profiles name it.
    pub(crate) async fn create(janitor: &Janitor, preferred: Option<u8>) -> Result<Self, TunnelUnavailable> {
        possible()?;
        let name = random_hex(4)?;
        let server = format!("vpn-sandbox-{name}-server");
        let client = format!("vpn-sandbox-{name}-client");
        // At most 15 characters, the kernel's limit.
        let device = format!("vpnsb{name}");
        janitor.namespace(&server)?;
        janitor.namespace(&client)?;
        janitor.device(&device)?;

        let ip = Ip { janitor };
        ip.run("netns add", &[&server]).await?;
        ip.run("netns add", &[&client]).await?;
        ip.run("link add", &[&device, "type", "veth", "peer", "name", "root", "netns", &server]).await?;
        ip.run("link set", &[&device, "up"]).await?;
        let number = claim(&ip, &device, preferred).await?;
        let here = Self { server, client, number };
        here.connect(&ip, &device).await?;
        Ok(here)
    }

    async fn connect(&self, ip: &Ip<'_>, device: &str) -> Result<(), SandboxError> {
        let (remote, root, guest) = (self.address(1), self.address(2), self.address(3));
        let (server, client) = (self.server.as_str(), self.client.as_str());
        ip.run("address add", &[&root, "dev", device]).await?;

        let peer = ["server", "type", "veth", "peer", "name", "client", "netns", server];
        ip.inside(client, "link add", &peer).await?;
        for (space, name) in [(server, "lo"), (server, "root"), (server, "client"), (client, "lo"), (client, "server")]
        {
            ip.inside(space, "link set", &[name, "up"]).await?;
        }
        ip.inside(server, "address add", &[&remote, "dev", "lo"]).await?;
        ip.inside(server, "route add", &[&root, "dev", "root", "src", &bare(&remote)]).await?;
        ip.inside(server, "route add", &[&guest, "dev", "client", "src", &bare(&remote)]).await?;
        ip.inside(client, "address add", &[&guest, "dev", "server"]).await?;
        ip.inside(client, "route add", &[&remote, "dev", "server"]).await
    }

    /// The server's address outside of the tunnel.
    pub(crate) fn remote(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 1)
    }

    /// The network inside of the tunnel.
    pub(crate) fn network(&self) -> String {
        format!("198.19.{}.0/24", self.number)
    }

    /// The server's address inside of the tunnel.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 19, self.number, 1)
    }

    fn address(&self, host: u8) -> String {
        format!("198.18.{}.{host}/32", self.number)
    }
}

fn bare(address: &str) -> String {
    address.trim_end_matches("/32").to_owned()
}

/// What would make every later step fail, with the reason in plain words.
fn possible() -> Result<(), TunnelUnavailable> {
    if !rustix::process::geteuid().is_root() {
        return Err(TunnelUnavailable::NotRoot);
    }
    let device = Path::new("/dev/net/tun");
    OpenOptions::new().read(true).write(true).open(device).map_err(TunnelUnavailable::NoTunDevice)?;
    super::programs::find("ip")?;
    super::programs::find("openvpn")?;
    Ok(())
}

/// Finds an N that no other sandbox has. The route is the claim: the kernel takes one per network, at
/// the same instant for all who ask, and drops it together with the device. Any N, so that one which somebody has just
/// given back, and will prefer, is seldom taken.
async fn claim(ip: &Ip<'_>, device: &str, preferred: Option<u8>) -> Result<u8, SandboxError> {
    let mut last = None;
    let any = u8::from_str_radix(&random_hex(1)?, 16).unwrap_or_default();
    let others = (0..=u8::MAX).map(|step| any.wrapping_add(step));
    let possible = preferred.into_iter().chain(others).filter(|number| (1..=254).contains(number));
    for number in possible {
        match ip.run("route add", &[&format!("198.18.{number}.0/24"), "dev", device]).await {
            Ok(()) => return Ok(number),
            Err(SandboxError::Failed { output, .. }) if output.contains("File exists") => last = Some(output),
            Err(other) => return Err(other),
        }
    }
    Err(SandboxError::Failed {
        program: "ip route add 198.18.N.0/24".to_owned(),
        status: "for every N".to_owned(),
        output: last.unwrap_or_default(),
    })
}

struct Ip<'a> {
    janitor: &'a Janitor,
}

impl Ip<'_> {
    /// Runs `ip <action> <arguments>`; the action is named in the error.
    async fn run(&self, action: &str, arguments: &[&str]) -> Result<(), SandboxError> {
        self.launch(Launch::new("ip")?, action, arguments).await
    }

    async fn inside(&self, namespace: &str, action: &str, arguments: &[&str]) -> Result<(), SandboxError> {
        self.launch(Launch::new("ip")?.args(["-n", namespace]), action, arguments).await
    }

    async fn launch(&self, ip: Launch, action: &str, arguments: &[&str]) -> Result<(), SandboxError> {
        match ip.args(action.split(' ')).args(arguments).run(self.janitor).await {
            Ok(_) => Ok(()),
            Err(SandboxError::Failed { status, output, .. }) => {
                Err(SandboxError::Failed { program: format!("ip {action}"), status, output })
            }
            Err(other) => Err(other),
        }
    }
}
