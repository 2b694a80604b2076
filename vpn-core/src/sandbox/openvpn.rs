//! Real OpenVPN processes, each in a network namespace.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use super::error::SandboxError;
use super::janitor::Janitor;
use super::log::Log;
use super::process::{Launch, PATIENCE, Process};

/// What OpenVPN writes when it is ready, server and client alike.
const READY: &str = "Initialization Sequence Completed";

/// Starts `openvpn` in a namespace. `ip` replaces itself, so the process is OpenVPN's.
fn launch(janitor: &Janitor, namespace: &str, arguments: &[&str], log: &Path) -> Result<(Process, Log), SandboxError> {
    let openvpn = super::programs::find("openvpn")?;
    Launch::new("ip")?
        .args(["netns", "exec", namespace])
        .arg(openvpn)
        .args(arguments)
        .named("openvpn")
        .spawn(janitor, log)
}

/// Starts the server of a VPN host and waits until it serves.
pub(crate) async fn start_server(
    janitor: &Janitor,
    namespace: &str,
    configuration: &Path,
    log: &Path,
) -> Result<Process, SandboxError> {
    let configuration = configuration.to_string_lossy();
    let arguments = ["--config", configuration.as_ref()];
    let (process, log) = launch(janitor, namespace, &arguments, log)?;
    log.wait_for(READY, &process, PATIENCE).await?;
    Ok(process)
}

/// A real `openvpn` client in the client namespace. Dropped, it is told to end.
#[derive(Debug)]
pub struct OpenVpnClient {
    process: Process,
    log: Log,
}

impl OpenVpnClient {
    pub(crate) fn start(janitor: &Janitor, namespace: &str, profile: &Path, log: &Path) -> Result<Self, SandboxError> {
        let profile = profile.to_string_lossy();
        // Without `--verb 3` a profile with a lower one would not say that it is connected.
        let arguments = ["--config", profile.as_ref(), "--verb", "3"];
        let (process, log) = launch(janitor, namespace, &arguments, log)?;
        Ok(Self { process, log })
    }

    /// Waits until the tunnel stands. A refused client is told nothing by the server: it goes on
    /// trying, so a refusal shows as [`SandboxError::NotReady`] here and in the server's log.
    pub async fn connected(&self, patience: Duration) -> Result<(), SandboxError> {
        self.log.wait_for(READY, &self.process, patience).await
    }

    /// Waits until the client has written this, for example `Inactivity timeout`.
    pub async fn said(&self, line: &str, patience: Duration) -> Result<(), SandboxError> {
        self.log.wait_for(line, &self.process, patience).await
    }

    /// Waits for the client's own end; `None` if it still runs after that time.
    pub async fn ended(&self, patience: Duration) -> Option<ExitStatus> {
        self.process.ended(patience).await
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Everything it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Ends it in good order.
    pub async fn stop(self) {
        self.process.stop().await;
    }
}
