//! The platform's own programs, as they were built.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

/// A program that was built beside the tests: `vpn-graphql`, `vpn-worker`, `examples/demo`.
pub fn built(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    // target/debug/deps/it-…, or target/debug/chaos
    let directory = own.parent().context("a program lies in a directory")?;
    let programs = if directory.ends_with("deps") { directory.parent().unwrap_or(directory) } else { directory };
    let program = programs.join(name);
    ensure!(
        program.exists(),
        "{} is not built: run `make test`, or `cargo build --workspace --all-features --bins --examples`",
        program.display()
    );
    Ok(program)
}
