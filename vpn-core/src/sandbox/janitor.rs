//! The janitor: a small shell process that ends what its owner started, however the owner goes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::SandboxError;
use super::programs;

/// What the janitor runs; its protocol is described at its head.
const SCRIPT: &str = include_str!("janitor.sh");

/// The janitor needs about 4 s for a process that ignores every polite signal, on a machine that does little else.
const PATIENCE: Duration = Duration::from_mins(1);

/// The signal that ends a process in good order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopSignal {
    /// `SIGTERM`, which nearly everything understands.
    #[default]
    Term,
    /// `SIGINT`, PostgreSQL's "fast" shutdown: it does not wait for its clients.
    Int,
}

impl StopSignal {
    fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
        }
    }
}

/// A handle on the janitor. Clones share it; when the last one is dropped, or the process that holds
/// them dies in any way at all, the janitor ends what was registered and then itself.
///
/// It works through a pipe: the janitor reads registrations from it and takes its end for the owner's
/// end, which the kernel delivers even after `kill -9`.
#[derive(Clone, Debug)]
pub struct Janitor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pipe: Mutex<Option<ChildStdin>>,
    process: Mutex<Option<Child>>,
    /// Children that nobody waits for any more. They are collected at the end.
    orphans: Mutex<Vec<Child>>,
}

impl Janitor {
    /// Starts a janitor that has nothing to do yet.
    pub fn start() -> Result<Self, SandboxError> {
        Self::launch(Stdio::null())
    }

    /// Starts a janitor that holds the lock on this file until all is gone, so that nobody takes over
    /// a data directory while the processes of its last owner still write to it.
    pub(crate) fn start_holding(lock: File) -> Result<Self, SandboxError> {
        Self::launch(Stdio::from(lock))
    }

    fn launch(stderr: Stdio) -> Result<Self, SandboxError> {
        let mut process = Command::new(programs::find("sh")?)
            .args(["-c", SCRIPT, "vpn-sandbox-janitor"])
            .env_clear()
            .envs(programs::environment())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .map_err(|source| SandboxError::Io { act: "starting the janitor".to_owned(), source })?;
        let pipe = process.stdin.take();
        let inner = Inner { pipe: Mutex::new(pipe), process: Mutex::new(Some(process)), orphans: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Registers a child process, the leader of a process group of its own, and how to end it.
    pub fn process(&self, id: u32, signal: StopSignal) -> Result<(), SandboxError> {
        self.write(&format!("pid {id} {}", signal.name()))
    }

    /// Forgets a child process that has ended and was collected.
    pub fn forget(&self, id: u32) {
        // A janitor that is gone remembers nothing anyway.
        let _ = self.write(&format!("forget {id}"));
    }

    /// Registers a directory; it is removed with everything in it. To be called before it is made.
    pub fn directory(&self, path: &Path) -> Result<(), SandboxError> {
        self.write(&format!("dir {}", suitable(path)?))
    }

    /// Registers programs: a process with an argument that begins with this path is ended, even if it
    /// was started by one of ours that is long gone.
    pub fn scripts(&self, prefix: &Path) -> Result<(), SandboxError> {
        self.write(&format!("scripts {}", suitable(prefix)?))
    }

    /// Registers a network namespace. To be called before it is made.
    pub(crate) fn namespace(&self, name: &str) -> Result<(), SandboxError> {
        self.write(&format!("netns {name}"))
    }

    /// Registers a network device. To be called before it is made.
    pub(crate) fn device(&self, name: &str) -> Result<(), SandboxError> {
        self.write(&format!("link {name}"))
    }

    /// Collects this child some day; nobody else waits for it any more.
    pub(crate) fn adopt(&self, child: Child) {
        let mut orphans = lock(&self.inner.orphans);
        orphans.retain_mut(|orphan| !matches!(orphan.try_wait(), Ok(Some(_))));
        orphans.push(child);
    }

    /// Has everything ended and removed, and waits for it. Later calls return at once.
    pub async fn stop(&self) -> Result<(), SandboxError> {
        self.close();
        let Some(mut process) = lock(&self.inner.process).take() else { return Ok(()) };
        let mut waited = Duration::ZERO;
        let status = loop {
            let ended = process
                .try_wait()
                .map_err(|source| SandboxError::Io { act: "waiting for the janitor".to_owned(), source })?;
            if let Some(status) = ended {
                break status;
            }
            if waited >= PATIENCE {
                *lock(&self.inner.process) = Some(process);
                return Err(SandboxError::Leftover("a janitor that does not end".to_owned()));
            }
            let pause = Duration::from_millis(5);
            tokio::time::sleep(pause).await;
            waited += pause;
        };
        if status.success() {
            return Ok(());
        }
        let mut left = String::new();
        if let Some(mut output) = process.stdout.take() {
            // Whatever could be read is better than nothing.
            let _ = output.read_to_string(&mut left);
        }
        Err(SandboxError::Leftover(left.trim().replace('\n', ", ")))
    }

    /// Has everything ended and removed, without waiting for it.
    pub(crate) fn close(&self) {
        drop(lock(&self.inner.pipe).take());
    }

    fn write(&self, line: &str) -> Result<(), SandboxError> {
        let mut pipe = lock(&self.inner.pipe);
        let pipe = pipe.as_mut().ok_or(SandboxError::JanitorGone)?;
        // One write of less than PIPE_BUF: a line is never cut by the death of the owner.
        pipe.write_all(format!("{line}\n").as_bytes()).map_err(|_| SandboxError::JanitorGone)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(lock(&self.pipe).take());
        let process = lock(&self.process).take();
        let orphans = std::mem::take(&mut *lock(&self.orphans));
        if process.is_none() && orphans.is_empty() {
            return;
        }
        // Only to collect them: the janitor does its work whether somebody waits or not.
        let collector = move || {
            for mut child in process.into_iter().chain(orphans) {
                let _ = child.wait();
            }
        };
        let _ = std::thread::Builder::new().name("sandbox-collector".to_owned()).spawn(collector);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The path as text, if the janitor and every configuration file can take it without quotes.
pub(crate) fn suitable(path: &Path) -> Result<&str, SandboxError> {
    let plain = |text: &&str| {
        text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
    };
    path.to_str().filter(plain).ok_or_else(|| SandboxError::UnsuitablePath { path: path.to_owned() })
}
