//! What stands under load: a server and workers as processes, a database, Redis, a VPN host.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::Mutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use vpn_core::{
    clock::Ambient,
    domain::{Caller, Role, Scopes, Server},
    sandbox::{Launch, Options, Process, Sandbox, VpnHost, lasting_port},
    service::{CreateClient, CreateToken, Platform, RegisterServer},
};
use vpn_examples::Api;
use vpn_tests::{
    Db, PATIENCE,
    platform::{PROFILE_KEY, caller, vault},
    programs::built,
};

use crate::Size;

/// What one person follows at once: fewer than the server lets them.
pub(crate) const WATCHED_BY_ONE: usize = 250;

/// As long as open jobs become fewer within this time, they are waited for.
const PROGRESS: Duration = Duration::from_mins(3);

pub(crate) struct Crew {
    pub(crate) db: Db,
    pub(crate) sandbox: Sandbox,
    pub(crate) platform: Platform,
    pub(crate) admin: Caller,
    pub(crate) server: Server,
    url: String,
    token: SecretString,
    api_server: Process,
    workers: Arc<Workers>,
}

/// The workers, and what starts one.
struct Workers {
    running: Mutex<Vec<Process>>,
    configuration: PathBuf,
    sandbox: vpn_core::sandbox::Janitor,
    log: PathBuf,
    peak_kib: AtomicU64,
    every: Duration,
}

/// Workers that are ended and started in turn.
pub(crate) struct Restarts {
    stop: CancellationToken,
    task: JoinHandle<Result<u32>>,
}

impl Restarts {
    pub(crate) async fn end(self) -> Result<u32> {
        self.stop.cancel();
        self.task.await?
    }
}

impl Crew {
    pub(crate) async fn assemble(size: Size) -> Result<Self> {
        let db = Db::migrated(size.database).await?;
        let sandbox = Sandbox::start(Options::without_tunnel()).await?;
        let vault = vault()?;
        let redis = SecretString::from(sandbox.redis()?.url());
        let platform = Platform::connect(db.store.clone(), &redis, vault, Ambient::system(), 8)?;
        let admin = caller("load", Role::Admin)?;
        let server = register(&platform, &admin, sandbox.host()?).await?;
        let input =
            CreateToken { principal: "load".into(), role: Role::Operator, scopes: Scopes::ALL, valid_for_days: 1 };
        let token = platform.create_token(&admin, input).await?.secret;
        let port = lasting_port()?;
        let configuration = configure(&db, &sandbox, port)?;
        let (api_server, _) = launch("vpn-graphql", &configuration)?
            .arg("serve")
            .spawn(sandbox.janitor(), &sandbox.directory().join("server.log"))?;
        let workers = Arc::new(Workers {
            running: Mutex::default(),
            configuration,
            sandbox: sandbox.janitor().clone(),
            log: sandbox.directory().join("workers.log"),
            peak_kib: AtomicU64::new(0),
            every: size.restart_every,
        });
        for _ in 0..size.workers {
            workers.start().await?;
        }
        let url = format!("http://127.0.0.1:{port}");
        until_ready(&url).await?;
        Ok(Self { db, sandbox, platform, admin, server, url, token, api_server, workers })
    }

    pub(crate) fn api(&self) -> Api {
        Api::new(&self.url, self.token.expose_secret())
    }

    /// For this many who follow something, each person as much as one may.
    pub(crate) async fn watchers(&self, count: usize) -> Result<Vec<Api>> {
        let tokens = (0..count.div_ceil(WATCHED_BY_ONE)).map(async |number| {
            let principal = format!("watcher-{number}");
            let input = CreateToken { principal, role: Role::Viewer, scopes: Scopes::ALL, valid_for_days: 1 };
            let token = self.platform.create_token(&self.admin, input).await?.secret;
            Ok(Api::new(&self.url, token.expose_secret()))
        });
        stream::iter(tokens).buffered(4).try_collect().await
    }

    pub(crate) fn server_id(&self) -> String {
        self.server.id.to_string()
    }

    /// Makes that many clients.
    pub(crate) async fn clients(&self, count: usize) -> Result<Vec<String>> {
        let made = (0..count).map(async |number| {
            let input =
                CreateClient { name: format!("client-{number}"), server_id: self.server_id(), idempotency_key: None };
            Ok(self.platform.create_client(&self.admin, input).await?.id.to_string())
        });
        stream::iter(made).buffered(12).try_collect().await
    }

