//! What ends a command early, and the exit code that says so.

use std::{io, path::Path};

/// A reason why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The job ended without success, or what was asked about is not well.
    #[error("{0}")]
    Failed(String),
    /// The command, or its configuration, is not right. Nothing was asked.
    #[error("{0}")]
    Usage(String),
    /// The server refused, and changed nothing.
    #[error("{0}")]
    Refused(String),
    /// A second person has to approve it first.
    #[error("{0}")]
    Waits(String),
    /// There was an answer that cannot be read, or is not whole: asking again brings the same.
    #[error("{0}")]
    Odd(String),
    /// There was no answer, or one that only says that there is none just now.
    #[error("{message}")]
    Unanswered {
        /// What happened.
        message: String,
        /// Whether the request may have been carried out all the same.
        perhaps_done: bool,
    },
    /// No token, or one that is wrong or has ended.
    #[error("{0}")]
    Unauthenticated(String),
    /// A file of this machine.
    #[error("{what}: {source}")]
    Local {
        /// What was done with which file.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Nobody reads the output any more, as in `vpnctl logs | head`: no reason to complain.
    #[error("nobody reads the output")]
    NobodyReads,
}

/// Told by `--help`; a test holds it against [`Failure::exit_code`].
pub(crate) const EXIT_CODES: &str = "Exit codes:
  0  done; with --wait: the job succeeded
  1  the job failed or was canceled; for health: something is not well
  2  the command or its configuration is not right; nothing was asked
  3  refused, and nothing was changed
  4  no answer that helps: the server cannot be reached, or cannot work just now, or says what vpnctl
     does not know, or --timeout has passed
  5  no token, or one that is wrong or has ended
  6  a file of this machine cannot be read or written
  7  it was asked for, and waits until a second person approves it";

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NobodyReads => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
            Self::Unanswered { .. } | Self::Odd(_) => 4,
            Self::Unauthenticated(_) => 5,
            Self::Local { .. } => 6,
            Self::Waits(_) => 7,
        }
    }

    /// No answer, and certainly nothing done. It may come if asked again.
    pub(crate) fn unanswered(message: impl Into<String>) -> Self {
        Self::Unanswered { message: message.into(), perhaps_done: false }
    }

    /// A file that could not be used.
    pub(crate) fn file(act: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{act} {}", path.display());
        move |source| Self::Local { what, source }
    }

    /// Adds what to do, where the request may have been carried out.
    pub(crate) fn if_perhaps_done(self, advice: &str) -> Self {
        match self {
            Self::Unanswered { message, perhaps_done: true } => {
                Self::Unanswered { message: format!("{message}\n{advice}"), perhaps_done: true }
            }
            Self::Odd(message) => Self::Odd(format!("{message}\n{advice}")),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_tells_every_exit_code() {
        let failures = [
            Failure::NobodyReads,
            Failure::Failed(String::new()),
            Failure::Usage(String::new()),
            Failure::Refused(String::new()),
            Failure::unanswered(""),
            Failure::Unauthenticated(String::new()),
            Failure::Local { what: String::new(), source: io::ErrorKind::NotFound.into() },
            Failure::Waits(String::new()),
        ];
        let told = EXIT_CODES.lines().skip(1).map(|line| &line[2..3]);
        let told: Vec<&str> = told.filter(|code| *code != " ").collect();
        let known: Vec<String> = failures.iter().map(|failure| failure.exit_code().to_string()).collect();
        assert_eq!(told, known);
    }

    #[test]
    fn only_what_may_have_been_done_is_advised_to_be_repeated() {
        let certain = Failure::unanswered("refused").if_perhaps_done("repeat");
        assert_eq!(certain.to_string(), "refused");
        let uncertain = Failure::Unanswered { message: "cut".into(), perhaps_done: true };
        assert_eq!(uncertain.if_perhaps_done("repeat").to_string(), "cut\nrepeat");
    }
}
