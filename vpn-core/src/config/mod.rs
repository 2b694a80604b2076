//! Configuration: flag over environment over file over default.
//!
//! Each key `x_y` can be given as the flag's value, as `VPN_X_Y`, or in the file as `x_y = …`. A
//! secret can also be given as a file: named by `VPN_X_Y_FILE`, or lying in `$CREDENTIALS_DIRECTORY`
//! as `x_y` (systemd). Two of these for one secret are an error, and so is a key that nobody knows.
//! All problems are reported together, each with its key, where it came from, and its cure.

mod keys;
mod network;
mod sign_on;
mod sources;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use secrecy::SecretString;

use crate::{
    domain::Operation,
    oidc::ProviderOptions,
    service::{Policy, TwoPersonRule},
    store::StoreOptions,
};

pub use keys::{KEYS, Key};
pub use network::Network;
pub use sources::{Given, Sources};

const MAX_ATTEMPTS: i32 = 8;
const RETRY_BASE: Duration = Duration::from_secs(2);
const RETRY_CAP: Duration = Duration::from_mins(5);

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key.
    pub key: String,
    /// Where its value came from; `None` when it is missing.
    pub source: Option<String>,
    /// What is wrong, and the cure.
    pub message: String,
}

/// All that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// In the order of the keys.
    pub problems: Vec<Problem>,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the configuration cannot be used:")?;
        for problem in &self.problems {
            write!(f, "\n  {}: {}", problem.key, problem.message)?;
            if let Some(source) = &problem.source {
                write!(f, " (from {source})")?;
            }
        }
        Ok(())
    }
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What server and worker share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The database.
    pub database_url: SecretString,
    /// Redis.
    pub redis_url: SecretString,
    /// 64 hexadecimal digits: the key that profiles are sealed with.
    pub profile_key: SecretString,
    /// Which messages are logged, as `tracing`'s filter has it: `info`, `vpn_core=debug`.
    pub log: String,
    /// How.
    pub log_format: LogFormat,
    /// How often a job is tried before it is given up.
    pub max_attempts: i32,
    /// Connections to the database, at most.
    pub database_connections: u32,
}

impl Shared {
    /// How to open the database.
    #[must_use]
    pub fn store_options(&self) -> StoreOptions {
        StoreOptions {
            url: self.database_url.clone(),
            max_connections: self.database_connections,
            acquire_timeout: Duration::from_secs(5),
        }
    }
}

/// What `vpn-graphql serve` needs.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Shared with the worker.
    pub shared: Shared,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to answer Prometheus; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Origins, besides the server's own, whose pages may open WebSockets.
    pub allowed_origins: Vec<String>,
    /// Whether GraphiQL is served.
    pub graphiql: bool,
    /// Whether the schema can be asked for.
    pub introspection: bool,
    /// The file with the only operations that are run.
    pub operations: Option<PathBuf>,
    /// How long a stopping server waits for its requests.
    pub drain: Duration,
    /// Proxies whose word for where a request comes from is taken.
    pub trusted_proxies: Vec<Network>,
    /// Whose signed tokens are taken.
    pub provider: Option<ProviderOptions>,
    /// What needs a second person.
    pub two_person: TwoPersonRule,
    /// What may be asked for.
    pub policy: Policy,
}

/// What `vpn-worker` needs.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Shared with the server.
    pub shared: Shared,
    /// The private key for the VPN hosts, in OpenSSH's format.
    pub ssh_key: SecretString,
    /// For one request to a VPN host.
    pub ssh_timeout: Duration,
    /// Jobs at once.
    pub concurrency: usize,
    /// How long a stopping worker waits for its jobs.
    pub drain: Duration,
    /// Between two looks at a VPN host; `None`: they are not looked at.
    pub watch: Option<Duration>,
    /// Whether CRLs that end soon are renewed when they are looked at.
    pub crl_renewal: bool,
    /// Before the second attempt at a job, at most.
    pub retry_base: Duration,
    /// Before any attempt at a job, at most.
    pub retry_cap: Duration,
}

/// What the commands that work on the database alone need.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// The database.
    pub store: StoreOptions,
    /// Which messages are logged.
    pub log: String,
    /// How.
    pub log_format: LogFormat,
}

/// What `vpn-graphql audit checkpoint` needs.
#[derive(Clone, Debug)]
pub struct CheckpointConfig {
    /// The database: the right to read is enough.
    pub database: DatabaseConfig,
    /// Signs; server and worker do not have it.
    pub key: SecretString,
}

