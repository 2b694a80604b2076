//! Ports of 127.0.0.1 that are a service's again after it was away.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::error::SandboxError;

/// The first port that the system gives to whoever asks for any, and the last.
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Below it are services that people know by their numbers.
const FIRST: u16 = 10_000;

/// How many ports a process claims at once.
const BLOCK: u16 = 100;

/// What this process has claimed, and what is left of it.
struct Ports {
    claims: Vec<UnixListener>,
    left: Range<u16>,
}

static PORTS: Mutex<Ports> = Mutex::new(Ports { claims: Vec::new(), left: 0..0 });

/// A port of 127.0.0.1 that nobody listens on, for a service that may be away for a while and come back to it.
///
/// The system gives it to nobody who asks for any port, and no process that asks here gets it as long as this
/// one lives. Somebody may take it by its number all the same.
///
/// # Errors
/// [`SandboxError::NoPort`] when all are claimed, and [`SandboxError::Io`].
pub fn lasting_port() -> Result<u16, SandboxError> {
    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let Some(port) = ports.left.next() else {
            ports.claim_more()?;
            continue;
        };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
}

impl Ports {
    /// Claims a block that no other process has: an abstract socket of its name is in the same network namespace as
    /// the ports, and goes with the process.
    fn claim_more(&mut self) -> Result<(), SandboxError> {
        let io = |source| SandboxError::Io { act: "claiming ports".to_owned(), source };
        let mut blocks: Vec<u16> = (FIRST..end()?).step_by(usize::from(BLOCK)).collect();
        // Not all from the same one on: a sandbox that comes back to the port of its last run may find it free then.
        let [low, high, ..] = std::process::id().to_le_bytes();
        let start = usize::from(u16::from_le_bytes([low, high])) % blocks.len();
        blocks.rotate_left(start);
        for first in blocks {
            let name = SocketAddr::from_abstract_name(format!("vpn-sandbox-ports-{first}")).map_err(io)?;
            match UnixListener::bind_addr(&name) {
                Ok(claim) => {
                    self.claims.push(claim);
                    self.left = first..first + BLOCK;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(io(error)),
            }
        }
        Err(SandboxError::NoPort { service: "the sandbox".to_owned() })
    }
}

/// The end of the last block: where the system's own choice begins. A system that chooses from nearly all ports
/// leaves none below, and then any has to do.
fn end() -> Result<u16, SandboxError> {
    let path = Path::new(EPHEMERAL);
    let text = fs::read_to_string(path).map_err(|source| SandboxError::io("reading", path, source))?;
    let first = text.split_whitespace().next().and_then(|first| first.parse::<u16>().ok());
    let Some(first) = first else {
        let source = io::Error::new(io::ErrorKind::InvalidData, format!("no range of ports: {text:?}"));
        return Err(SandboxError::io("reading", path, source));
    };
    let end = if first < FIRST + BLOCK { u16::MAX } else { first };
    Ok(end - (end - FIRST) % BLOCK)
}
