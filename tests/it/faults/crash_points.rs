//! At every boundary between two steps, of every job: the worker dies there, the step fails there, the
//! call to the host is made twice there. Each time all must be as if nothing had happened.
//!
//! Nothing is listed here: a first run of each scenario notes which boundaries it passes, and how
//! often, and every pass becomes a case of each mode. A boundary that no scenario passes is an error.

use std::{collections::BTreeSet, os::unix::process::ExitStatusExt as _, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::{try_join, try_join_all};
use vpn_core::{
    boundary::Boundary,
    domain::{Client, ClientStatus, Job},
    sandbox::Process,
};
use vpn_tests::{Database, Fleet, PATIENCE, fleet::Pace};

/// What makes a worker pass boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scenario {
    /// A client is let in.
    Provision,
    /// A client is shut out.
    Revoke,
    /// The first attempt fails.
    Retried,
    /// The first worker dies; the boundaries are those of the second.
    Lost,
    /// A revocation comes while the client is on the way in.
    Overtaken,
}

const SCENARIOS: [Scenario; 5] =
    [Scenario::Provision, Scenario::Revoke, Scenario::Retried, Scenario::Lost, Scenario::Overtaken];

/// Leases as long as shipped ones, where which boundaries are passed must not depend on how busy the
/// machine is: in the runs that note them, and where a worker stands still while something else happens.
const CALM: Duration = Duration::from_secs(12);

/// As many cases are run at once, each in a lane with a database and a Redis of its own.
const LANES: usize = 8;

/// What happens at which pass of which scenario.
#[derive(Clone, Debug)]
struct Case {
    scenario: Scenario,
    /// `issued#1`
    pass: String,
    mode: &'static str,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_a_failure_or_a_repeat_at_any_boundary_changes_nothing_in_the_end() -> Result<()> {
    let cases = cases().await?;
    println!("{} cases", cases.len());
    let (overtaken, others): (Vec<Case>, Vec<Case>) =
        cases.into_iter().partition(|case| case.scenario == Scenario::Overtaken);
    let lane = |number: usize| {
        let cases: Vec<Case> = others.iter().skip(number).step_by(LANES).cloned().collect();
        let database = if number % 3 == 2 { Database::Postgres } else { Database::Sqlite };
        run_lane(database, Pace::default(), cases)
    };
    let overtaken = run_lane(Database::Postgres, calm(), overtaken);
    try_join(try_join_all((0..LANES).map(lane)), overtaken).await?;
    Ok(())
}

fn calm() -> Pace {
    Pace { lease: CALM, ..Pace::default() }
}

async fn run_lane(database: Database, pace: Pace, cases: Vec<Case>) -> Result<()> {
    let (fleet, host) = super::paced(database, pace).await?;
    let mut active = active(&fleet, cases.iter().filter(|case| case.scenario == Scenario::Revoke).count()).await?;
    for case in cases {
        let begun = std::time::Instant::now();
        let client = if case.scenario == Scenario::Revoke { active.pop() } else { None };
        let client = if let Some(client) = client { client } else { fleet.client().await? };
        run(&fleet, &case, client).await.with_context(|| format!("{case:?} on {database:?}"))?;
        println!("{:>6} ms  {:?} {}={}", begun.elapsed().as_millis(), case.scenario, case.pass, case.mode);
    }
    fleet.check(&host.state).await?;
    Ok(())
}

/// So many clients that were let in.
async fn active(fleet: &Fleet, count: usize) -> Result<Vec<Client>> {
    let helper = fleet.worker().await?;
    let mut asked = Vec::new();
    for _ in 0..count {
        let client = fleet.client().await?;
        asked.push((client.id, fleet.provision(client.id).await?.id));
    }
    let mut active = Vec::new();
    for (client, job) in asked {
        fleet.succeeded(job).await?;
        active.push(fleet.reload(client).await?);
    }
    helper.stop().await;
    Ok(active)
}

