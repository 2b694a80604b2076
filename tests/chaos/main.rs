//! `make chaos SECONDS=… SEED=…`: one run of chaos, and what the checker says of it.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use vpn_tests::{Database, chaos::Run};

const USAGE: &str = "chaos [--seconds N] [--seed N] [--database sqlite|postgres]";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<bool> {
    let run = arguments()?;
    println!("chaos        {} s with seed {} on {:?}", run.seconds, run.seed, run.database);
    let outcome = run.run().await?;
    print!("{outcome}");
    let clean = outcome.report.is_clean();
    println!("{}", if clean { "clean" } else { "NOT CLEAN: the same seed gives the same plan again" });
    Ok(clean)
}

fn arguments() -> Result<Run> {
    let mut run = Run { seed: 1, seconds: 60, database: Database::Postgres };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().context(USAGE)?;
        match name.as_str() {
            "--seconds" => run.seconds = value.parse().context(USAGE)?,
            "--seed" => run.seed = value.parse().context(USAGE)?,
            "--database" => {
                run.database = match value.as_str() {
                    "sqlite" => Database::Sqlite,
                    "postgres" => Database::Postgres,
                    _ => bail!(USAGE),
                };
            }
            _ => bail!(USAGE),
        }
    }
    Ok(run)
}
