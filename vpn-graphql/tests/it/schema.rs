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

/// The guide's policy: what to use instead, and from when it may be gone.
#[test]
fn what_is_deprecated_says_what_to_use_and_when_it_is_gone() {
    for reason in vpn_graphql::sdl().split("@deprecated").skip(1) {
        let reason = reason.lines().next().unwrap_or_default();
        assert!(keeps_the_policy(reason), "@deprecated{reason}");
    }
    assert!(keeps_the_policy("(reason: \"Use `newName`. Gone from 2027-06-01.\")"));
    for odd in [
        "",
        "(reason: \"Use `newName`.\")",
        "(reason: \"Gone from 2027-06-01.\")",
        "(reason: \"Use `x`. Gone from soon.\")",
    ] {
        assert!(!keeps_the_policy(odd), "{odd}");
    }
}

fn keeps_the_policy(reason: &str) -> bool {
    let reason = reason.strip_prefix("(reason: \"Use `").and_then(|rest| rest.split_once("`. Gone from "));
    let day = reason.and_then(|(instead, rest)| Some((instead, rest.strip_suffix(".\")")?)));
    day.is_some_and(|(instead, day)| {
        let shape: String = day.chars().map(|one| if one.is_ascii_digit() { '0' } else { one }).collect();
        !instead.is_empty() && shape == "0000-00-00"
    })
}

/// Whether the line is part of a description of several lines.
fn in_text(sdl: &str, line: &str) -> bool {
    let at = line.as_ptr() as usize - sdl.as_ptr() as usize;
    sdl[..at].matches("\"\"\"").count() % 2 == 1
}