impl ServerConfig {
    /// From these sources.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut given = sources.read();
        let operations = Some(PathBuf::from(given.text("operations", "")));
        let config = Self {
            shared: shared(&mut given),
            listen: given.parsed(
                "listen",
                SocketAddr::from(([127, 0, 0, 1], 8080)),
                "an address and a port, such as 127.0.0.1:8080",
            ),
            metrics_listen: given.parsed_opt("metrics_listen", "an address and a port, such as 127.0.0.1:9464"),
            allowed_origins: given.words("allowed_origins"),
            graphiql: given.parsed("graphiql", true, "true or false"),
            introspection: given.parsed("introspection", true, "true or false"),
            operations: operations.filter(|path| !path.as_os_str().is_empty()),
            drain: given.seconds("drain_seconds", Duration::from_secs(30)),
            trusted_proxies: given.list("trusted_proxies", "a list of networks, such as 10.0.0.0/8, 192.0.2.7"),
            provider: sign_on::provider(&mut given),
            two_person: TwoPersonRule {
                operations: given.list(
                    "two_person",
                    &format!("a list of {} (the others cannot wait for a second person)", Operation::names()),
                ),
                lasts: Duration::from_hours(given.within("approval_hours", 24, 1, 720)),
            },
            policy: policy(&mut given),
        };
        given.finish()?;
        Ok(config)
    }
}

impl WorkerConfig {
    /// From these sources.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut given = sources.read();
        let config = Self {
            shared: shared(&mut given),
            ssh_key: given.secret(
                "ssh_key",
                "the private key that the VPN hosts know, as `ssh-keygen -t ed25519 -N ''` makes it",
            ),
            ssh_timeout: given.seconds("ssh_timeout_seconds", Duration::from_secs(45)),
            concurrency: given.within("concurrency", 8, 1, 64),
            drain: given.seconds("drain_seconds", Duration::from_secs(30)),
            watch: Some(given.within("watch_seconds", 60, 0, 86_400))
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
            crl_renewal: given.parsed("crl_renewal", true, "true or false"),
            retry_base: given.seconds("retry_base_seconds", RETRY_BASE),
            retry_cap: given.seconds("retry_cap_seconds", RETRY_CAP),
        };
        given.finish()?;
        Ok(config)
    }
}

impl DatabaseConfig {
    /// From these sources.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut given = sources.read();
        let config = Self::of(&mut given);
        given.finish()?;
        Ok(config)
    }

    fn of(given: &mut Given) -> Self {
        let (log, log_format) = logging(given);
        let mut store = StoreOptions::new("");
        store.url = database_url(given);
        Self { store, log, log_format }
    }
}

impl CheckpointConfig {
    /// From these sources.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut given = sources.read();
        let database = DatabaseConfig::of(&mut given);
        let key = given.secret("checkpoint_key", "as `vpn-graphql audit keygen` makes it");
        given.finish()?;
        Ok(Self { database, key })
    }
}

fn shared(given: &mut Given) -> Shared {
    let (log, log_format) = logging(given);
    Shared {
        database_url: database_url(given),
        redis_url: given.secret("redis_url", "such as redis://:password@127.0.0.1:6379/"),
        profile_key: given.secret("profile_key", "64 hexadecimal digits: make one with `openssl rand -hex 32`"),
        log,
        log_format,
        max_attempts: given.within("max_attempts", MAX_ATTEMPTS, 1, 100),
        database_connections: given.within("database_connections", 16, 2, 1000),
    }
}

fn policy(given: &mut Given) -> Policy {
    let public_url = given.text("public_url", "").trim_end_matches('/').to_owned();
    let plain = public_url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'#' | b'?'));
    let scheme = ["https://", "http://"].iter().find_map(|scheme| public_url.strip_prefix(scheme));
    let is_one = plain && scheme.is_some_and(|rest| !rest.is_empty());
    if !public_url.is_empty() && !is_one {
        given.problem("public_url", "is no address such as https://vpn.example.org");
    }
    Policy {
        max_validity_days: given.within("max_validity_days", Policy::DAYS, 1, Policy::DAYS),
        public_url: Some(public_url).filter(|url| !url.is_empty()),
    }
}

fn database_url(given: &mut Given) -> SecretString {
    given.secret(
        "database_url",
        "such as postgres://vpn:password@127.0.0.1/vpn, mysql://…, or sqlite:///var/lib/vpn/platform.db",
    )
}

fn logging(given: &mut Given) -> (String, LogFormat) {
    let format = given.text("log_format", "text");
    let format = match format.as_str() {
        "json" => LogFormat::Json,
        "text" => LogFormat::Text,
        _ => {
            given.problem("log_format", "is neither `text` nor `json`");
            LogFormat::Text
        }
    };
    (given.text("log", "info"), format)
}

/// Where the file is, when no flag says so.
#[must_use]
pub fn file_from_environment() -> Option<PathBuf> {
    std::env::var_os("VPN_CONFIG").map(PathBuf::from)
}
