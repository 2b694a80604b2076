//! The platform under load: real programs, many clients, many people, many who watch, and workers that
//! come and go meanwhile. Says what it measured, and fails when anything was lost. See README.md.

mod crew;
mod figures;
mod judge;
mod offer;
mod watch;

use std::{str::FromStr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use vpn_tests::Database;

use crew::Crew;

/// How much. From the environment: `LOAD_CLIENTS` and so on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Clients that are there before.
    clients: usize,
    /// Mutations a second, offered whether or not the ones before were answered.
    rate: u64,
    /// For so long.
    seconds: u64,
    /// WebSockets, each on a client of its own.
    subscribers: usize,
    workers: usize,
    /// A worker is ended this often, by turns with SIGTERM and SIGKILL.
    restart_every: Duration,
    database: Database,
}

impl Size {
    fn from_environment() -> Result<Self> {
        let database = match std::env::var("LOAD_DATABASE").as_deref() {
            Ok("sqlite") => Database::Sqlite,
            Ok("mariadb") => Database::MariaDb,
            Ok("postgres") | Err(_) => Database::Postgres,
            Ok(other) => anyhow::bail!("LOAD_DATABASE is `{other}`: it is postgres, mariadb or sqlite"),
        };
        let size = Self {
            clients: number("LOAD_CLIENTS", 10_000)?,
            rate: number("LOAD_RATE", 200)?,
            seconds: number("LOAD_SECONDS", 60)?,
            subscribers: number("LOAD_SUBSCRIBERS", 1_000)?,
            workers: number("LOAD_WORKERS", 2)?,
            restart_every: Duration::from_secs(number("LOAD_RESTART_EVERY", 10)?),
            database,
        };
        ensure!(size.rate > 0 && size.seconds > 0 && size.workers > 0, "a load of nothing measures nothing");
        ensure!(size.subscribers <= size.clients, "each subscriber watches a client of its own");
        Ok(size)
    }
}

fn number<T: FromStr>(name: &str, default: T) -> Result<T> {
    let Ok(text) = std::env::var(name) else { return Ok(default) };
    text.parse().ok().with_context(|| format!("{name} is `{text}`, which is no number"))
}

#[tokio::main]
async fn main() -> Result<()> {
    let size = Size::from_environment()?;
    println!("{size:?}");
    let crew = Crew::assemble(size).await?;
    let clients = crew.clients(size.clients).await?;
    println!("{} clients are there", clients.len());
    let watchers = watch::Watchers::begin(&crew.watchers(size.subscribers).await?, &clients, size.subscribers).await?;
    println!("{} subscribers watch", size.subscribers);

    let restarts = crew.restart_workers();
    let offered = offer::offer(&crew.api(), &crew.server_id(), &clients, size).await?;
    let restarted = restarts.end().await?;
    println!("{offered}");
    println!("workers ended and started: {restarted}");

    let drained = crew.drained().await?;
    println!("accepted jobs ended {:.1} s after the last request", drained.as_secs_f64());
    let judgement = judge::judge(&crew, &offered, watchers).await?;
    println!("{judgement}");
    println!("peak memory: server {}, workers {}", crew.server_peak()?, crew.workers_peak());
    crew.dismiss().await?;
    ensure!(judgement.is_clean() && offered.errors.is_empty(), "something was lost or failed: see above");
    Ok(())
}
