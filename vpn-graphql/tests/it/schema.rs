//! `schema.graphql` is what the server has.

use std::path::Path;

#[test]
fn the_committed_schema_is_the_servers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.graphql");
    let is = vpn_graphql::sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &is).expect("schema.graphql is written");
    }
    let committed = std::fs::read_to_string(&path).expect("schema.graphql is read");
    assert!(committed == is, "schema.graphql is behind: UPDATE_SCHEMA=1 cargo test -p vpn-graphql committed_schema");
}

/// Every type, field, enum value and input field has a line above it that says what it is.
#[test]
fn everything_is_described() {
    let sdl = vpn_graphql::sdl();
    let mut before = "";
    for line in sdl.lines().take_while(|line| !line.starts_with("schema {")) {
        let opens = ["type ", "interface ", "input ", "enum ", "scalar ", "directive "]
            .iter()
            .any(|word| line.starts_with(word));
        let member = line.starts_with("  ") && !line.starts_with("   ") && !line.starts_with("  \"");
        if (opens || member) && !line.trim().is_empty() && !in_text(&sdl, line) {
            assert!(before.trim().ends_with('"'), "no description: {line}");
        }
        before = line;
    }
}

/// Whether the line is part of a description of several lines.
fn in_text(sdl: &str, line: &str) -> bool {
    let at = line.as_ptr() as usize - sdl.as_ptr() as usize;
    sdl[..at].matches("\"\"\"").count() % 2 == 1
}
