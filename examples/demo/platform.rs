//! The platform as programs: `vpn-graphql serve`, and a `vpn-worker` that is replaced when it dies.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::sync::Mutex;
use vpn_core::sandbox::{Launch, Process, Sandbox, lasting_port, random_hex};
use vpn_examples::Api;

use crate::report::Report;

const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Platform {
    pub(crate) url: String,
    programs: PathBuf,
    config: PathBuf,
    server: Process,
    worker: Arc<Mutex<Process>>,
}

impl Platform {
    /// Sets the database up and starts both programs.
    pub(crate) async fn start(sandbox: &Sandbox, report: &Report) -> Result<Self> {
        let programs = programs()?;
        let (config, url) = configure(sandbox)?;
        run(sandbox, &programs, &config, &["migrate"]).await?;
        let server =
            Launch::new(&programs.join("vpn-graphql").to_string_lossy())?.args(["serve", "--config"]).arg(&config);
        let (server, log) = server.spawn(sandbox.janitor(), &sandbox.directory().join("server.log"))?;
        log.wait_for("listening", &server, PATIENCE).await?;
        let worker = start_worker(sandbox, &programs, &config).await?;
        report.step(
            "platform",
            format!("vpn-graphql serve (process {}) and vpn-worker (process {}) at {url}", server.id(), worker.id()),
        );
        Ok(Self { url, programs, config, server, worker: Arc::new(Mutex::new(worker)) })
    }

    /// Replaces the worker whenever it dies, as a service manager would. Never ends.
    pub(crate) async fn supervise(&self, sandbox: &Sandbox, report: &Report) -> Result<()> {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let status = self.server.exit_status();
            ensure!(status.is_none(), "vpn-graphql ended: {status:?}");
            let mut worker = self.worker.lock().await;
            if let Some(status) = worker.exit_status() {
                let dead = worker.id();
                *worker = start_worker(sandbox, &self.programs, &self.config).await?;
                report.step(
                    "worker",
                    format!("process {dead} ended ({status}); process {} takes its place", worker.id()),
                );
            }
        }
    }

    /// The worker's process id.
    pub(crate) async fn worker_id(&self) -> u32 {
        self.worker.lock().await.id()
    }

    /// Kills the worker, as a crash or the kernel's memory killer would, and waits for its end.
    pub(crate) async fn kill_worker(&self, sandbox: &Sandbox) -> Result<()> {
        // Kept, so that it is not replaced before its end was seen here.
        let worker = self.worker.lock().await;
        Launch::new("kill")?.args(["-KILL", &worker.id().to_string()]).run(sandbox.janitor()).await?;
        worker.ended(PATIENCE).await.context("the worker outlives SIGKILL")?;
        Ok(())
    }

    /// An access token for this principal, made on the command line.
    pub(crate) async fn token(&self, sandbox: &Sandbox, principal: &str, role: &str) -> Result<Api> {
        let made = self
            .command(sandbox, &["token", "create", "--principal", principal, "--role", role, "--days", "1"])
            .await?;
        let token = made.lines().find(|line| line.starts_with("vpn_pat_")).context("the command prints the token")?;
        Ok(Api::new(&self.url, token))
    }

    /// Runs a command of `vpn-graphql` and gives what it prints.
    pub(crate) async fn command(&self, sandbox: &Sandbox, arguments: &[&str]) -> Result<String> {
        run(sandbox, &self.programs, &self.config, arguments).await
    }
}

async fn start_worker(sandbox: &Sandbox, programs: &Path, config: &Path) -> Result<Process> {
    let worker = Launch::new(&programs.join("vpn-worker").to_string_lossy())?.arg("--config").arg(config);
    let (worker, log) = worker.spawn(sandbox.janitor(), &sandbox.directory().join("worker.log"))?;
    log.wait_for("the worker is ready", &worker, PATIENCE).await?;
    Ok(worker)
}

async fn run(sandbox: &Sandbox, programs: &Path, config: &Path, arguments: &[&str]) -> Result<String> {
    let program = programs.join("vpn-graphql");
    Ok(Launch::new(&program.to_string_lossy())?
        .args(arguments)
        .arg("--config")
        .arg(config)
        .run(sandbox.janitor())
        .await?)
}

/// Built beside this program.
fn programs() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let programs = own.ancestors().nth(2).context("this program lies two directories deep")?.to_owned();
    for name in ["vpn-graphql", "vpn-worker"] {
        ensure!(programs.join(name).exists(), "{} is not built: run `make demo`", programs.join(name).display());
    }
    Ok(programs)
}

/// The one configuration of both programs. It holds the secrets, so nobody else may read it.
fn configure(sandbox: &Sandbox) -> Result<(PathBuf, String)> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let directory = sandbox.directory();
    let listen = format!("127.0.0.1:{}", lasting_port()?);
    let text = format!(
        "database_url = 'sqlite://{directory}/platform.db'\nredis_url = '{redis}'\nprofile_key = '{key}'\n\
         listen = '{listen}'\nretry_base_seconds = 1\nssh_key = '''\n{ssh_key}'''\n",
        directory = directory.display(),
        redis = sandbox.redis()?.url(),
        key = random_hex(32)?,
        ssh_key = sandbox.host()?.private_key,
    );
    let path = directory.join("platform.toml");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok((path, format!("http://{listen}")))
}
