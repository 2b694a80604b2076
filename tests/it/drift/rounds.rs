//! Workers compare by themselves.

use std::time::Duration;

use anyhow::Result;
use tokio_util::sync::CancellationToken;
use vpn_core::watch::{DriftWatcher, WatchPolicy};
use vpn_tests::{Database, TestPlatform, eventually, hosts};

#[tokio::test]
async fn many_workers_compare_once() -> Result<()> {
    let host = hosts::private().await?;
    let vpn = host.host()?;
    let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let watch = |stop: &CancellationToken| {
        let policy = WatchPolicy { every: Duration::from_hours(1) };
        tokio::spawn(DriftWatcher { inspector: test.inspector(), policy }.run(stop.clone()));
    };
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    for _ in 0..4 {
        watch(&stop);
    }
    let id = test.server.id;
    eventually("they were compared", async || Ok(test.platform.drifts(&test.admin, &[id]).await?.contains_key(&id)))
        .await?;
    assert_eq!(test.faults.calls(), ["hello", "inventory", "published", "sessions"], "one worker compared");
    drop(guard);
    Ok(())
}
