//! A private platform environment on this machine: for `dev`, examples and tests.
//!
//! Everything is real: a `redis-server`, an sshd with the forced command of the VPN host's scripts, a
//! PKI, and, where the machine allows it, an OpenVPN server in a network namespace of its own with a
//! second namespace for clients. All of it listens on loopback or inside of its namespaces.
//!
//! Nothing of it outlives its owner, however the owner goes: see [`Janitor`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use vpn_core::sandbox::{Options, Sandbox};
//!
//! let sandbox = Sandbox::start(Options::everything()).await?;
//! println!("Redis: {}, SSH port: {}", sandbox.redis()?.url(), sandbox.host()?.port);
//! match sandbox.host()?.tunnel() {
//!     Ok(tunnel) => println!("OpenVPN at {}", tunnel.remote),
//!     Err(reason) => println!("no tunnel: {reason}"),
//! }
//! sandbox.stop().await?;
//! # Ok(())
//! # }
//! ```

mod error;
mod files;
mod host;
mod janitor;
mod log;
mod namespaces;
mod openvpn;
mod ports;
mod process;
mod programs;
mod redis;
mod tunnel;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use error::SandboxError;
pub use files::{random_hex, temporary_directory};
pub use host::VpnHost;
pub use janitor::{Janitor, StopSignal};
pub use log::Log;
pub use namespaces::TunnelUnavailable;
pub use openvpn::OpenVpnClient;
pub use ports::lasting_port;
pub use process::{Launch, Process};
pub use programs::find as find_program;
pub use redis::Redis;
pub use tunnel::{Ping, Tunnel};

use host::Places;

/// Which parts a sandbox has. The default is none of them, in a temporary directory.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where keys, PKI and Redis' data are kept from one run to the next. `None`: in a temporary
    /// directory that is removed.
    pub directory: Option<PathBuf>,
    /// A Redis.
    pub redis: bool,
    /// A VPN host.
    pub host: bool,
    /// An OpenVPN server for each VPN host, where the machine allows it.
    pub tunnel: bool,
}

impl Options {
    /// Redis, a VPN host and its OpenVPN server, in a temporary directory.
    #[must_use]
    pub fn everything() -> Self {
        Self { directory: None, redis: true, host: true, tunnel: true }
    }

    /// Redis only, in a temporary directory.
    #[must_use]
    pub fn redis() -> Self {
        Self { redis: true, ..Self::default() }
    }

    /// Redis and a VPN host without an OpenVPN server, in a temporary directory.
    #[must_use]
    pub fn without_tunnel() -> Self {
        Self { tunnel: false, ..Self::everything() }
    }

    /// The same, with the data kept in this directory.
    #[must_use]
    pub fn in_directory(self, directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }
}

/// A running sandbox. [`stop`](Self::stop) ends it and says what is left, if anything; dropped, it
/// ends all the same, without anybody waiting for it.
#[derive(Debug)]
pub struct Sandbox {
    janitor: Janitor,
    directory: PathBuf,
    run: PathBuf,
    tunnel: bool,
    redis: Option<Redis>,
    hosts: Vec<VpnHost>,
}

impl Sandbox {
    /// Starts the parts that were asked for, and returns once each of them answers. If one of them
    /// fails, the others are gone again when the error is returned.
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        let (janitor, directory, run) = prepare(options.directory.as_deref()).await?;
        let mut sandbox = Self { janitor, directory, run, tunnel: options.tunnel, redis: None, hosts: Vec::new() };
        match sandbox.start_parts(&options).await {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                // The first error is the one that explains.
                let _ = sandbox.stop().await;
                Err(error)
            }
        }
    }

    async fn start_parts(&mut self, options: &Options) -> Result<(), SandboxError> {
        if options.redis {
            self.redis = Some(Redis::start(&self.janitor, &self.directory.join("redis")).await?);
        }
        if options.host {
            self.add_host().await?;
        }
        Ok(())
    }

    /// Starts one more VPN host, with a PKI and an OpenVPN server of its own.
    pub async fn add_host(&mut self) -> Result<&VpnHost, SandboxError> {
        let name = format!("host-{}", self.hosts.len() + 1);
        let (data, run) = (self.directory.join(&name), self.run.join(format!("{name}.run")));
        let places = Places { data: &data, run: &run };
        let host = VpnHost::start(&self.janitor, places, self.tunnel).await?;
        self.hosts.push(host);
        self.hosts.last().ok_or(SandboxError::Absent("a VPN host"))
    }

    /// Its Redis.
    pub fn redis(&self) -> Result<&Redis, SandboxError> {
        self.redis.as_ref().ok_or(SandboxError::Absent("Redis"))
    }

    /// Its first VPN host.
    pub fn host(&self) -> Result<&VpnHost, SandboxError> {
        self.hosts.first().ok_or(SandboxError::Absent("a VPN host"))
    }

    /// All of its VPN hosts, in the order of their start.
    #[must_use]
    pub fn hosts(&self) -> &[VpnHost] {
        &self.hosts
    }

    /// Where its data is. Others may pass through, but read nothing there that is not meant for them.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its janitor, for further processes that shall go with the sandbox.
    #[must_use]
    pub fn janitor(&self) -> &Janitor {
        &self.janitor
    }

    /// Ends everything in good order and waits until it is gone.
    pub async fn stop(self) -> Result<(), SandboxError> {
        self.janitor.stop().await
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.janitor.close();
    }
}

/// Makes the directories, in an order that leaves nothing behind wherever it is cut.
async fn prepare(directory: Option<&Path>) -> Result<(Janitor, PathBuf, PathBuf), SandboxError> {
    let Some(directory) = directory else {
        let janitor = Janitor::start()?;
        let run = temporary_directory(&janitor, "vpn-sandbox")?;
        janitor::suitable(&run)?;
        return Ok((janitor, run.clone(), run));
    };
    // Before it is made: a path that is refused leaves nothing behind. Links on the way may change it.
    let absolute = std::path::absolute(directory).map_err(|source| SandboxError::io("opening", directory, source))?;
    janitor::suitable(&absolute)?;
    files::make_directory(directory, 0o711)?;
    let directory =
        std::fs::canonicalize(directory).map_err(|source| SandboxError::io("opening", directory, source))?;
    janitor::suitable(&directory)?;
    let janitor = Janitor::start_holding(files::lock_directory(&directory).await?)?;
    let run = temporary_directory(&janitor, "vpn-sandbox")?;
    Ok((janitor, directory, run))
}
