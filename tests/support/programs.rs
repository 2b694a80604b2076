//! The platform's own programs, as they were built.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::soon;

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

/// What became of a program that ends by itself. It goes with the test.
pub async fn output(command: &mut Command) -> Result<Output> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    soon(&format!("{program} ends"), output).await?.context(program)
}
