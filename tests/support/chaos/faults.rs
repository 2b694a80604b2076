//! Making things fail, and whole again.

use std::{
    collections::BTreeMap,
    sync::{Mutex as Counters, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{sync::Mutex, time::sleep};
use vpn_core::sandbox::{Process, VpnHost};

use super::{Size, Strike, Timed};
use crate::{Fleet, databases::Postgres, eventually, fleet::lasting_port};

/// Longer than any program's drain limit.
const DRAIN: Duration = Duration::from_secs(20);

/// The programs of a run, each in a place of its own in which it is replaced when it ends.
pub(super) struct Stage<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) host: &'a VpnHost,
    pub(super) postgres: Option<&'a Postgres>,
    workers: Vec<Mutex<Process>>,
    servers: Vec<(u16, Mutex<Process>)>,
    struck: Counters<BTreeMap<String, usize>>,
    /// Programs that ended by themselves, or in disorder.
    ended: Counters<Vec<String>>,
}

impl<'a> Stage<'a> {
    /// Starts the programs.
    pub(super) async fn set(
        fleet: &'a Fleet,
        host: &'a VpnHost,
        postgres: Option<&'a Postgres>,
        size: Size,
    ) -> Result<Self> {
        let (mut workers, mut servers) = (Vec::new(), Vec::new());
        for _ in 0..size.workers {
            workers.push(Mutex::new(fleet.worker().await?));
        }
        for _ in 0..size.servers {
            let port = lasting_port()?;
            servers.push((port, Mutex::new(fleet.server_at(port, "").await?.process)));
        }
        let (struck, ended) = (Counters::default(), Counters::default());
        Ok(Self { fleet, host, postgres, workers, servers, struck, ended })
    }

    pub(super) fn urls(&self) -> Vec<String> {
        self.servers.iter().map(|(port, _)| format!("http://127.0.0.1:{port}")).collect()
    }

    /// What struck how often.
    pub(super) fn struck(&self) -> BTreeMap<String, usize> {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn ended(&self) -> Vec<String> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One lane, to its end.
    pub(super) async fn run(&self, lane: Vec<Timed<Strike>>) -> Result<()> {
        for (pause, strike) in lane {
            sleep(Duration::from_millis(pause)).await;
            let name = format!("{strike:?}");
            let name = name.split('(').next().unwrap_or_default().to_owned();
            *self.struck.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
            self.strike(strike).await.with_context(|| format!("{strike:?}"))?;
        }
        Ok(())
    }

    async fn strike(&self, strike: Strike) -> Result<()> {
        let (fleet, ms) = (self.fleet, Duration::from_millis);
        match strike {
            Strike::KillWorker(at) => self.replace_worker(at, End::Kill).await?,
            Strike::RestartWorker(at) => self.replace_worker(at, End::Terminate).await?,
            Strike::FreezeWorker(at, time) => freeze(&*self.worker(at)?.lock().await, ms(time)).await,
            Strike::KillServer(at) => self.replace_server(at, End::Kill).await?,
            Strike::RestartServer(at) => self.replace_server(at, End::Terminate).await?,
            Strike::FreezeServer(at, time) => freeze(&*self.server(at)?.1.lock().await, ms(time)).await,
            Strike::Flush => fleet.flush_redis().await?,
            Strike::KillRedis(time) => {
                fleet.sandbox.redis()?.kill().await;
                sleep(ms(time)).await;
                fleet.sandbox.redis()?.restart().await?;
            }
            Strike::FreezeRedis(time) => {
                fleet.sandbox.redis()?.freeze(true).await;
                sleep(ms(time)).await;
                fleet.sandbox.redis()?.freeze(false).await;
            }
            Strike::CutRedis => fleet.redis_way.cut(),
            Strike::PartRedis(time) => part(&fleet.redis_way, ms(time)).await,
            Strike::DelayRedis(time) => delay(&fleet.redis_way, ms(time)).await,
            Strike::LoseRedis => fleet.redis_way.lose_next_reply(),
            Strike::CutHost => fleet.host_way.cut(),
            Strike::PartHost(time) => part(&fleet.host_way, ms(time)).await,
            Strike::DelayHost(time) => delay(&fleet.host_way, ms(time)).await,
            Strike::LoseHost => fleet.host_way.lose_next_reply(),
            Strike::StopSshd(time) => {
                self.host.stop_sshd().await;
                sleep(ms(time)).await;
                self.host.start_sshd().await?;
            }
            Strike::RestartDatabase => self.postgres.context("a PostgreSQL")?.restart().await?,
        }
        Ok(())
    }

    fn worker(&self, at: usize) -> Result<&Mutex<Process>> {
        self.workers.get(at).context("a worker")
    }

    fn server(&self, at: usize) -> Result<&(u16, Mutex<Process>)> {
        self.servers.get(at).context("a server")
    }

    async fn replace_worker(&self, at: usize, end: End) -> Result<()> {
        let mut place = self.worker(at)?.lock().await;
        self.end(&place, end).await?;
        *place = self.fleet.worker_somehow()?;
        Ok(())
    }

    async fn replace_server(&self, at: usize, end: End) -> Result<()> {
        let (port, place) = self.server(at)?;
        let mut place = place.lock().await;
        self.end(&place, end).await?;
        *place = self.fleet.server_somehow(*port)?;
        Ok(())
    }

    async fn end(&self, process: &Process, end: End) -> Result<()> {
        if let Some(status) = process.exit_status() {
            self.complain(format!("{} ended by itself: {status}", process.name()));
            return Ok(());
        }
        match end {
            End::Kill => process.end_now().await,
            End::Terminate => {
                begun(process).await?;
                process.terminate();
                let status = process.ended(DRAIN).await;
                if !status.is_some_and(|status| status.success()) {
                    self.complain(format!("{} did not end in order: {status:?}", process.name()));
                    process.end_now().await;
                }
            }
        }
        Ok(())
    }

    fn complain(&self, what: String) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// Ends all programs in good order; each has to.
    pub(super) async fn clear(&self) -> Result<()> {
        for place in &self.workers {
            self.end(&*place.lock().await, End::Terminate).await?;
        }
        for (_, place) in &self.servers {
            self.end(&*place.lock().await, End::Terminate).await?;
        }
        // What outlived its connection waits for the host's lock for 20 s at most.
        eventually("the last script has ended", async || Ok(crate::hosts::running_scripts(self.host)? == 0)).await
    }
}

/// Waits until the program looks after SIGTERM itself, or has ended: before that any process ends by it, at
/// once and with nothing begun.
async fn begun(process: &Process) -> Result<()> {
    let status = format!("/proc/{}/status", process.id());
    let term = 1_u64 << 14;
    eventually("the program has begun", async || {
        if process.exit_status().is_some() {
            return Ok(true);
        }
        // Gone between the two looks.
        let Ok(text) = std::fs::read_to_string(&status) else { return Ok(true) };
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).context("a mask of signals")?;
        Ok(u64::from_str_radix(caught.trim(), 16)? & term != 0)
    })
    .await
}

#[derive(Clone, Copy)]
enum End {
    Kill,
    Terminate,
}

async fn freeze(process: &Process, time: Duration) {
    process.freeze(true);
    sleep(time).await;
    process.freeze(false);
}

async fn part(way: &crate::proxy::Proxy, time: Duration) {
    way.partition(true);
    sleep(time).await;
    way.partition(false);
}

async fn delay(way: &crate::proxy::Proxy, time: Duration) {
    way.hold_replies(true);
    sleep(time).await;
    way.hold_replies(false);
}
