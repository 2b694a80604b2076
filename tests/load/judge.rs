//! Afterwards: is anything lost, doubled, or told wrong? Four sources are compared: what callers were
//! told, SQL, the audit log, and the host's own list.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use vpn_core::{
    clock::Ambient,
    domain::{ClientId, JobId, JobState},
    host::{Hosts, SshOptions, SshTransport},
    reconcile::Reconciler,
    service::verify_audit_log,
    worker,
};

use vpn_tests::platform::vault;

use crate::{crew::Crew, offer::Offered, watch::Watchers};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    faults: Vec<String>,
    states: BTreeMap<&'static str, usize>,
    events: usize,
    resumed: BTreeMap<String, usize>,
    entries: i64,
    level: usize,
}

impl Judgement {
    pub(crate) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "accepted jobs: {:?}", self.states)?;
        writeln!(f, "subscriptions that had to be resumed: {:?}", self.resumed)?;
        writeln!(f, "events told: {}; audit entries: {}, the chain is whole", self.events, self.entries)?;
        write!(f, "clients on which host and database agree: {}; faults: {}", self.level, self.faults.len())?;
        self.faults.iter().take(20).try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

pub(crate) async fn judge(crew: &Crew, offered: &Offered, watchers: Watchers) -> Result<Judgement> {
    let mut found = Judgement::default();
    accepted(crew, offered, &mut found).await?;
    log(crew, &mut found).await?;
    host(crew, &mut found).await?;
    watched(crew, watchers, &mut found).await?;
    crew.weigh().await;
    Ok(found)
}

/// What was said to be done, is done; once.
async fn accepted(crew: &Crew, offered: &Offered, found: &mut Judgement) -> Result<()> {
    let mut reader = crew.db.store.read().await?;
    let ids = offered.accepted.iter().map(|id| id.parse::<JobId>()).collect::<Result<Vec<_>, _>>()?;
    let jobs = reader.jobs_by_id(&ids).await?;
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    if jobs.len() != distinct.len() {
        found.faults.push(format!("of {} accepted jobs, {} are stored", distinct.len(), jobs.len()));
    }
    for job in jobs {
        *found.states.entry(job.state.as_str()).or_default() += 1;
        let overtaken = job.failure.as_ref().is_some_and(|failure| failure.code == "REVOCATION_REQUESTED");
        match job.state {
            JobState::Succeeded | JobState::Canceled => {}
            JobState::Failed if overtaken => {}
            state => found.faults.push(format!("{} is {}: {:?}", job.id, state.as_str(), job.failure)),
        }
    }
    let ids = offered.created.iter().map(|id| id.parse::<ClientId>()).collect::<Result<Vec<_>, _>>()?;
    let stored = reader.clients_by_id(&ids).await?.len();
    if stored != ids.len() {
        found.faults.push(format!("of {} created clients, {stored} are stored", ids.len()));
    }
    Ok(())
}

/// No transition has two entries.
async fn log(crew: &Crew, found: &mut Judgement) -> Result<()> {
    found.entries = verify_audit_log(&crew.db.store).await?.entries;
    let (mut reader, mut last) = (crew.db.store.read().await?, 0);
    let mut ended: HashMap<(String, String), usize> = HashMap::new();
    loop {
        let entries = reader.audit_after(last, None, 1000).await?;
        let Some(newest) = entries.last() else { break };
        last = newest.seq;
        for entry in entries.into_iter().filter(|entry| entry.columns.action.ends_with(".succeeded")) {
            if let Some(client) = entry.columns.client_id {
                *ended.entry((client, entry.columns.action)).or_default() += 1;
            }
        }
    }
    let doubled = ended.into_iter().filter(|(_, times)| *times > 1);
    found.faults.extend(doubled.map(|((client, action), times)| format!("{client} has {times} entries {action}")));
    Ok(())
}

/// The host's list and the database agree on every client.
async fn host(crew: &Crew, found: &mut Judgement) -> Result<()> {
    let key = secrecy::SecretString::from(crew.sandbox.host()?.private_key.clone());
    let deps = worker::Deps {
        store: crew.db.store.clone(),
        redis_url: secrecy::SecretString::from(crew.sandbox.redis()?.url()),
        hosts: Hosts::over(Arc::new(SshTransport::new(SshOptions::new(key))?)),
        vault: vault()?,
        ambient: Ambient::system(),
    };
    let runner = worker::by_hand(deps, worker::Options::default()).await?;
    let reconciler = Reconciler::new(runner, crew.platform.clone(), crew.admin.clone());
    let plan = reconciler.plan(crew.server.clone(), false).await?;
    found.level = plan.level;
    found.faults.extend(plan.findings.iter().map(|finding| format!("host and database differ: {finding}")));
    Ok(())
}

/// Each subscriber was told of the last change.
async fn watched(crew: &Crew, watchers: Watchers, found: &mut Judgement) -> Result<()> {
    let mut wrong = Vec::new();
    // The last events may be on their way.
    for _ in 0..100 {
        let last = watchers.last();
        let ids = last.keys().map(|id| id.parse::<ClientId>()).collect::<Result<Vec<_>, _>>()?;
        let clients = crew.db.store.read().await?.clients_by_id(&ids).await?;
        let differs = |client: &vpn_core::domain::Client| {
            let (is, told) = (client.status().as_str(), last.get(&client.id.to_string()).map(String::as_str));
            (told != Some(is)).then(|| format!("{} is {is}, its subscriber was told {told:?}", client.id))
        };
        wrong = clients.iter().filter_map(differs).collect();
        if wrong.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    found.faults.append(&mut wrong);
    (found.events, found.resumed) = watchers.dismiss().await;
    Ok(())
}
