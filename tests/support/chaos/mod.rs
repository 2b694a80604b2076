//! Chaos: real workers and servers, callers that ask at random, faults that strike at random, and
//! afterwards the [checker](crate::checker). What is asked and what fails is a pure function of the seed.

mod caller;
mod faults;
mod plan;

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::{try_join, try_join_all};
use tokio::time::{Instant, sleep};
use vpn_core::{
    domain::Role,
    sandbox::{Janitor, Options, Sandbox},
    store::Store,
};

use crate::{
    Database, Db, Fleet, PATIENCE,
    checker::{Places, Report, Told, check, failed_revocations},
    databases::Postgres,
    eventually,
    fleet::Pace,
};
pub use caller::Caller;
use faults::Stage;
pub use plan::{Act, Plan, Size, Strike, Timed};

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// What decides everything.
    pub seed: u64,
    /// How long callers ask and faults strike.
    pub seconds: u64,
    /// On which database: PostgreSQL is restarted as well.
    pub database: Database,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What the checker has found.
    pub report: Report,
    /// What struck how often.
    pub struck: BTreeMap<String, usize>,
    /// How long it took from the last fault until everything that was accepted had ended.
    pub calm_after: Duration,
}

impl Run {
    fn size(&self) -> Size {
        Size { callers: 8, workers: 3, servers: 2, database: self.database == Database::Postgres }
    }

    /// Runs it to the end. An error means that it could not be run; what it found is in the report.
    pub async fn run(&self) -> Result<Outcome> {
        let (janitor, sandbox) = (Janitor::start()?, Sandbox::start(host()).await?);
        let postgres = match self.database {
            Database::Postgres => Some(Postgres::start(&janitor).await?),
            _ => None,
        };
        let db = match &postgres {
            Some(postgres) => Db::on_private(postgres).await?,
            None => Db::migrated(self.database).await?,
        };
        let host = sandbox.host()?;
        let pace = Pace { lease: Duration::from_secs(3), ssh_timeout: 10, ..Pace::default() };
        let fleet = Fleet::alone(db, host, pace).await?;
        let stage = Stage::set(&fleet, host, postgres.as_ref(), self.size()).await?;
        let told = self.storm(&stage).await?;
        let (told, calm_after) = calm(&stage, told).await?;
        stage.clear().await?;
        let mut report = verdict(&fleet, &sandbox, &told).await?;
        report.note(stage.ended());
        let outcome = Outcome { report, struck: stage.struck(), calm_after };
        sandbox.stop().await?;
        janitor.stop().await?;
        Ok(outcome)
    }

    /// Callers ask and faults strike, at the same time.
    async fn storm(&self, stage: &Stage<'_>) -> Result<Told> {
        let plan = Plan::of(self.seed, self.seconds * 1000, self.size());
        let token = stage.fleet.token("chaos", Role::Admin).await?;
        let until = Instant::now() + Duration::from_secs(self.seconds);
        let callers = plan.callers.into_iter().enumerate().map(|(number, acts)| {
            let caller = Caller::new(&format!("caller{number}"), &stage.urls(), &token, stage.fleet.server.id);
            ask(caller, acts, until)
        });
        let lanes = plan.lanes.into_iter().map(|lane| stage.run(lane));
        let (told, _) = try_join(try_join_all(callers), try_join_all(lanes)).await?;
        let mut all = Told::default();
        for one in told {
            all.merge(one);
        }
        Ok(all)
    }
}

fn host() -> Options {
    // With an OpenVPN server where the machine allows it: then sessions are ended, too.
    Options { host: true, tunnel: true, ..Options::default() }
}

/// Does what is planned, until the time is up: waiting for answers takes time of its own.
async fn ask(mut caller: Caller, acts: Vec<Timed<Act>>, until: Instant) -> Result<Told> {
    for (pause, act) in acts {
        sleep(Duration::from_millis(pause)).await;
        if Instant::now() > until {
            break;
        }
        caller.act(act).await?;
    }
    Ok(caller.told)
}

/// Waits until all has ended. A revocation whose attempts were spent is asked for again, as an operator
/// would, until none is left.
async fn calm(stage: &Stage<'_>, mut told: Told) -> Result<(Told, Duration)> {
    let (begun, store) = (Instant::now(), &stage.fleet.db.store);
    let token = stage.fleet.token("operator", Role::Admin).await?;
    let mut operator = Caller::new("operator", &stage.urls(), &token, stage.fleet.server.id);
    loop {
        settled(store).await?;
        let left = failed_revocations(store).await?;
        if left.is_empty() {
            break;
        }
        for client in left {
            operator.revoke(client.id).await?;
        }
    }
    told.merge(operator.told);
    Ok((told, begun.elapsed()))
}

/// Waits until every job has ended, however long that takes, as long as something happens.
async fn settled(store: &Store) -> Result<()> {
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        sleep(Duration::from_millis(100)).await;
        match standing(store).await {
            Some((0, _)) => return Ok(()),
            Some((_, entries)) if entries > seen => (seen, since) = (entries, Instant::now()),
            _ => ensure!(since.elapsed() < PATIENCE, "jobs are open, and nothing happens any more"),
        }
    }
}

/// How many jobs are open, and how many entries the log has; nothing while PostgreSQL is coming back.
async fn standing(store: &Store) -> Option<(i64, i64)> {
    let mut reader = store.read().await.ok()?;
    let (queued, running) = reader.open_job_counts().await.ok()?;
    Some((queued + running, reader.audit_head().await.ok()?.seq))
}

/// Waits for locks that nobody could give back, and compares.
async fn verdict(fleet: &Fleet, sandbox: &Sandbox, told: &Told) -> Result<Report> {
    let (url, host) = (fleet.sandbox.redis()?.url(), sandbox.host()?);
    let places = Places { store: &fleet.db.store, host: &host.state, shared_host: false, redis: &url };
    let unlocked = async || {
        let locks: Vec<String> = crate::checker::locks(&url).await?;
        Ok(locks.is_empty())
    };
    // The report tells of those that are left.
    let _late = eventually("no lock is left", unlocked).await;
    check(&places, told).await.context("the checker")
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let struck: Vec<String> = self.struck.iter().map(|(what, times)| format!("{times} {what}")).collect();
        writeln!(f, "faults       {}: {}", self.struck.values().sum::<usize>(), struck.join(", "))?;
        write!(f, "{}", self.report)?;
        writeln!(f, "calm         {:.1} s after the last fault", self.calm_after.as_secs_f64())
    }
}
