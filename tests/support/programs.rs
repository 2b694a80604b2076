//! The platform's own programs, as they were built.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

/// A program that was built beside the tests: `vpn-graphql`, `vpn-worker`, `examples/demo`.
pub fn built(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    // target/debug/deps/it-…
    let programs = own.ancestors().nth(2).context("the tests lie two directories deep")?;
    let program = programs.join(name);
    ensure!(
        program.exists(),
        "{} is not built: run `make test`, or `cargo build --workspace --all-features --bins --examples`",
        program.display()
    );
    Ok(program)
}
