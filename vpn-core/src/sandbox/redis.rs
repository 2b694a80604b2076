//! A private Redis on loopback, kept and configured as the platform demands it of a real one.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::error::SandboxError;
use super::files::{make_directory, random_hex, write};
use super::janitor::Janitor;
use super::log::{Log, tail};
use super::ports::lasting_port;
use super::process::{Launch, PATIENCE, Process};

const POLL: Duration = Duration::from_millis(5);

/// A `redis-server` of our own: loopback only, with a password, append-only file, `noeviction`.
///
/// Faults are made with [`stop`](Self::stop), [`kill`](Self::kill), [`freeze`](Self::freeze) and
/// [`restart`](Self::restart); port, password and data stay the same through all of them.
pub struct Redis {
    port: u16,
    password: String,
    directory: PathBuf,
    janitor: Janitor,
    process: Mutex<Option<Process>>,
}

impl fmt::Debug for Redis {
    /// Without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Redis").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Redis {
    /// Starts a Redis with its data in `directory`, and returns once it answers.
    pub async fn start(janitor: &Janitor, directory: &Path) -> Result<Self, SandboxError> {
        make_directory(directory, 0o700)?;
        let password = random_hex(16)?;
        for _ in 0..5 {
            let redis = Self {
                port: lasting_port()?,
                password: password.clone(),
                directory: directory.to_owned(),
                janitor: janitor.clone(),
                process: Mutex::new(None),
            };
            match redis.launch().await {
                Ok(process) => {
                    *redis.process.lock().await = Some(process);
                    return Ok(redis);
                }
                Err(SandboxError::Ended { log, .. }) if log.contains("Address already in use") => {}
                Err(other) => return Err(other),
            }
        }
        Err(SandboxError::NoPort { service: "redis-server".to_owned() })
    }

    /// Where it listens, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/", self.password, self.port)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id; `None` while it is stopped.
    pub async fn pid(&self) -> Option<u32> {
        self.process.lock().await.as_ref().map(Process::id)
    }

    /// Stops it in good order.
    pub async fn stop(&self) {
        if let Some(process) = self.process.lock().await.take() {
            process.stop().await;
        }
    }

    /// Kills it (`SIGKILL`).
    pub async fn kill(&self) {
        if let Some(process) = self.process.lock().await.take() {
            process.kill().await;
        }
    }

    /// Makes it hang without closing any connection, or go on.
    pub async fn freeze(&self, frozen: bool) {
        if let Some(process) = self.process.lock().await.as_ref() {
            process.freeze(frozen);
        }
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill); stops it before if it runs.
    pub async fn restart(&self) -> Result<(), SandboxError> {
        let mut slot = self.process.lock().await;
        if let Some(process) = slot.take() {
            process.stop().await;
        }
        *slot = Some(self.launch().await?);
        Ok(())
    }

    async fn launch(&self) -> Result<Process, SandboxError> {
        let file = self.directory.join("redis.conf");
        write(&file, self.configuration().as_bytes(), 0o600)?;
        let launch = Launch::new("redis-server")?.arg(&file);
        let (process, log) = launch.spawn(&self.janitor, &self.directory.join("redis.log"))?;
        self.ready(&process, &log).await?;
        Ok(process)
    }

    fn configuration(&self) -> String {
        format!(
            "bind 127.0.0.1\nport {}\nprotected-mode yes\nrequirepass {}\ndir {}\ndaemonize no\n\
             appendonly yes\nappendfsync everysec\nsave \"\"\nmaxmemory-policy noeviction\ndatabases 16\n",
            self.port,
            self.password,
            self.directory.display(),
        )
    }

    async fn ready(&self, process: &Process, log: &Log) -> Result<(), SandboxError> {
        let wait = async {
            while !self.answers().await {
                if process.exit_status().is_some() {
                    return Err(SandboxError::Ended { service: process.name().to_owned(), log: tail(&log.text()) });
                }
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        let late =
            |_| SandboxError::NotReady { service: process.name().to_owned(), waited: PATIENCE, log: tail(&log.text()) };
        tokio::time::timeout(PATIENCE, wait).await.map_err(late)?
    }

    /// Only our own Redis knows the password: another one that took the port does not count. While
    /// the append-only file is being read the answer is `-LOADING`.
    async fn answers(&self) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
            stream.write_all(format!("AUTH {}\r\nPING\r\nQUIT\r\n", self.password).as_bytes()).await?;
            let mut reply = String::new();
            stream.take(256).read_to_string(&mut reply).await?;
            std::io::Result::Ok(reply)
        };
        let reply = tokio::time::timeout(Duration::from_secs(1), ask).await;
        matches!(reply, Ok(Ok(text)) if text.starts_with("+OK\r\n+PONG\r\n"))
    }
}
