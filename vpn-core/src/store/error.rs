//! What can go wrong with the database.

/// A failure of the database, or of what it holds.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or did not answer in time. Nothing was changed that is not committed.
    #[error("the database cannot be reached")]
    Unavailable(#[source] sqlx::Error),
    /// It was lost while it committed: whether it did is not known.
    #[error("the database was lost while it committed")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// Two transactions wanted the same rows; this one was given up and can be tried again.
    #[error("the database gave this transaction up in favour of another")]
    Contended(#[source] sqlx::Error),
    /// A value that has to be unique exists already.
    #[error("a value that has to be unique exists already")]
    Duplicate(#[source] sqlx::Error),
    /// The database's own rules (triggers, checks) refused a change: a bug, or somebody's hand.
    #[error("the database refused an illegal change")]
    Refused(#[source] sqlx::Error),
    /// A row holds what the platform never writes.
    #[error("a row of `{table}` is damaged: {what}")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The guarded row was not ours any more: somebody with a newer fencing token took over.
    #[error("another worker took over")]
    Fenced,
    /// The database was set up by another version, or not at all.
    #[error("{0}")]
    Schema(String),
    /// Something else, a bug of ours most likely.
    #[error("the database reported an error")]
    Other(#[source] sqlx::Error),
}

impl StoreError {
    /// What went wrong with a commit.
    pub(super) fn of_commit(error: sqlx::Error) -> Self {
        match Self::from(error) {
            Self::Unavailable(error) => Self::OutcomeUnknown(error),
            other => other,
        }
    }

    /// Whether the same call may go through later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::OutcomeUnknown(_) | Self::Contended(_))
    }

    /// A stable name, for logs and programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "DATABASE_UNAVAILABLE",
            Self::OutcomeUnknown(_) => "DATABASE_OUTCOME_UNKNOWN",
            Self::Contended(_) => "DATABASE_CONTENDED",
            Self::Duplicate(_) => "DUPLICATE",
            Self::Refused(_) => "ILLEGAL_CHANGE",
            Self::Damaged { .. } => "DATA_DAMAGED",
            Self::Fenced => "FENCED",
            Self::Schema(_) => "SCHEMA_MISMATCH",
            Self::Other(_) => "DATABASE_ERROR",
        }
    }
}

impl From<crate::boundary::Struck> for StoreError {
    fn from(_: crate::boundary::Struck) -> Self {
        Self::Unavailable(sqlx::Error::WorkerCrashed)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Protocol(_) => {
                Self::Unavailable(error)
            }
            E::Database(database) => {
                let code = database.code().unwrap_or_default().into_owned();
                if database.is_unique_violation() {
                    Self::Duplicate(error)
                } else if is_contention(&code) || is_lock_timeout(database.as_ref()) {
                    Self::Contended(error)
                } else if is_shutdown(&code) {
                    Self::Unavailable(error)
                } else if is_refusal(&code) || breaks_constraint(database.as_ref()) {
                    Self::Refused(error)
                } else {
                    Self::Other(error)
                }
            }
            _ => Self::Other(error),
        }
    }
}

/// SQLite's codes are small numbers, extended in the higher bytes; the others have five characters.
fn sqlite_code(code: &str) -> Option<u32> {
    code.parse().ok().filter(|_| code.len() < 5).map(|extended: u32| extended & 0xff)
}

/// Deadlock, serialization failure, lock time-out (PostgreSQL, MySQL); busy, locked (SQLite).
fn is_contention(code: &str) -> bool {
    matches!(code, "40001" | "40P01" | "55P03") || matches!(sqlite_code(code), Some(5 | 6))
}

/// MySQL's lock time-out has no SQLSTATE of its own.
fn is_lock_timeout(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().is_some_and(|error| error.number() == 1205)
}

/// Idle in a transaction, shutting down, starting, too many connections, connection lost (PostgreSQL,
/// MySQL); disk I/O, cannot open (SQLite).
fn is_shutdown(code: &str) -> bool {
    matches!(code, "25P03" | "57P01" | "57P02" | "57P03" | "53300" | "08S01" | "08004" | "08006")
        || matches!(sqlite_code(code), Some(10 | 14))
}

/// A check, a foreign key, a `NOT NULL`.
fn breaks_constraint(error: &dyn sqlx::error::DatabaseError) -> bool {
    use sqlx::error::ErrorKind as K;
    matches!(error.kind(), K::CheckViolation | K::ForeignKeyViolation | K::NotNullViolation)
}

/// Raised by our triggers: `integrity_constraint_violation` in PL/pgSQL, `SIGNAL`, `RAISE(ABORT)`. Or a
/// right that the database's user does not have.
fn is_refusal(code: &str) -> bool {
    matches!(code, "23000" | "42501" | "45000" | "1811")
}
