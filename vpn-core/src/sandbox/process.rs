//! Processes that cannot outlive their owner.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::error::SandboxError;
use super::janitor::{Janitor, StopSignal};
use super::log::{Log, tail};
use super::programs;

/// Becomes the program only once its owner has told the janitor about it. If the owner dies before
/// that, `read` sees the end of the pipe and nothing is started.
const WAIT_FOR_OWNER: &str = "read -r go && [ \"$go\" = go ] && exec \"$@\" </dev/null";

/// Long enough for a service to become ready on a machine that does many things at once.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

const POLL: Duration = Duration::from_millis(5);

/// A program about to be started under the janitor's eyes, in a process group of its own, so that
/// Ctrl-C in a terminal reaches the owner alone, with an empty standard input.
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    signal: StopSignal,
    name: Option<&'static str>,
}

impl Launch {
    /// A program by its name, looked up in `PATH` and the system's directories, or its absolute path.
    pub fn new(program: &str) -> Result<Self, SandboxError> {
        let program = if program.starts_with('/') { PathBuf::from(program) } else { programs::find(program)? };
        Ok(Self { program, arguments: Vec::new(), environment: Vec::new(), signal: StopSignal::default(), name: None })
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Adds a variable to its environment, which is empty but for `PATH` and `LC_ALL`.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Calls the process this in messages, where the program only starts another one.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Ends the process with this signal instead of `SIGTERM`.
    #[must_use]
    pub fn stopped_by(mut self, signal: StopSignal) -> Self {
        self.signal = signal;
        self
    }

    /// Starts a service whose output is appended to `log`.
    pub fn spawn(self, janitor: &Janitor, log: &Path) -> Result<(Process, Log), SandboxError> {
        let output = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(log)
            .map_err(|source| SandboxError::io("opening", log, source))?;
        let log = Log::from_here(log);
        let mut command = self.command();
        let copy = |file: &File| file.try_clone().map_err(|source| SandboxError::io("opening", log.path(), source));
        command.stdout(copy(&output)?).stderr(output);
        let child = command.spawn().map_err(|source| SandboxError::io("starting", &self.program, source))?;
        Ok((self.release(child, janitor)?, log))
    }

    /// Runs a program to its end and gives what it wrote to its standard output.
    pub async fn run(self, janitor: &Janitor) -> Result<String, SandboxError> {
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |source| SandboxError::io("running", &self.program, source);
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().map_err(failed)?;
        let id = child.id().unwrap_or_default();
        janitor.process(id, self.signal)?;
        if let Some(mut stdin) = child.stdin.take() {
            use tokio::io::AsyncWriteExt;
            stdin.write_all(b"go\n").await.map_err(failed)?;
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        janitor.forget(id);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let written = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        Err(SandboxError::Failed { program: self.name(), status: output.status.to_string(), output: tail(&written) })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", WAIT_FOR_OWNER, "vpn-sandbox-launch"])
            .arg(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(programs::environment())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped());
        command
    }

    fn release(&self, mut child: Child, janitor: &Janitor) -> Result<Process, SandboxError> {
        janitor.process(child.id(), self.signal)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(b"go\n").map_err(|source| SandboxError::io("starting", &self.program, source))?;
        }
        Ok(Process {
            id: child.id(),
            name: self.name(),
            signal: self.signal,
            janitor: janitor.clone(),
            child: Mutex::new(Some(child)),
        })
    }

    fn name(&self) -> String {
        if let Some(name) = self.name {
            return name.to_owned();
        }
        self.program.file_name().unwrap_or(self.program.as_os_str()).to_string_lossy().into_owned()
    }
}

/// A running service. Dropped, it is told to end; the janitor sees to it that it does.
///
/// It does not belong to any one runtime: it may be started in one and stopped in another.
#[derive(Debug)]
pub struct Process {
    id: u32,
    name: String,
    signal: StopSignal,
    janitor: Janitor,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The name of the program, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its exit status, once it has ended. `None` while it runs.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        let mut slot = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Waits for its end; `None` if it has not come in that time.
    pub async fn ended(&self, patience: Duration) -> Option<ExitStatus> {
        let wait = async {
            loop {
                if let Some(status) = self.exit_status() {
                    return status;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(patience, wait).await.ok()
    }

    /// Ends it in good order; after 5 s with `SIGKILL`, together with its process group.
    pub async fn stop(self) {
        self.terminate();
        if self.ended(Duration::from_secs(5)).await.is_none() {
            self.kill_group();
            self.ended(Duration::from_secs(5)).await;
        }
        self.janitor.forget(self.id);
    }

    /// Ends it and its process group with `SIGKILL`, as a crash or the kernel's memory killer would.
    pub async fn kill(self) {
        self.end_now().await;
        self.janitor.forget(self.id);
    }

    /// The same, for whoever replaces it in its place.
    pub async fn end_now(&self) {
        self.kill_group();
        self.ended(Duration::from_secs(5)).await;
    }

    /// Tells it to end in good order, and does not wait for it.
    pub fn terminate(&self) {
        self.send(match self.signal {
            StopSignal::Term => Signal::TERM,
            StopSignal::Int => Signal::INT,
        });
    }

    /// Stops (`SIGSTOP`) or continues (`SIGCONT`) it: a service that hangs instead of failing.
    pub fn freeze(&self, frozen: bool) {
        self.send(if frozen { Signal::STOP } else { Signal::CONT });
    }

    fn send(&self, signal: Signal) {
        // As long as the child was not collected its number cannot belong to anybody else.
        if self.exit_status().is_none()
            && let Some(id) = self.raw_id()
        {
            let _ = kill_process(id, signal);
        }
    }

    fn kill_group(&self) {
        if self.exit_status().is_none()
            && let Some(id) = self.raw_id()
        {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }

    fn raw_id(&self) -> Option<Pid> {
        i32::try_from(self.id).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit_status().is_some() {
            return;
        }
        self.terminate();
        if let Some(child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.janitor.adopt(child);
        }
    }
}
