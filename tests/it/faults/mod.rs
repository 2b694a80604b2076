//! The promises under fire, on the programs that are shipped: real workers and servers, real Redis, SQLite
//! and PostgreSQL, a real host. Where a moment matters, the worker stops itself there
//! ([`vpn_core::boundary`]); nothing sleeps to hit it.

mod arriving_late;
mod chaos;
mod crash_points;
mod hung;
mod killed;
mod redis_forgets;
mod rolling;
mod twice;

use std::fs;

use anyhow::{Context as _, Result};
use vpn_core::{
    domain::Client,
    sandbox::{Process, VpnHost},
};
use vpn_tests::{Database, Db, Fleet, fleet::Pace, hosts};

/// One test, on the two databases that the shipped platform is run on most.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() -> anyhow::Result<()> {
                super::$test(vpn_tests::Database::Sqlite).await
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() -> anyhow::Result<()> {
                super::$test(vpn_tests::Database::Postgres).await
            })+
        }
    };
}
use on_both;

/// A fleet over a fresh database, with the host that these tests share.
async fn fleet(database: Database) -> Result<(Fleet, &'static VpnHost)> {
    paced(database, Pace::default()).await
}

async fn paced(database: Database, pace: Pace) -> Result<(Fleet, &'static VpnHost)> {
    let host = hosts::with_server().await?;
    Ok((Fleet::on(Db::migrated(database).await?, host, pace).await?, host))
}

/// Nobody else gets the host's lock as long as this lives: every request waits, as on a slow disk.
fn hold(host: &VpnHost) -> Result<fs::File> {
    let file = fs::File::open(host.state.join("lock"))?;
    file.lock().context("the host's lock")?;
    Ok(file)
}

/// What the host keeps of a client's serial, file by file: fence, intent, profile, tombstone.
fn kept(host: &VpnHost, client: &Client) -> [Option<String>; 4] {
    let read = |part: &str| fs::read_to_string(host.state.join(part).join(client.serial.as_str())).ok();
    ["fence", "intent", "issued", "revoked"].map(read)
}

/// How many of the host's scripts run for this client just now.
fn at_work(host: &VpnHost) -> Result<usize> {
    hosts::running_scripts(host)
}

/// Ends them in good order.
async fn stop(processes: impl IntoIterator<Item = Process>) {
    for process in processes {
        process.stop().await;
    }
}
