//! `logs [--follow]`.

use clap::Args;
use serde_json::Value;

use crate::{
    api::Api,
    cli::Limit,
    failure::Failure,
    follow::{Follow, Resumable},
    input,
    operations::{Log, WatchLog, log, watch_log},
    output::{self, Output},
    page::{self, page},
};

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on with new entries as they come, until Ctrl-C. A connection that is lost is made anew, and nothing
    /// is left out.
    #[arg(short, long, conflicts_with = "until")]
    follow: bool,
    /// Only about this client, by its name or id.
    #[arg(long)]
    client: Option<String>,
    /// Only done by this principal.
    #[arg(long)]
    actor: Option<String>,
    /// Only of this action, such as `client.created`.
    #[arg(long)]
    action: Option<String>,
    /// Only at this time or later, as `2026-11-24T02:48:08Z`.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    limit: Limit,
}

impl Resumable for WatchLog {
    type Subject = ();

    fn behind((): &(), after: Option<String>) -> watch_log::Variables {
        watch_log::Variables { after }
    }

    fn cursor(event: &watch_log::ResponseData) -> &str {
        &event.audit_entries.cursor
    }
}

impl Logs {
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let client_id = match &self.client {
            Some(client) => Some(input::client_id(api, client).await?),
            None => None,
        };
        // Where the log ends now: what is listed ends there, and what is followed begins there.
        let newest = self.page(api, None, 1, None).await?.edges.into_iter().next();
        let end = newest.map(|edge| edge.cursor);
        let mut rows = self.listed(api, client_id.as_deref()).await?;
        rows.reverse();
        for row in &rows {
            show(output, row)?;
        }
        if !self.follow {
            return Ok(());
        }
        let last = rows.last().map_or(0, number);
        let mut events = Follow::<WatchLog>::new(api, (), end);
        while let Some(event) = events.next().await? {
            let row = to_value(&event.audit_entries.entry)?;
            // What came between the two questions was listed.
            if number(&row) > last && self.wants(client_id.as_deref(), &row) {
                show(output, &row)?;
            }
        }
        Ok(())
    }

    /// The newest entries, newest first.
    async fn listed(&self, api: &Api, client_id: Option<&str>) -> Result<Vec<Value>, Failure> {
        let filter = log::AuditFilter {
            client_id: client_id.map(ToOwned::to_owned),
            job_id: None,
            actor: self.actor.clone(),
            action: self.action.clone(),
            since: self.since.clone(),
            until: self.until.clone(),
        };
        let ask = async |first, after| Ok(page!(self.page(api, Some(filter.clone()), first, after).await?));
        let rows =
            if self.follow { page::rows(&self.limit, ask).await?.0 } else { page::all(&self.limit, ask).await? };
        rows.iter().map(to_value).collect()
    }

    async fn page(
        &self,
        api: &Api,
        filter: Option<log::AuditFilter>,
        first: i64,
        after: Option<String>,
    ) -> Result<log::LogAuditLog, Failure> {
        Ok(api.ask::<Log>(log::Variables { filter, first: Some(first), after }).await?.audit_log)
    }

    /// The same filter, for what comes live.
    fn wants(&self, client_id: Option<&str>, row: &Value) -> bool {
        let is = |at: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| row.pointer(at).and_then(Value::as_str) == Some(wanted))
        };
        is("/client/id", client_id) && is("/actor", self.actor.as_deref()) && is("/action", self.action.as_deref())
    }
}

fn number(row: &Value) -> i64 {
    row.pointer("/seq").and_then(Value::as_str).and_then(|seq| seq.parse().ok()).unwrap_or(0)
}

fn to_value(entry: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(entry).map_err(|error| Failure::Refused(format!("an entry cannot be read: {error}")))
}

fn show(output: &Output, row: &Value) -> Result<(), Failure> {
    output.event(row, |output| {
        let text = |at: &str| output::text(row.pointer(at));
        let (seq, at, action) = (text("/seq"), text("/at"), text("/action"));
        // Enough of an erased name to tell it from another.
        let actor: String = match text("/actor") {
            erased if erased.starts_with("erased:") => erased.chars().take(16).collect(),
            name => name,
        };
        let outcome = output.paint(&text("/outcome"), 7);
        let (client, detail) = (text("/client/name"), text("/detail"));
        format!("{seq:>6}  {at}  {actor:<16} {action:<24} {outcome}  {client:<16} {detail}")
    })
}
