//! Jobs: who may run which, and how they end. Times are the database's.

use std::{ops::DerefMut, time::Duration};

use sqlx::{AnyConnection, any::AnyRow};

use super::{
    Handle, Page, PageRequest, StoreError, TimeRange, Tx,
    page::{Conditions, may_be_stored},
    row,
    row::Reading,
};
use crate::{
    clock::Timestamp,
    domain::{ClientId, Fence, Job, JobFailure, JobId, JobInput, JobKind, JobState, Proof, RequestId, ServerId, Step},
};

/// A job that is about to be stored.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Whom it is for.
    pub client_id: ClientId,
    /// What it is asked for.
    pub input: JobInput,
    /// How often it may be claimed.
    pub max_attempts: i32,
    /// Who asks.
    pub requested_by: String,
    /// In which request.
    pub request_id: Option<RequestId>,
    /// The failed job that it repeats.
    pub retry_of: Option<JobId>,
}

/// Which jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this client.
    pub client_id: Option<ClientId>,
    /// Of this kind.
    pub kind: Option<JobKind>,
    /// In this state.
    pub state: Option<JobState>,
    /// Asked for by this principal.
    pub requested_by: Option<String>,
    /// Asked for when.
    pub queued_at: TimeRange,
}

/// A job that should be rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub id: JobId,
    /// How often it was rung.
    pub generation: i64,
}

