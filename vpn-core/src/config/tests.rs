use std::io::Write as _;

use secrecy::ExposeSecret as _;

use super::*;

fn sources(more: &[(&str, &str)]) -> Sources {
    let needed = [("VPN_DATABASE_URL", "sqlite:///x.db"), ("VPN_REDIS_URL", "redis://h/"), ("VPN_PROFILE_KEY", "ab")];
    Sources::environment(needed.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn what_is_not_given_has_its_default() {
    let config = ServerConfig::load(&sources(&[])).expect("complete");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.metrics_listen, None);
    assert_eq!(config.shared.max_attempts, 8);
    assert!(config.graphiql);
}

#[test]
fn a_flag_goes_over_the_environment_and_that_over_the_file() {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    writeln!(file, "listen = \"127.0.0.1:1\"\ndrain_seconds = 7\nmax_attempts = 3").expect("written");
    let mut sources = sources(&[("VPN_LISTEN", "127.0.0.1:2"), ("VPN_MAX_ATTEMPTS", "4")]);
    sources.file = Some(file.path().to_owned());
    let config = ServerConfig::load(&sources.flag("listen", Some("127.0.0.1:3"))).expect("complete");
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.shared.max_attempts, 4);
    assert_eq!(config.drain.as_secs(), 7);
}

#[test]
fn all_problems_are_told_together_without_the_secrets() {
    let sources = Sources::environment([
        ("VPN_REDIS_URL".to_owned(), "redis://:hunter2@h/".to_owned()),
        ("VPN_LISTEN".to_owned(), "nowhere".to_owned()),
        ("VPN_DRIAN_SECONDS".to_owned(), "5".to_owned()),
        ("VPN_MAX_ATTEMPTS".to_owned(), "0".to_owned()),
    ]);
    let told = ServerConfig::load(&sources).expect_err("much is wrong").to_string();
    for part in [
        "VPN_DRIAN_SECONDS: is no variable",
        "database_url: is missing",
        "profile_key: is missing",
        "listen: is not an address",
        "max_attempts: is not a number from 1 to 100 (from VPN_MAX_ATTEMPTS)",
    ] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    assert!(!told.contains("hunter2"));
}

#[test]
fn a_secret_comes_from_one_place() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "from-a-file").expect("written");
    let path = file.path().to_string_lossy().into_owned();
    let one = sources(&[("VPN_SSH_KEY_FILE", &path)]);
    assert_eq!(WorkerConfig::load(&one).expect("complete").ssh_key.expose_secret(), "from-a-file");
    let two = sources(&[("VPN_SSH_KEY_FILE", &path), ("VPN_SSH_KEY", "x")]);
    let told = WorkerConfig::load(&two).expect_err("two sources").to_string();
    assert!(told.contains("ssh_key: is given 2 times"), "{told}");
    let missing = sources(&[("VPN_SSH_KEY_FILE", "/nonexistent/key")]);
    assert!(WorkerConfig::load(&missing).expect_err("missing").to_string().contains("cannot be read"));
}

/// What the README's table of keys has to be.
fn table() -> String {
    use std::fmt::Write as _;
    let mut table = "| key | read by | what it is; default |\n| --- | --- | --- |\n".to_owned();
    for key in KEYS {
        let secret = if key.secret { " (secret)" } else { "" };
        writeln!(table, "| `{}`{secret} | {} | {} |", key.name, key.reader, key.what).expect("a string takes it all");
    }
    table
}

#[test]
fn the_key_of_the_two_person_rule_names_all_that_can_wait() {
    let key = super::KEYS.iter().find(|key| key.name == "two_person").unwrap();
    assert!(key.what.contains(&crate::domain::Operation::names()), "{}", key.what);
}

#[test]
fn the_readme_names_every_key() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("the README");
    let (_, rest) = readme.split_once("<!-- keys: kept true by a test -->\n").expect("the table begins");
    let (told, _) = rest.split_once("<!-- /keys -->").expect("the table ends");
    assert_eq!(told, table(), "README.md: put this table there:\n{}", table());
}
