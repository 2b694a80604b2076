//! The promises under fire, on the programs that are shipped.

mod crash_points;

use anyhow::Result;
use vpn_core::sandbox::VpnHost;
use vpn_tests::{Database, Db, Fleet, fleet::Pace, hosts};

/// A fleet over a fresh database, with the host that these tests share.
async fn fleet(database: Database) -> Result<(Fleet, &'static VpnHost)> {
    let host = hosts::with_server().await?;
    Ok((Fleet::on(Db::migrated(database).await?, host, Pace::default()).await?, host))
}