impl Due {
    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let read = Reading::of(row, "jobs");
        Ok(Self { id: read.parsed("id")?, generation: read.int("generation")? })
    }
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The job with this id.
    pub async fn job(&mut self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.job_where_id(id, "").await
    }

    async fn job_where_id(&mut self, id: JobId, lock: &str) -> Result<Option<Job>, StoreError> {
        let sql = self.dialect.sql(format!("SELECT {} FROM jobs WHERE id = $1{lock}", row::JOB));
        let found = sqlx::query(sql).bind(id.to_string()).fetch_optional(self.conn()).await?;
        found.as_ref().map(row::job).transpose()
    }

    /// A page of jobs, newest first.
    pub async fn jobs(&mut self, filter: &JobFilter, page: &PageRequest<JobId>) -> Result<Page<Job>, StoreError> {
        if filter.requested_by.as_deref().is_some_and(|name| !may_be_stored(name)) {
            return Ok(Page::empty());
        }
        let mut conditions = Conditions::default();
        conditions.add("client_id =", filter.client_id.map(|id| id.to_string()));
        conditions.add("kind =", filter.kind.map(|kind| kind.as_str().to_owned()));
        conditions.add("state =", filter.state.map(|state| state.as_str().to_owned()));
        conditions.add("requested_by =", filter.requested_by.clone());
        conditions.within("queued_at", filter.queued_at);
        conditions.between("id", page);
        let sql = self.dialect.sql(conditions.select(row::JOB, "jobs", &page.order("id")));
        let rows = conditions.bind(sqlx::query(sql)).bind(page.limit()).fetch_all(self.conn()).await?;
        Ok(Page::cut(rows.iter().map(row::job).collect::<Result<_, _>>()?, page))
    }

    /// The jobs with these ids, in no order; unknown ids are left out.
    pub async fn jobs_by_id(&mut self, ids: &[JobId]) -> Result<Vec<Job>, StoreError> {
        let keys = ids.iter().map(ToString::to_string).collect();
        let rows = self.rows_by_key(row::JOB, "jobs", "id", "", keys).await?;
        rows.iter().map(row::job).collect()
    }

    /// The unfinished jobs of these clients: at most one of each kind for each of them. Oldest first.
    pub async fn open_jobs(&mut self, client_ids: &[ClientId]) -> Result<Vec<Job>, StoreError> {
        let keys = client_ids.iter().map(ToString::to_string).collect();
        let open = " AND state IN ('queued', 'running') ORDER BY id";
        let rows = self.rows_by_key(row::JOB, "jobs", "client_id", open, keys).await?;
        rows.iter().map(row::job).collect()
    }

    /// The newest job of a kind of a client.
    pub async fn latest_job(&mut self, client_id: ClientId, kind: JobKind) -> Result<Option<Job>, StoreError> {
        let filter = JobFilter { client_id: Some(client_id), kind: Some(kind), ..JobFilter::default() };
        Ok(self.jobs(&filter, &PageRequest::first(1)).await?.items.into_iter().next())
    }

    /// Jobs that wait and are due, and whose last ring is too long ago to count on: never rung since
    /// they became due, or rung more than `unanswered` ago. Oldest first.
    pub async fn jobs_to_ring(&mut self, unanswered: Duration, limit: i64) -> Result<Vec<Due>, StoreError> {
        let now = self.now().await?;
        let sql = self.dialect.sql(
            "SELECT id, generation FROM jobs WHERE state = 'queued' AND run_after_at <= $1 \
             AND (rang_at < run_after_at OR rang_at < $2) ORDER BY run_after_at LIMIT $3",
        );
        let rows = sqlx::query(sql)
            .bind(now.micros())
            .bind(now.minus(unanswered).micros())
            .bind(limit)
            .fetch_all(self.conn())
            .await?;
        rows.iter().map(Due::read).collect()
    }

    /// One of the jobs on this server that wait and are due: the one whose last ring is oldest.
    pub async fn job_waiting_on(&mut self, server: ServerId) -> Result<Option<Due>, StoreError> {
        let now = self.now().await?;
        let sql = self.dialect.sql(
            "SELECT jobs.id, generation FROM jobs JOIN clients ON clients.id = client_id \
             WHERE server_id = $1 AND state = 'queued' AND run_after_at <= $2 ORDER BY rang_at LIMIT 1",
        );
        let row = sqlx::query(sql).bind(server.to_string()).bind(now.micros()).fetch_optional(self.conn()).await?;
        row.as_ref().map(Due::read).transpose()
    }

    /// Running jobs whose lease has run out: their worker is gone, or has lost them.
    pub async fn lapsed_jobs(&mut self, limit: i64) -> Result<Vec<JobId>, StoreError> {
        let now = self.now().await?;
        let sql = self.dialect.sql(
            "SELECT id FROM jobs WHERE state = 'running' AND lease_until_at < $1 ORDER BY lease_until_at LIMIT $2",
        );
        let rows = sqlx::query(sql).bind(now.micros()).bind(limit).fetch_all(self.conn()).await?;
        rows.iter().map(|row| Reading::of(row, "jobs").parsed("id")).collect()
    }

    /// How long the job that is due and has waited longest has waited; zero when none is due.
    pub async fn oldest_due(&mut self) -> Result<Duration, StoreError> {
        let now = self.now().await?;
        let sql = self.dialect.sql("SELECT MIN(run_after_at) AS at FROM jobs WHERE state = 'queued'");
        let row = sqlx::query(sql).fetch_one(self.conn()).await?;
        Ok(Reading::of(&row, "jobs").time_opt("at")?.map_or(Duration::ZERO, |due| now.since(due)))
    }

    /// How many jobs are queued and running, for health: `(queued, running)`.
    pub async fn open_job_counts(&mut self) -> Result<(i64, i64), StoreError> {
        let sql = self
            .dialect
            .sql("SELECT state, COUNT(*) AS n FROM jobs WHERE state IN ('queued', 'running') GROUP BY state");
        let rows = sqlx::query(sql).fetch_all(self.conn()).await?;
        let mut counts = (0, 0);
        for row in &rows {
            let read = Reading::of(row, "jobs");
            match read.parsed("state")? {
                JobState::Queued => counts.0 = read.int("n")?,
                _ => counts.1 = read.int("n")?,
            }
        }
        Ok(counts)
    }
}

impl Tx {
    /// The job with this id; nobody else changes it until this transaction ends.
    pub async fn lock_job(&mut self, id: JobId) -> Result<Option<Job>, StoreError> {
        let lock = self.dialect.for_update();
        self.job_where_id(id, lock).await
    }