/// Every pass of the two jobs, and of the other scenarios those that are theirs alone.
async fn cases() -> Result<Vec<Case>> {
    let (fleet, _) = super::paced(Database::Sqlite, calm()).await?;
    let (mut cases, mut seen) = (Vec::new(), BTreeSet::new());
    for scenario in SCENARIOS {
        let names = passes(&fleet, scenario).await?;
        let alone: BTreeSet<String> = names.iter().filter(|name| !seen.contains(*name)).cloned().collect();
        let all = matches!(scenario, Scenario::Provision | Scenario::Revoke);
        for (at, name) in names.iter().enumerate().filter(|(_, name)| all || alone.contains(*name)) {
            let nth = names.iter().take(at + 1).filter(|other| *other == name).count();
            let case = |mode| Case { scenario, pass: format!("{name}#{nth}"), mode };
            cases.extend(["die", "fail"].map(case));
            if at.checked_sub(1).and_then(|before| names.get(before)).is_some_and(|before| before == "request-sent") {
                cases.push(case("repeat"));
            }
        }
        seen.extend(names);
    }
    let never = Boundary::ALL.iter().filter(|boundary| !seen.contains(boundary.as_str()));
    // The server's own: its test is beside this one.
    let never: Vec<_> = never.filter(|boundary| **boundary != Boundary::Asked).collect();
    ensure!(never.is_empty(), "no scenario passes these boundaries: {never:?}");
    Ok(cases)
}

/// The boundaries that the scenario passes, in order.
async fn passes(fleet: &Fleet, scenario: Scenario) -> Result<Vec<String>> {
    let case = Case { scenario, pass: String::new(), mode: "" };
    let file = fleet.file("passes");
    let _first_time = std::fs::remove_file(&file);
    let client = active(fleet, usize::from(scenario == Scenario::Revoke)).await?.pop();
    let client = if let Some(client) = client { client } else { fleet.client().await? };
    let (job, workers) = begin(fleet, &case, &client, &file.to_string_lossy()).await?;
    end(fleet, scenario, &client, &job).await?;
    // The last boundary lies behind the end of the job; whoever drains has passed it.
    for worker in workers {
        worker.stop().await;
    }
    let text = std::fs::read_to_string(&file).context("a worker notes what it passes")?;
    Ok(text.lines().map(str::to_owned).collect())
}

async fn run(fleet: &Fleet, case: &Case, client: Client) -> Result<()> {
    let file = fleet.file("passes");
    let _first_time = std::fs::remove_file(&file);
    let (job, mut workers) = begin(fleet, case, &client, &file.to_string_lossy()).await?;
    if case.mode == "die" {
        let doomed = workers.last().context("a worker")?;
        let status = doomed.ended(PATIENCE).await.context("the worker did not die")?;
        ensure!(status.signal() == Some(9), "it ended otherwise: {status}");
        workers.push(fleet.worker().await?);
    }
    end(fleet, case.scenario, &client, &job).await?;
    for worker in workers {
        worker.stop().await;
    }
    let (name, nth) = case.pass.split_once('#').context("a pass")?;
    let passed = std::fs::read_to_string(&file)?.lines().filter(|line| *line == name).count();
    ensure!(passed >= nth.parse()?, "it was passed {passed} times only");
    Ok(())
}

/// Brings the scenario to where the planned thing happens.
async fn begin(fleet: &Fleet, case: &Case, client: &Client, passes: &str) -> Result<(Job, Vec<Process>)> {
    let strike = if case.mode.is_empty() { String::new() } else { format!("{}={}", case.pass, case.mode) };
    let plan = match case.scenario {
        Scenario::Retried => format!("claimed=fail,{strike}"),
        Scenario::Overtaken => format!("claimed=stop,{strike}"),
        _ => strike,
    };
    let mut job = match case.scenario {
        Scenario::Revoke => fleet.revoke(client.id).await?,
        _ => fleet.provision(client.id).await?,
    };
    if case.scenario == Scenario::Lost {
        let lost = fleet.worker_that("claimed=die").await?;
        lost.ended(PATIENCE).await.context("the first worker did not die")?;
    }
    let worker = fleet.worker_in(&[("VPN_TESTS_CRASH_AT", &plan), ("VPN_TESTS_PASSES", passes)]).await?;
    if case.scenario == Scenario::Overtaken {
        fleet.stopped(&worker).await?;
        job = fleet.revoke(client.id).await?;
        worker.freeze(false);
    }
    Ok((job, vec![worker]))
}

/// Waits for the end that the scenario has to come to.
async fn end(fleet: &Fleet, scenario: Scenario, client: &Client, job: &Job) -> Result<()> {
    fleet.succeeded(job.id).await?;
    let wanted = match scenario {
        Scenario::Revoke | Scenario::Overtaken => ClientStatus::Revoked,
        _ => ClientStatus::Active,
    };
    let client = fleet.reload(client.id).await?;
    ensure!(client.status() == wanted, "the client is {}", client.status().as_str());
    Ok(())
}
