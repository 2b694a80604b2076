//! The platform as the programs that are shipped: real `vpn-worker` and `vpn-graphql serve` processes
//! over a fresh database, a Redis of their own and a VPN host, with a proxy of ours on the way to the
//! last two.

mod asks;

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use secrecy::{ExposeSecret as _, SecretString};
use vpn_core::{
    clock::Ambient,
    domain::{Caller, Role, Scopes, Server},
    sandbox::{Launch, Options, Process, Sandbox, VpnHost},
    service::{CreateToken, Platform, RegisterServer},
};

/// Where a server of a fleet listens: on a port that is its own again after it was away.
pub use vpn_core::sandbox::lasting_port;

use crate::{
    Db, PATIENCE, eventually,
    platform::{PROFILE_KEY, caller, vault},
    programs::built,
    proxy::Proxy,
    redis,
    turn::{Turn, alone, turn},
};

/// How fast a fleet is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Leases; everything else is in proportion to them.
    pub lease: Duration,
    /// For one request to the host, in whole seconds.
    pub ssh_timeout: u64,
    /// How long a stopping process waits, in whole seconds.
    pub drain: u64,
    /// How often a job is tried.
    pub max_attempts: i32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { lease: Duration::from_millis(1500), ssh_timeout: 20, drain: 10, max_attempts: 50 }
    }
}

/// Programs, and what they stand on.
pub struct Fleet {
    /// The truth.
    pub db: Db,
    /// Its Redis.
    pub sandbox: Sandbox,
    /// Between the programs and Redis.
    pub redis_way: Proxy,
    /// Between the workers and the host.
    pub host_way: Proxy,
    /// The use cases in this process, past the proxies: what a test asks and reads.
    pub platform: Platform,
    /// May do everything.
    pub admin: Caller,
    /// The host as it is registered.
    pub server: Server,
    pace: Pace,
    config: PathBuf,
    _turn: Turn,
}

/// A running `vpn-graphql serve`.
pub struct Served {
    /// The process.
    pub process: Process,
    /// Where it answers.
    pub url: String,
}

impl Fleet {
    /// No program yet, but all that they need.
    pub async fn on(db: Db, host: &VpnHost, pace: Pace) -> Result<Self> {
        Self::in_turn(turn().await?, db, host, pace).await
    }

    /// The same, with no other programs beside it.
    pub async fn alone(db: Db, host: &VpnHost, pace: Pace) -> Result<Self> {
        Self::in_turn(alone().await?, db, host, pace).await
    }

    async fn in_turn(turn: Turn, db: Db, host: &VpnHost, pace: Pace) -> Result<Self> {
        let sandbox = Sandbox::start(Options::redis()).await?;
        let redis_way = Proxy::before(sandbox.redis()?.port()).await?;
        let host_way = Proxy::before(host.port).await?;
        let ambient = Ambient::system();
        let (url, vault) = (sandbox.redis()?.url(), vault()?);
        let platform =
            Platform::connect(db.store.clone(), &SecretString::from(url), vault, ambient, pace.max_attempts)?;
        let admin = caller("ada", Role::Admin)?;
        let input = RegisterServer {
            name: "vpn1".into(),
            host: host.address.clone(),
            port: host_way.port().into(),
            user: host.user.clone(),
            host_key: Some(host.host_key.clone()),
            idempotency_key: None,
        };
        let server = platform.register_server(&admin, input).await?;
        let config = configure(&sandbox, &db, &redis_way, host, pace)?;
        Ok(Self { db, sandbox, redis_way, host_way, platform, admin, server, pace, config, _turn: turn })
    }

    /// A worker that is ready.
    pub async fn worker(&self) -> Result<Process> {
        self.worker_that("").await
    }

    /// A worker to which this happens at the boundaries of its steps, such as `issued=die`.
    pub async fn worker_that(&self, crash_at: &str) -> Result<Process> {
        self.worker_in(&[("VPN_TESTS_CRASH_AT", crash_at)]).await
    }

    /// A worker in this environment.
    pub async fn worker_in(&self, variables: &[(&str, &str)]) -> Result<Process> {
        let launch = self.launch("vpn-worker")?.env("VPN_TESTS_HURRY", self.pace.lease.as_millis().to_string());
        let launch = variables.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
        let (worker, log) = launch.spawn(self.sandbox.janitor(), &self.log("worker"))?;
        log.wait_for("the worker is ready", &worker, PATIENCE).await?;
        Ok(worker)
    }