    /// Stores a job, `queued`, due now. [`StoreError::Duplicate`] when one of its kind is unfinished.
    pub async fn insert_job(&mut self, new: NewJob) -> Result<Job, StoreError> {
        let input = serde_json::to_string(&new.input)
            .map_err(|error| StoreError::Damaged { table: "jobs", what: error.to_string() })?;
        let sql = self.dialect.sql(
            "INSERT INTO jobs (id, client_id, kind, state, attempts, max_attempts, fence, generation, input, \
             requested_by, request_id, retry_of, queued_at, run_after_at, rang_at) \
             VALUES ($1, $2, $3, 'queued', 0, $4, 0, 1, $5, $6, $7, $8, $9, $10, $11)",
        );
        let at = self.at;
        sqlx::query(sql)
            .bind(new.id.to_string())
            .bind(new.client_id.to_string())
            .bind(new.input.kind().as_str())
            .bind(new.max_attempts)
            .bind(input)
            .bind(&new.requested_by)
            .bind(new.request_id.map(|id| id.to_string()))
            .bind(new.retry_of.map(|id| id.to_string()))
            .bind(at.micros())
            .bind(at.micros())
            .bind(at.micros())
            .execute(self.conn())
            .await?;
        let id = new.id;
        self.job(id).await?.ok_or_else(|| StoreError::Damaged { table: "jobs", what: format!("{id} is not there") })
    }

    /// `queued → running`: adopts client and job under a strictly newer token. [`StoreError::Fenced`]
    /// when it is not due, not queued any more, overtaken, or somebody has a newer token.
    pub async fn claim_job(
        &mut self,
        job: &Job,
        step: Step,
        fence: &Fence,
        lease: Duration,
    ) -> Result<Job, StoreError> {
        self.adopt_client(job.client_id, fence, job.kind() == JobKind::Provision).await?;
        let at = self.at;
        let sql = self.dialect.sql(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, fence = $1, attempt = $2, step = $3, \
             lease_until_at = $4, started_at = COALESCE(started_at, $5) \
             WHERE id = $6 AND state = 'queued' AND run_after_at <= $7 AND attempts < max_attempts AND fence < $8",
        );
        let query = sqlx::query(sql)
            .bind(fence.token().get())
            .bind(fence.attempt().as_str())
            .bind(step.as_str())
            .bind(at.plus(lease).micros())
            .bind(at.micros())
            .bind(job.id.to_string())
            .bind(at.micros())
            .bind(fence.token().get());
        self.touches_one(query).await?;
        self.job(job.id).await?.ok_or(StoreError::Fenced)
    }

    /// A running job has come to its next step. A provision only while nobody asked for the
    /// client's end.
    pub async fn advance_job(&mut self, job: &Job, step: Step, fence: &Fence) -> Result<Job, StoreError> {
        let guard = if job.kind() == JobKind::Provision {
            " AND client_id IN (SELECT id FROM clients WHERE revoke_requested_at IS NULL)"
        } else {
            ""
        };
        let sql = self
            .dialect
            .sql(format!("UPDATE jobs SET step = $1 WHERE id = $2 AND fence = $3 AND state = 'running'{guard}"));
        let query = sqlx::query(sql).bind(step.as_str()).bind(job.id.to_string()).bind(fence.token().get());
        self.touches_one(query).await?;
        Ok(Job { step: Some(step), ..job.clone() })
    }

    /// What the attempt has proven so far, in place of what an earlier one had.
    pub async fn note_proofs(&mut self, job: &Job, proofs: &[Proof], fence: &Fence) -> Result<(), StoreError> {
        let sql = self.dialect.sql("UPDATE jobs SET proofs = $1 WHERE id = $2 AND fence = $3 AND state = 'running'");
        let text = serde_json::to_string(proofs)
            .map_err(|error| StoreError::Damaged { table: "jobs", what: format!("column `proofs`: {error}") })?;
        self.touches_one(sqlx::query(sql).bind(text).bind(job.id.to_string()).bind(fence.token().get())).await
    }

