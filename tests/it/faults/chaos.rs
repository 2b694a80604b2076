//! A short run of chaos with a fixed seed. `make chaos` makes longer ones, with any.

use anyhow::Result;
use vpn_tests::{Database, chaos::Run};

use super::on_both;

on_both!(a_short_storm_leaves_everything_in_order);

async fn a_short_storm_leaves_everything_in_order(database: Database) -> Result<()> {
    let outcome = Run { seed: 20, seconds: 12, database }.run().await?;
    println!("{outcome}");
    assert!(outcome.report.accepted > 10 && outcome.struck.len() > 4, "there was little storm:\n{outcome}");
    outcome.report.clean()?;
    Ok(())
}