    /// A worker that need not become ready: what it waits for may be away.
    pub fn worker_somehow(&self) -> Result<Process> {
        let launch = self.launch("vpn-worker")?.env("VPN_TESTS_HURRY", self.pace.lease.as_millis().to_string());
        Ok(launch.spawn(self.sandbox.janitor(), &self.log("worker"))?.0)
    }

    /// A server that listens.
    pub async fn server(&self) -> Result<Served> {
        self.server_at(lasting_port()?, "").await
    }

    /// A server on this port, to which this happens.
    pub async fn server_at(&self, port: u16, crash_at: &str) -> Result<Served> {
        self.server_in(port, &[("VPN_TESTS_CRASH_AT", crash_at)]).await
    }

    /// A server on this port, in this environment.
    pub async fn server_in(&self, port: u16, variables: &[(&str, &str)]) -> Result<Served> {
        let listen = format!("127.0.0.1:{port}");
        let launch = self.launch("vpn-graphql")?.args(["serve", "--listen", &listen]);
        let launch = variables.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
        let (process, log) = launch.spawn(self.sandbox.janitor(), &self.log("server"))?;
        log.wait_for("listening", &process, PATIENCE).await?;
        Ok(Served { process, url: format!("http://{listen}") })
    }

    /// A server that need not listen yet.
    pub fn server_somehow(&self, port: u16) -> Result<Process> {
        let launch = self.launch("vpn-graphql")?.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
        Ok(launch.spawn(self.sandbox.janitor(), &self.log("server"))?.0)
    }

    fn launch(&self, program: &str) -> Result<Launch> {
        Ok(Launch::new(&built(program)?.to_string_lossy())?.arg("--config").arg(&self.config))
    }

    /// What programs of this kind write.
    #[must_use]
    pub fn log(&self, kind: &str) -> PathBuf {
        self.sandbox.directory().join(format!("{kind}.log"))
    }

    /// A file for the tests' own use.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.sandbox.directory().join(name)
    }

    /// A token for somebody with this role.
    pub async fn token(&self, principal: &str, role: Role) -> Result<String> {
        let input = CreateToken { principal: principal.to_owned(), role, scopes: Scopes::ALL, valid_for_days: 1 };
        let made = self.platform.create_token(&self.admin, input).await?;
        Ok(made.secret.expose_secret().to_owned())
    }

    /// Redis forgets everything.
    pub async fn flush_redis(&self) -> Result<()> {
        let mut connection = redis::look(&self.sandbox.redis()?.url()).await?;
        Ok(::redis::cmd("FLUSHALL").query_async(&mut connection).await?)
    }

    /// Waits until the process has been stopped, by itself or by us.
    pub async fn stopped(&self, process: &Process) -> Result<()> {
        let stat = format!("/proc/{}/stat", process.id());
        eventually("the process stands still", async || {
            let text = std::fs::read_to_string(&stat).context("the process has ended instead of stopping")?;
            Ok(text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
        })
        .await
    }
}

impl Drop for Fleet {
    /// Keeps what the programs wrote where `VPN_TESTS_KEEP_LOGS` says, for whoever looks for a cause.
    fn drop(&mut self) {
        let Some(directory) = std::env::var_os("VPN_TESTS_KEEP_LOGS").map(PathBuf::from) else { return };
        for kind in ["worker", "server"] {
            let name = format!("{kind}-{}.log", self.host_way.port());
            // Not every fleet has both kinds.
            let _kept = std::fs::copy(self.log(kind), directory.join(name));
        }
    }
}

/// The one configuration of all programs. It holds the secrets, so nobody else may read it.
fn configure(sandbox: &Sandbox, db: &Db, redis_way: &Proxy, host: &VpnHost, pace: Pace) -> Result<PathBuf> {
    let text = format!(
        "database_url = '{database}'\nredis_url = '{redis}'\nprofile_key = '{PROFILE_KEY}'\n\
         retry_base_seconds = 1\nretry_cap_seconds = 1\nssh_timeout_seconds = {ssh}\ndrain_seconds = {drain}\n\
         max_attempts = {attempts}\nssh_key = '''\n{key}'''\n",
        database = db.url,
        redis = redis::through(sandbox.redis()?, redis_way.port()),
        ssh = pace.ssh_timeout,
        drain = pace.drain,
        attempts = pace.max_attempts,
        key = host.private_key,
    );
    let path = sandbox.directory().join("platform.toml");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok(path)
}
