//! Asking for a job, and waiting for its end.

use std::time::{Duration, Instant};

use crate::{
    api::Api,
    cli::{Key, Wait},
    commands::status,
    failure::Failure,
    follow::{Follow, Resumable},
    operations::{Job, WatchClient, job, watch_client},
    output::{self, Column, Output},
};

/// Between two questions to a server that is away.
const AGAIN: Duration = Duration::from_secs(1);

/// What is shown of a job.
pub(crate) const JOB: &[Column] = &[
    ("id", "/id"),
    ("client", "/client/name"),
    ("client id", "/client/id"),
    ("kind", "/kind"),
    ("state", "/state"),
    ("step", "/step"),
    ("attempts", "/attempts"),
    ("at most", "/maxAttempts"),
    ("next attempt", "/nextAttemptAt"),
    ("error", "/lastError/code"),
    ("message", "/lastError/message"),
    ("asked for by", "/requestedBy"),
    ("repeats", "/retryOf/id"),
    ("queued", "/queuedAt"),
    ("started", "/startedAt"),
    ("finished", "/finishedAt"),
];

impl Key {
    /// The key that makes a repeat of this command safe.
    pub(crate) fn or_new(self) -> Result<String, Failure> {
        let Some(key) = self.idempotency_key else { return new_key() };
        Ok(key)
    }
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, without an Ambient; nothing depends on the value")]
fn new_key() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::unanswered(format!("no randomness: {error}")))?;
    Ok(format!("vpnctl-{}", hex::encode(bytes)))
}

impl Resumable for WatchClient {
    type Subject = String;

    fn behind(id: &String, after: Option<String>) -> watch_client::Variables {
        watch_client::Variables { id: id.clone(), after }
    }

    fn cursor(event: &watch_client::ResponseData) -> &str {
        &event.client_status.cursor
    }
}

/// Shows the job; with `--wait`, once it has ended. The outcome is the command's.
pub(crate) async fn show(api: &Api, output: &Output, id: &str, wait: &Wait) -> Result<(), Failure> {
    if !wait.wait {
        return output.one(&find(api, id).await?, JOB);
    }
    let ended = tokio::time::timeout(wait.timeout, ended(api, id)).await;
    let job = ended.unwrap_or_else(|_| Err(too_long(id, wait.timeout)))?;
    output.one(&job, JOB)?;
    outcome(&job)
}

/// Exit code 0 or 1.
fn outcome(job: &job::JobRow) -> Result<(), Failure> {
    let error = job.last_error.as_ref().map(|error| format!(": {}: {}", error.code, error.message));
    let error = error.unwrap_or_default();
    match job.state {
        job::JobState::SUCCEEDED => Ok(()),
        job::JobState::CANCELED => Err(Failure::Failed(format!("{} was canceled{error}", job.id))),
        _ => Err(Failure::Failed(format!("{} failed{error}", job.id))),
    }
}

fn too_long(id: &str, waited: Duration) -> Failure {
    let seconds = waited.as_secs();
    Failure::unanswered(format!("the job has not ended within {seconds} s; it goes on: vpnctl job show {id} --wait"))
}

/// The job as it is.
async fn find(api: &Api, id: &str) -> Result<job::JobRow, Failure> {
    let found = api.ask::<Job>(job::Variables { id: id.to_owned() }).await?.job;
    found.ok_or_else(|| Failure::Refused(format!("there is no job {id}")))
}

/// The same, though the server is away for a while.
async fn find_in_time(api: &Api, id: &str) -> Result<job::JobRow, Failure> {
    loop {
        match find(api, id).await {
            Err(Failure::Unanswered { .. }) => tokio::time::sleep(AGAIN).await,
            found => return found,
        }
    }
}

/// Waits until the job has ended, tells its progress, and gives it.
///
/// Each event that is about this job says where it is. The others say so too, by being there: whatever came
/// before the first of them is in the job when it is asked for afterwards, and nothing that comes later is
/// missed.
async fn ended(api: &Api, id: &str) -> Result<job::JobRow, Failure> {
    let begun = Instant::now();
    let client = find_in_time(api, id).await?.client.id;
    let mut events = Follow::<WatchClient>::new(api, client, None).patient();
    while let Some(event) = events.next().await? {
        let event = event.client_status;
        let told = event.job.as_ref().filter(|job| job.id == id);
        if let Some(job) = told {
            let line = status::line(&event.status, Some(job), |word, width| format!("{word:<width$}"));
            output::note(&format!("{:>7.2} s  {}", begun.elapsed().as_secs_f64(), line.trim_end()));
        }
        if told.is_none_or(|job| !is_open(&job.state)) {
            let job = find_in_time(api, id).await?;
            if !matches!(job.state, job::JobState::QUEUED | job::JobState::RUNNING) {
                return Ok(job);
            }
        }
    }
    Err(Failure::unanswered(format!("the events ended before the job did: vpnctl job show {id} --wait")))
}

fn is_open(state: &watch_client::JobState) -> bool {
    matches!(state, watch_client::JobState::QUEUED | watch_client::JobState::RUNNING)
}
