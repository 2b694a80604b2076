//! What is counted for metrics and warnings: everything from the rows, so that every server says the same, before and
//! after a restart.

use std::{fmt::Write as _, ops::DerefMut, time::Duration};

use sqlx::{AnyConnection, any::AnyRow};

use super::{Handle, StoreError, row::Reading};
use crate::domain::{GivenUp, JobKind, JobState, ServerId};

/// Jobs of one kind in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobTally {
    /// Their kind.
    pub kind: JobKind,
    /// Their state.
    pub state: JobState,
    /// How many.
    pub count: u64,
    /// How long those that have ended took together, from the request on.
    pub took: Duration,
    /// How many of those took at most as long as each of [`JobTally::STEPS`].
    pub within: [u64; JobTally::STEPS.len()],
}

impl JobTally {
    /// The durations that are told apart.
    pub const STEPS: [Duration; 10] = [
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2_500),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(30),
        Duration::from_mins(1),
        Duration::from_mins(5),
        Duration::from_mins(30),
    ];

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let read = Reading::of(row, "jobs");
        let count = |column: &str| Ok::<_, StoreError>(u64::try_from(read.int(column)?).unwrap_or(0));
        let mut within = [0; Self::STEPS.len()];
        for (step, within) in within.iter_mut().enumerate() {
            *within = count(&format!("within_{step}"))?;
        }
        let took = Duration::from_micros(u64::try_from(read.int_opt("took")?.unwrap_or(0)).unwrap_or(0));
        Ok(Self { kind: read.parsed("kind")?, state: read.parsed("state")?, count: count("n")?, took, within })
    }
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// How many jobs there are of each kind and state, and how long they took. Reads all of them.
    pub async fn job_tallies(&mut self) -> Result<Vec<JobTally>, StoreError> {
        let mut within = String::new();
        for (at, step) in JobTally::STEPS.iter().enumerate() {
            let step = step.as_micros();
            let _infallible =
                write!(within, ", COUNT(CASE WHEN finished_at - queued_at <= {step} THEN 1 END) AS within_{at}");
        }
        let sql = self.dialect.sql(format!(
            "SELECT kind, state, COUNT(*) AS n, CAST(SUM(finished_at - queued_at) AS {}) AS took{within} \
             FROM jobs GROUP BY kind, state ORDER BY kind, state",
            self.dialect.integer()
        ));
        sqlx::query(sql).fetch_all(self.conn()).await?.iter().map(JobTally::read).collect()
    }

    /// Revocations that were given up, by server. Servers without any are left out.
    pub async fn revocations_given_up(&mut self) -> Result<Vec<(ServerId, GivenUp)>, StoreError> {
        // By the failed jobs: whoever is to be revoked has one, or one that is open. Clients are many more.
        let sql = self.dialect.sql(
            "SELECT server_id, COUNT(*) AS n, MIN(revoke_requested_at) AS since FROM clients c \
             WHERE status <> 'revoked' AND id IN (SELECT client_id FROM jobs WHERE state = 'failed' AND kind = 'revoke') \
             AND NOT EXISTS \
             (SELECT 1 FROM jobs WHERE client_id = c.id AND kind = 'revoke' AND state IN ('queued', 'running')) \
             GROUP BY server_id",
        );
        let given_up = |row: &AnyRow| {
            let read = Reading::of(row, "clients");
            let count = u32::try_from(read.int("n")?).unwrap_or(u32::MAX);
            Ok((read.parsed("server_id")?, GivenUp { count, since: read.time("since")? }))
        };
        sqlx::query(sql).fetch_all(self.conn()).await?.iter().map(given_up).collect()
    }
}
