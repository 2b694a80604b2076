//! `job list | show | retry`.

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    api::{self, Api},
    cli::{Key, Limit, Wait},
    failure::Failure,
    input,
    operations::{Jobs, RetryJob, jobs, retry_job},
    output::{Column, Output},
    page::{self, page},
    wait,
};

const ROW: &[Column] = &[
    ("ID", "/id"),
    ("CLIENT", "/client/name"),
    ("KIND", "/kind"),
    ("STATE", "/state"),
    ("STEP", "/step"),
    ("ATTEMPTS", "/attempts"),
    ("ERROR", "/lastError/code"),
    ("ASKED FOR BY", "/requestedBy"),
    ("QUEUED", "/queuedAt"),
    ("FINISHED", "/finishedAt"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// List jobs, newest first.
    List(List),
    /// Show a job; with --wait, once it has ended.
    Show {
        /// Its id, `job_…`.
        job: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Queue a failed job again, as a new one.
    Retry {
        /// Its id, `job_…`.
        job: String,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        key: Key,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    Provision,
    Revoke,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum State {
    Queued,
    Running,
    Succeeded,
    Failed,
    Canceled,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those for this client, by its name or id.
    #[arg(long)]
    client: Option<String>,
    /// Only those of this kind.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Only those in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    #[command(flatten)]
    limit: Limit,
}

impl Job {
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(api, output).await,
            Self::Show { job, wait } => wait::show(api, output, &job, &wait).await,
            Self::Retry { job, wait, key } => {
                let key = key.or_new()?;
                let input = retry_job::RetryJobInput { job_id: job, idempotency_key: Some(key.clone()) };
                let payload = api.change::<RetryJob>(&key, retry_job::Variables { input }).await?.retry_job;
                let job = api::taken(payload.job, &payload.approval, &payload.user_errors)?;
                wait::show(api, output, &job.id, &wait).await
            }
        }
    }
}

impl List {
    fn filter(&self, client_id: Option<String>) -> jobs::JobFilter {
        let kind = self.kind.map(|kind| match kind {
            Kind::Provision => jobs::JobKind::PROVISION,
            Kind::Revoke => jobs::JobKind::REVOKE,
        });
        let state = self.state.map(|state| match state {
            State::Queued => jobs::JobState::QUEUED,
            State::Running => jobs::JobState::RUNNING,
            State::Succeeded => jobs::JobState::SUCCEEDED,
            State::Failed => jobs::JobState::FAILED,
            State::Canceled => jobs::JobState::CANCELED,
        });
        jobs::JobFilter { client_id, kind, state, requested_by: None, queued_at: None }
    }

    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let client_id = match &self.client {
            Some(client) => Some(input::client_id(api, client).await?),
            None => None,
        };
        let filter = self.filter(client_id);
        let ask = async |first, after| {
            let variables = jobs::Variables { filter: Some(filter.clone()), first: Some(first), after };
            Ok(page!(api.ask::<Jobs>(variables).await?.jobs))
        };
        output.list(&page::all(&self.limit, ask).await?, ROW)
    }
}
