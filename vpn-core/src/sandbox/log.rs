//! The log file of a service: how it says that it is ready, and why it is not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::SandboxError;
use super::process::Process;

const POLL: Duration = Duration::from_millis(5);
const LAST_LINES: usize = 6;

/// What a service has written since it was started last.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
    from: u64,
}

impl Log {
    /// The log from its present end on.
    pub(crate) fn from_here(path: &Path) -> Self {
        let from = fs::metadata(path).map_or(0, |file| file.len());
        Self { path: path.to_owned(), from }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything written since the start. Empty if the file cannot be read.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = fs::read(&self.path).unwrap_or_default();
        let from = usize::try_from(self.from).unwrap_or(usize::MAX);
        String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
    }

    /// Waits until `line` is part of the log; fails at once when the service ends before.
    pub async fn wait_for(&self, line: &str, service: &Process, patience: Duration) -> Result<(), SandboxError> {
        let wait = async {
            loop {
                // In this order: what it wrote just before its end counts too.
                let ended = service.exit_status().is_some();
                let text = self.text();
                if text.contains(line) {
                    return Ok(());
                }
                if ended {
                    return Err(SandboxError::Ended { service: service.name().to_owned(), log: tail(&text) });
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match tokio::time::timeout(patience, wait).await {
            Ok(result) => result,
            Err(_) => Err(SandboxError::NotReady {
                service: service.name().to_owned(),
                waited: patience,
                log: tail(&self.text()),
            }),
        }
    }
}

/// The last lines of a text in one line, for an error message.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
    if last.is_empty() { "it wrote nothing".to_owned() } else { last.join(" | ") }
}
