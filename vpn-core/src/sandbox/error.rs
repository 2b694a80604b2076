//! What can go wrong while a sandbox starts, stops or is told to misbehave.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a part of the sandbox could not be started, stopped or used.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A program that the part runs is not installed.
    #[error("{program} is not installed: install the Debian package {package}")]
    MissingProgram {
        /// The program that was looked for.
        program: String,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// The operating system refused something.
    #[error("{act}: {source}")]
    Io {
        /// What was being done, with the path it was done to.
        act: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("{program} failed ({status}): {output}")]
    Failed {
        /// The program.
        program: String,
        /// Its exit status, in words.
        status: String,
        /// The last lines that it wrote.
        output: String,
    },
    /// A service ended instead of becoming ready.
    #[error("{service} ended while it was starting: {log}")]
    Ended {
        /// The service.
        service: String,
        /// The last lines of its log.
        log: String,
    },
    /// A service neither became ready nor ended.
    #[error("{service} was not ready after {} s: {log}", waited.as_secs())]
    NotReady {
        /// The service.
        service: String,
        /// How long it was waited for.
        waited: Duration,
        /// The last lines of its log.
        log: String,
    },
    /// Every port that was tried was taken by somebody else in the meantime.
    #[error("{service} found no free port on 127.0.0.1")]
    NoPort {
        /// The service.
        service: String,
    },
    /// The data directory belongs to a sandbox that is still running.
    #[error("{} is in use by another sandbox: stop that one, or choose another directory", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The path has characters that sshd, OpenVPN, Redis and the shell would each quote differently.
    #[error(
        "the path {} cannot be used: take one of letters, digits and / . _ - only",
        path.display()
    )]
    UnsuitablePath {
        /// The path.
        path: PathBuf,
    },
    /// The sandbox was started without this part.
    #[error("the sandbox was started without {0}")]
    Absent(&'static str),
    /// The janitor has ended or was stopped, so nothing more may be started.
    #[error("the sandbox's janitor is gone")]
    JanitorGone,
    /// The sandbox stopped, but something of it is left.
    #[error("the sandbox stopped but left behind: {0}")]
    Leftover(String),
}

impl SandboxError {
    /// Wraps an I/O error with the act that failed and the path.
    pub(crate) fn io(act: &str, path: &Path, source: io::Error) -> Self {
        Self::Io { act: format!("{act} {}", path.display()), source }
    }
}