    pub(crate) fn restart_workers(&self) -> Restarts {
        let (stop, workers) = (CancellationToken::new(), Arc::clone(&self.workers));
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { workers.restart_until(&stop).await }
        });
        Restarts { stop, task }
    }

    /// Waits until no job is open any more.
    pub(crate) async fn drained(&self) -> Result<Duration> {
        let begun = Instant::now();
        let (mut fewest, mut since) = (i64::MAX, begun);
        loop {
            let (queued, running) = self.db.store.read().await?.open_job_counts().await?;
            if queued + running == 0 {
                return Ok(begun.elapsed());
            }
            if queued + running < fewest {
                (fewest, since) = (queued + running, Instant::now());
            }
            if since.elapsed() > PROGRESS {
                bail!("{fewest} jobs are open, and none of them ended within {} s", PROGRESS.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) fn server_peak(&self) -> Result<String> {
        Ok(mib(peak_kib(self.api_server.id()).context("the server has ended")?))
    }

    /// The largest of all workers that there were.
    pub(crate) fn workers_peak(&self) -> String {
        mib(self.workers.peak_kib.load(Ordering::Relaxed))
    }

    pub(crate) async fn dismiss(self) -> Result<()> {
        for worker in self.workers.running.lock().await.drain(..) {
            worker.stop().await;
        }
        self.api_server.stop().await;
        Ok(self.sandbox.stop().await?)
    }

    /// Looks at the workers' memory once more.
    pub(crate) async fn weigh(&self) {
        for worker in self.workers.running.lock().await.iter() {
            self.workers.weigh(worker);
        }
    }
}

impl Workers {
    async fn start(&self) -> Result<()> {
        let (worker, _) = launch("vpn-worker", &self.configuration)?.spawn(&self.sandbox, &self.log)?;
        self.running.lock().await.push(worker);
        Ok(())
    }

    async fn restart_until(&self, stop: &CancellationToken) -> Result<u32> {
        let mut count = 0;
        while stop.run_until_cancelled(tokio::time::sleep(self.every)).await.is_some() {
            let oldest = self.running.lock().await.remove(0);
            self.weigh(&oldest);
            if count % 2 == 0 {
                oldest.stop().await;
            } else {
                oldest.kill().await;
            }
            self.start().await?;
            count += 1;
        }
        Ok(count)
    }

    fn weigh(&self, worker: &Process) {
        if let Some(kib) = peak_kib(worker.id()) {
            self.peak_kib.fetch_max(kib, Ordering::Relaxed);
        }
    }
}

async fn register(platform: &Platform, admin: &Caller, host: &VpnHost) -> Result<Server> {
    let input = RegisterServer {
        name: "vpn1".into(),
        host: host.address.clone(),
        port: host.port.into(),
        user: host.user.clone(),
        host_key: Some(host.host_key.clone()),
        idempotency_key: None,
    };
    Ok(platform.register_server(admin, input).await?)
}

fn configure(db: &Db, sandbox: &Sandbox, port: u16) -> Result<PathBuf> {
    let file = sandbox.directory().join("load.toml");
    let text = format!(
        "database_url = '{}'\nredis_url = '{}'\nprofile_key = '{}'\nlisten = '127.0.0.1:{port}'\nlog = 'warn'\n\
         ssh_key = '''{}'''\n",
        db.url,
        sandbox.redis()?.url(),
        PROFILE_KEY,
        sandbox.host()?.private_key
    );
    fs::write(&file, text)?;
    Ok(file)
}

/// Beside this program, where it was built.
fn launch(program: &str, configuration: &Path) -> Result<Launch> {
    let own = std::env::current_exe()?.with_file_name(program);
    let path = if own.exists() { own } else { built(program)? };
    Ok(Launch::new(&path.to_string_lossy())?.arg("--config").arg(configuration))
}

async fn until_ready(url: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        match reqwest::get(format!("{url}/readyz")).await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            other if begun.elapsed() > PATIENCE => bail!("the server is not ready: {other:?}"),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The most memory that a process has had, by the kernel's account.
fn peak_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

fn mib(kib: u64) -> String {
    format!("{} MiB", kib / 1024)
}
