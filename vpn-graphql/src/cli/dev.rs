//! `dev`: the whole platform on this machine, everything real, nothing to configure.

use std::{
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use vpn_core::{
    clock::Ambient,
    config::LogFormat,
    domain::{Caller, RequestId, Role, Scopes},
    host::{Hosts, SshOptions, SshTransport},
    sandbox::{Options, Sandbox, VpnHost, random_hex},
    secrecy::{ExposeSecret as _, SecretString},
    service::{CreateToken, HealthStatus, Platform, Policy, RegisterServer},
    store::{Opened, Store, StoreOptions},
    telemetry,
    vault::Vault,
    worker,
};
use vpn_graphql::HttpOptions;

const DRAIN: Duration = Duration::from_secs(10);
const READY_WITHIN: Duration = Duration::from_mins(1);
const MAX_ATTEMPTS: i32 = 8;

#[derive(Debug, Args)]
pub(super) struct Dev {
    /// Where to listen; loopback only.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Keep everything in this directory for the next time. Without it, all is gone at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write the operator's token to this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Once everything answers, write `url`, `graphiql`, `ws`, `metrics` and `pid` to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Where Prometheus may ask for `/metrics`; loopback only. Nowhere without it.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// Which messages are logged.
    #[arg(long, default_value = "warn,vpn_core=info,vpn_graphql=info")]
    log: String,
}

impl Dev {
    pub(super) async fn run(self) -> Result<()> {
        for address in std::iter::once(self.listen).chain(self.metrics_listen) {
            ensure!(
                address.ip().is_loopback(),
                "`dev` is for this machine alone: listen on 127.0.0.1, not on {}",
                address.ip()
            );
        }
        telemetry::start(&self.log, LogFormat::Text)?;
        let stop = super::stopped_by_signal()?;
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("cannot listen on {}: choose another port with --listen", self.listen))?;
        // Those of a run before would send whoever waits for them to a server that is gone.
        self.forget()?;
        println!("starting Redis, a VPN host and OpenVPN …");
        let mut options = Options::everything();
        options.directory.clone_from(&self.data);
        let sandbox = Sandbox::start(options).await?;
        let ran = self.platform(&sandbox, listener, &stop).await;
        stop.cancel();
        self.forget()?;
        sandbox.stop().await?;
        ran
    }

    /// Takes away the files that say where the server is.
    fn forget(&self) -> Result<()> {
        for file in self.ready_file.iter().chain(&self.token_file) {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("removing {}", file.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn platform(&self, sandbox: &Sandbox, listener: TcpListener, stop: &CancellationToken) -> Result<()> {
        let platform = Parts::assemble(sandbox).await?;
        let worker = platform.work(sandbox, stop)?;
        let address = listener.local_addr()?;
        let policy = Policy { public_url: Some(format!("http://{address}")), ..Policy::default() };
        let public = platform.platform.clone().with_policy(policy);
        let metrics = super::serve::metrics_listener(self.metrics_listen).await?;
        let collected_at = metrics.as_ref().map(TcpListener::local_addr).transpose()?;
        let http = super::serve::listen(listener, metrics, public, HttpOptions::default(), stop.clone(), DRAIN);
        let serving = tokio::spawn(http);
        let begun = async {
            platform.register(sandbox.host()?).await?;
            let token = platform.operator_token().await?;
            platform.until_ready().await?;
            self.tell(sandbox, (address, collected_at), &token)
        };
        let begun = begun.await;
        if begun.is_ok() {
            stop.cancelled().await;
        }
        stop.cancel();
        serving.await??;
        worker.await??;
        platform.store.close().await;
        begun
    }

    /// Says where everything is, to people and to programs.
    fn tell(
        &self,
        sandbox: &Sandbox,
        (address, collected_at): (SocketAddr, Option<SocketAddr>),
        token: &SecretString,
    ) -> Result<()> {
        let token = token.expose_secret();
        let (url, graphiql) = (format!("http://{address}/graphql"), format!("http://{address}/graphiql"));
        let ws = format!("ws://{address}/graphql/ws");
        let tunnel = match sandbox.host()?.tunnel() {
            Ok(tunnel) => format!(
                "OpenVPN at {}:{}, from network namespace {}",
                tunnel.remote, tunnel.port, tunnel.client_namespace
            ),
            Err(reason) => format!("no OpenVPN server: {reason}"),
        };
        println!("\n  API       {url}\n  live      {ws}\n  GraphiQL  {graphiql}\n  VPN host  {tunnel}");
        println!(
            "  data      {}{}",
            sandbox.directory().display(),
            if self.data.is_some() { "" } else { " (gone at the end)" }
        );
        println!(
            "  token     {token}\n            of `operator`, who creates, provisions and revokes clients\n\nCtrl-C ends it all."
        );
        std::io::stdout().flush()?;
        if let Some(file) = &self.token_file {
            write(file, &format!("{token}\n"))?;
        }
        if let Some(file) = &self.ready_file {
            let metrics = collected_at.map(|address| format!("http://{address}/metrics"));
            let pid = std::process::id();
            let ready = json!({ "url": url, "graphiql": graphiql, "ws": ws, "metrics": metrics, "pid": pid });
            write(file, &format!("{ready}\n"))?;
        }
        Ok(())
    }
}

/// The parts of the platform, over the sandbox.
struct Parts {
    store: Store,
    redis_url: SecretString,
    vault: Vault,
    ambient: Ambient,
    platform: Platform,
}

impl Parts {
    async fn assemble(sandbox: &Sandbox) -> Result<Self> {
        let directory = sandbox.directory();
        let store = Store::connect_lazy(&StoreOptions::new(format!("sqlite://{}/platform.db", directory.display())))?;
        store.migrate(Opened::Development).await?;
        let redis_url = SecretString::from(sandbox.redis()?.url());
        let vault = Vault::new(&profile_key(&directory.join("profile.key"))?)?;
        let ambient = Ambient::system();
        let platform = Platform::connect(store.clone(), &redis_url, vault.clone(), ambient.clone(), MAX_ATTEMPTS)?;
        Ok(Self { store, redis_url, vault, ambient, platform })
    }

    /// The worker, in this process.
    fn work(&self, sandbox: &Sandbox, stop: &CancellationToken) -> Result<JoinHandle<Result<(), worker::WorkerError>>> {
        let key = SecretString::from(sandbox.host()?.private_key.clone());
        let deps = worker::Deps {
            store: self.store.clone(),
            redis_url: self.redis_url.clone(),
            hosts: Hosts::over(Arc::new(SshTransport::new(SshOptions::new(key))?)),
            vault: self.vault.clone(),
            ambient: self.ambient.clone(),
        };
        let options = worker::Options { drain: DRAIN, ..worker::Options::default() };
        Ok(tokio::spawn(worker::run(deps, options, stop.clone())))
    }

    fn admin(&self) -> Result<Caller> {
        Ok(Caller::embedded("dev".parse()?, Role::Admin, RequestId::generate(&self.ambient)))
    }

    /// The sandbox's VPN host, under the name `sandbox`; known from the last time if the data was kept.
    async fn register(&self, host: &VpnHost) -> Result<()> {
        let admin = self.admin()?;
        let known = self.platform.servers(&admin).await?.into_iter().find(|server| server.name.as_str() == "sandbox");
        if let Some(server) = known {
            ensure!(
                server.address.port() == host.port && server.host_key.as_deref() == Some(host.host_key.as_str()),
                "the VPN host of this data directory listened on port {}, which is taken: free it, or take another --data",
                server.address.port()
            );
            return Ok(());
        }
        let input = RegisterServer {
            name: "sandbox".into(),
            host: host.address.clone(),
            port: host.port.into(),
            user: host.user.clone(),
            host_key: Some(host.host_key.clone()),
            idempotency_key: None,
        };
        self.platform.register_server(&admin, input).await?;
        Ok(())
    }

    async fn operator_token(&self) -> Result<SecretString> {
        let input =
            CreateToken { principal: "operator".into(), role: Role::Operator, scopes: Scopes::ALL, valid_for_days: 30 };
        Ok(self.platform.create_token(&self.admin()?, input).await?.secret)
    }

    /// Waits until database, Redis and a worker answer.
    async fn until_ready(&self) -> Result<()> {
        let wait = async {
            while self.platform.readiness().await.status != HealthStatus::Ok {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(READY_WITHIN, wait).await;
        waited.with_context(|| format!("not everything answered within {} s", READY_WITHIN.as_secs()))
    }
}

/// The key that profiles are sealed with, kept beside the database.
fn profile_key(path: &Path) -> Result<SecretString> {
    if !path.exists() {
        write(path, &random_hex(32)?)?;
    }
    Ok(SecretString::from(std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?))
}

/// Writes a file that only its owner can read. Whoever waits for it sees it whole or not at all.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    let written = (|| {
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&temporary, path)
    })();
    written.with_context(|| format!("writing {}", path.display()))
}
