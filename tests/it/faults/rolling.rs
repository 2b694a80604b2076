//! Programs that are replaced one after the other, under load: nothing is lost, nothing runs twice, and
//! each ends within its drain limit.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::{join, try_join_all};
use vpn_core::{
    domain::{JobState, Role},
    sandbox::Process,
};
use vpn_examples::Api;
use vpn_tests::{
    Database, Db, Fleet,
    chaos::{Act, Caller},
    checker::{Places, Told, check},
    eventually,
    fleet::{Pace, lasting_port},
    hosts, soon,
};

use super::{hold, on_both};

/// The one that is shipped.
const DRAIN: u64 = 30;

on_both!(a_rolling_restart_under_load_loses_nothing_and_runs_nothing_twice);

async fn a_rolling_restart_under_load_loses_nothing_and_runs_nothing_twice(database: Database) -> Result<()> {
    // Leases as long as shipped ones: nothing but a restart is to disturb a job here.
    let pace = Pace { lease: Duration::from_secs(12), drain: DRAIN, ..Pace::default() };
    let (fleet, host) = super::paced(database, pace).await?;
    let ports = [lasting_port()?, lasting_port()?];
    let urls = ports.map(|port| format!("http://127.0.0.1:{port}"));
    let token = fleet.token("roller", Role::Admin).await?;
    let done = AtomicBool::new(false);
    let callers = (0..3).map(|number| {
        let caller = Caller::new(&format!("roller{number}-{}", ports[0]), &urls, &token, fleet.server.id);
        load(&fleet, caller, number, &done)
    });
    let rolled = async {
        let rolled = roll(&fleet, ports).await;
        done.store(true, Ordering::SeqCst);
        rolled
    };
    let (asked, programs) = join(try_join_all(callers), rolled).await;
    let (asked, programs) = (asked?, programs?);
    let mut told = Told::default();
    for one in asked {
        told.merge(one);
    }
    eventually("all jobs have ended", async || Ok(fleet.db.store.read().await?.open_job_counts().await? == (0, 0)))
        .await?;
    for program in programs {
        replaced(&program, DRAIN).await?;
    }
    assert_eq!((told.unanswered, told.contradictions.as_slice()), (0, [].as_slice()));
    ensure!(told.jobs.len() >= 10, "there was little load: {} jobs", told.jobs.len());
    for id in told.jobs.keys() {
        let job = fleet.job(*id).await?;
        let once = matches!((job.state, job.attempts), (JobState::Succeeded, 1) | (JobState::Canceled, 0));
        let overtaken = job.failure.as_ref().is_some_and(|failure| failure.code == "REVOCATION_REQUESTED");
        ensure!(once || (overtaken && job.attempts == 1), "it did not run once: {job:?}");
    }
    let url = fleet.sandbox.redis()?.url();
    let places = Places { store: &fleet.db.store, host: &host.state, shared_host: true, redis: &url };
    check(&places, &told).await?.clean()?;
    Ok(())
}

/// Creates, lets in and shuts out, until it is done. Not more than the host can do: it makes one
/// certificate at a time, and a job that waits for it longer than the drain limit is given up.
async fn load(fleet: &Fleet, mut caller: Caller, number: usize, done: &AtomicBool) -> Result<Told> {
    let mut round = number;
    while !done.load(Ordering::SeqCst) {
        caller.act(Act::Create).await?;
        caller.act(Act::Provision(round)).await?;
        if round.is_multiple_of(3) {
            caller.act(Act::Revoke(round)).await?;
        }
        round += 1;
        eventually("the host keeps up", async || {
            let (queued, running) = fleet.db.store.read().await?.open_job_counts().await?;
            Ok(queued + running < 5)
        })
        .await?;
    }
    Ok(caller.told)
}

/// Starts two servers and two workers, and replaces each of them twice.
async fn roll(fleet: &Fleet, ports: [u16; 2]) -> Result<Vec<Process>> {
    let mut programs = vec![fleet.worker().await?, fleet.worker().await?];
    for port in ports {
        programs.push(fleet.server_at(port, "").await?.process);
    }
    for _ in 0..2 {
        for (at, place) in programs.iter_mut().enumerate() {
            progress(fleet).await?;
            let port = at.checked_sub(2).and_then(|server| ports.get(server));
            if port.is_none() {
                // A worker's heir is there before it goes.
                let heir = fleet.worker().await?;
                replaced(&std::mem::replace(place, heir), DRAIN).await?;
            } else {
                replaced(place, DRAIN).await?;
                *place = fleet.server_at(*port.context("a port")?, "").await?.process;
            }
        }
    }
    Ok(programs)
}

/// Waits until the load has brought about some more changes.
async fn progress(fleet: &Fleet) -> Result<()> {
    let head = async || anyhow::Ok(fleet.db.store.read().await?.audit_head().await?.seq);
    let wanted = head().await? + 12;
    eventually("the load goes on", async || Ok(head().await? >= wanted)).await
}

/// A job that hangs on the host and a Redis that does not answer keep nobody from ending in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_around_which_everything_hangs_ends_within_its_drain_limit() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let pace = Pace { drain: 3, ssh_timeout: 60, ..Pace::default() };
    let fleet = Fleet::on(Db::migrated(Database::Sqlite).await?, host, pace).await?;
    let worker = fleet.worker().await?;
    let held = hold(host)?;
    let client = fleet.client().await?;
    let job = fleet.provision(client.id).await?;
    fleet.told(client.id, "provision.started").await?;
    fleet.sandbox.redis()?.freeze(true).await;
    replaced(&worker, 3).await?;
    fleet.sandbox.redis()?.freeze(false).await;
    drop(held);
    let heir = fleet.worker().await?;
    fleet.succeeded(job.id).await?;
    replaced(&heir, 3).await?;
    fleet.check(&host.state).await?;
    Ok(())
}

/// Somebody follows live, and stays: the server closes that and ends at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_subscribers_ends_in_order() -> Result<()> {
    let (fleet, _) = super::fleet(Database::Sqlite).await?;
    let server = fleet.server().await?;
    let api = Api::new(&server.url, &fleet.token("follower", Role::Admin).await?);
    let client = fleet.client().await?;
    // It begins with the client as it is, so that nothing has to happen at the right moment.
    let follow = "subscription($id: ID!) { clientStatus(id: $id) { cursor } }";
    let mut events = api.subscribe(follow, serde_json::json!({ "id": client.id.to_string() })).await?;
    soon("an event", events.next()).await??.context("an event")?;
    replaced(&server.process, DRAIN).await
}

/// SIGTERM ends it within the drain limit, and it says that all is well.
async fn replaced(program: &Process, drain: u64) -> Result<()> {
    let begun = Instant::now();
    program.terminate();
    // What comes after the limit is bounded, too, but for how busy the machine is.
    let limit = Duration::from_secs(drain + 10);
    let status = program.ended(limit).await.with_context(|| format!("{} outlives its drain limit", program.name()))?;
    ensure!(status.success(), "{} ended with {status} after {:?}", program.name(), begun.elapsed());
    Ok(())
}