    /// `running → succeeded`.
    pub async fn succeed_job(&mut self, job: &Job, fence: &Fence) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "UPDATE jobs SET state = 'succeeded', finished_at = $1, lease_until_at = NULL, error_code = NULL, \
             error_message = NULL WHERE id = $2 AND fence = $3 AND state = 'running'",
        );
        let at = self.at.micros();
        self.touches_one(sqlx::query(sql).bind(at).bind(job.id.to_string()).bind(fence.token().get())).await
    }

    /// `running → failed`.
    pub async fn fail_job(&mut self, job: &Job, failure: &JobFailure, fence: &Fence) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "UPDATE jobs SET state = 'failed', finished_at = $1, lease_until_at = NULL, error_code = $2, \
             error_message = $3 WHERE id = $4 AND fence = $5 AND state = 'running'",
        );
        let query = sqlx::query(sql)
            .bind(self.at.micros())
            .bind(&failure.code)
            .bind(&failure.message)
            .bind(job.id.to_string())
            .bind(fence.token().get());
        self.touches_one(query).await
    }

    /// `running → queued`, to be tried again at `run_after`.
    pub async fn delay_job(
        &mut self,
        job: &Job,
        failure: &JobFailure,
        run_after: Timestamp,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "UPDATE jobs SET state = 'queued', run_after_at = $1, lease_until_at = NULL, error_code = $2, \
             error_message = $3 WHERE id = $4 AND fence = $5 AND state = 'running'",
        );
        let query = sqlx::query(sql)
            .bind(run_after.micros())
            .bind(&failure.code)
            .bind(&failure.message)
            .bind(job.id.to_string())
            .bind(fence.token().get());
        self.touches_one(query).await
    }

    /// The worker lives: its claim lasts `lease` longer.
    pub async fn renew_job(&mut self, id: JobId, fence: &Fence, lease: Duration) -> Result<(), StoreError> {
        let until = self.at.plus(lease).micros();
        let sql =
            self.dialect.sql("UPDATE jobs SET lease_until_at = $1 WHERE id = $2 AND fence = $3 AND state = 'running'");
        self.touches_one(sqlx::query(sql).bind(until).bind(id.to_string()).bind(fence.token().get())).await
    }

    /// For the sweeper: takes a running job whose lease has run out from its lost worker, back to
    /// `queued` or, when its attempts are spent, to `failed`. The state is checked again in the
    /// update: a job that ended in between is left as it is.
    pub async fn release_lapsed_job(&mut self, job: &Job, failure: &JobFailure) -> Result<JobState, StoreError> {
        let at = self.at.micros();
        let spent = job.attempts >= job.max_attempts;
        let state = if spent { JobState::Failed } else { JobState::Queued };
        let sql = self.dialect.sql(
            "UPDATE jobs SET state = $1, lease_until_at = NULL, finished_at = $2, error_code = $3, error_message = $4, \
             run_after_at = $5 WHERE id = $6 AND state = 'running' AND fence = $7 AND lease_until_at < $8",
        );
        let query = sqlx::query(sql)
            .bind(state.as_str())
            .bind(spent.then_some(at))
            .bind(&failure.code)
            .bind(&failure.message)
            .bind(at)
            .bind(job.id.to_string())
            .bind(job.fence.get())
            .bind(at);
        self.touches_one(query).await?;
        Ok(state)
    }

    /// `queued → canceled`: a revocation overtook a provision.
    pub async fn cancel_job(&mut self, id: JobId) -> Result<(), StoreError> {
        let sql =
            self.dialect.sql("UPDATE jobs SET state = 'canceled', finished_at = $1 WHERE id = $2 AND state = 'queued'");
        let at = self.at.micros();
        self.touches_one(sqlx::query(sql).bind(at).bind(id.to_string())).await
    }

    /// The queue could not be told of a job: the sweeper's next round rings it.
    pub async fn note_unrung(&mut self, id: JobId) -> Result<(), StoreError> {
        let sql = self.dialect.sql("UPDATE jobs SET rang_at = 0 WHERE id = $1 AND state = 'queued'");
        sqlx::query(sql).bind(id.to_string()).execute(self.conn()).await?;
        Ok(())
    }

    /// Whoever moves the generation rings: `false` when somebody else was faster.
    pub async fn take_ring(&mut self, due: Due) -> Result<bool, StoreError> {
        let sql = self.dialect.sql(
            "UPDATE jobs SET generation = generation + 1, rang_at = $1 \
             WHERE id = $2 AND generation = $3 AND state = 'queued'",
        );
        let at = self.at.micros();
        let query = sqlx::query(sql).bind(at).bind(due.id.to_string()).bind(due.generation);
        Ok(query.execute(self.conn()).await?.rows_affected() == 1)
    }
}
