//! `status CLIENT [--watch]`.

use clap::Args;

use crate::{
    api::Api,
    failure::Failure,
    follow::Follow,
    input,
    operations::{WatchClient, watch_client},
    output::Output,
};

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Its name or id.
    client: String,
    /// Follow it until it is revoked, or Ctrl-C. A connection that is lost is made anew, and nothing is left
    /// out.
    #[arg(long)]
    watch: bool,
}

impl Status {
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let id = input::client_id(api, &self.client).await?;
        let mut events = Follow::<WatchClient>::new(api, id, None);
        while let Some(event) = events.next().await? {
            let event = event.client_status;
            output.event(&event, |output| {
                let at = serde_json::Value::from(event.at.clone());
                let line = line(&event.status, event.job.as_ref(), |word, width| output.paint(word, width));
                format!("{}  {line}", crate::output::text(Some(&at)))
            })?;
            if !self.watch || event.status == watch_client::ClientStatus::REVOKED {
                break;
            }
        }
        Ok(())
    }
}

/// `ACTIVE   provision SUCCEEDED acknowledge`
pub(crate) fn line(
    status: &watch_client::ClientStatus,
    job: Option<&watch_client::WatchClientClientStatusJob>,
    paint: impl Fn(&str, usize) -> String,
) -> String {
    let status = paint(&format!("{status:?}"), 8);
    let Some(job) = job else { return status };
    let kind = format!("{:?}", job.kind).to_lowercase();
    let state = paint(&format!("{:?}", job.state), 9);
    let error = job.last_error.as_ref().map(|error| format!("  {}: {}", error.code, error.message));
    let tried = if job.attempts > 1 { format!("  attempt {}", job.attempts) } else { String::new() };
    let step = job.step.as_deref().unwrap_or_default();
    format!("{status} {kind:<9} {state} {step}{tried}{}", error.unwrap_or_default())
}
