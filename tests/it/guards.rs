//! The table of guards in `tests/GUARDS.md` names tests that exist.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

#[test]
fn every_guard_names_a_test_that_exists() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("GUARDS.md"))?;
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| guard") && !line.starts_with("| ---"));
    let mut checked = 0;
    for row in rows {
        let column = row.trim_end_matches(" |").rsplit(" | ").next().context("a column")?;
        let tests: Vec<&str> = column.split('`').skip(1).step_by(2).collect();
        ensure!(!tests.is_empty(), "no test is named: {row}");
        for test in tests {
            ensure!(exists(root, test)?, "this test does not exist: {test}");
            checked += 1;
        }
    }
    ensure!(checked > 50, "the table was not understood: {checked} tests found in it");
    Ok(())
}

/// `store/jobs.rs a_name`, below `it/`; or `fence.bats its sentence`.
fn exists(root: &Path, test: &str) -> Result<bool> {
    let (file, name) = test.split_once(' ').with_context(|| format!("a file and a name: {test}"))?;
    let (path, wanted) = if Path::new(file).extension().is_some_and(|extension| extension == "bats") {
        (root.join("../vpn-scripts/tests/host").join(file), format!("@test \"{name}\" {{"))
    } else {
        (root.join("it").join(file), format!("fn {name}("))
    };
    Ok(fs::read_to_string(&path).with_context(|| path.display().to_string())?.contains(&wanted))
}
