//! The VPN management platform as a library: who may enter a network, decided by people, carried out
//! on OpenVPN hosts, and on record.
//!
//! # The rooms
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`domain`] | ids, clients, jobs, servers, and the only transitions between their states; pure |
//! | [`store`] | SQL, the truth: SQLite, PostgreSQL, MySQL/MariaDB |
//! | [`audit`] | the append-only log: entries, hash chain, verifier |
//! | [`lock`] | one worker at a time on one client, in Redis, with fencing tokens |
//! | [`queue`] | the doorbell: apalis on Redis |
//! | [`host`] | what is asked of a VPN host, over SSH |
//! | `jobs`, `worker` | provision and revoke, retries, the sweeper, the loop that runs them (feature `worker`) |
//! | `watch` | looks at the VPN hosts, and notes what they say of themselves (feature `worker`) |
//! | [`oidc`] | single sign-on: signed tokens of an identity provider |
//! | [`service`] | the use cases: authorise, validate, persist with audit, ring |
//! | [`events`] | live status, resumable |
//! | [`vault`] | profiles, sealed |
//! | [`backup`] | the whole database in a file, and back |
//! | `reconcile` | the database brought level with a VPN host that is ahead of it (feature `worker`) |
//! | `drift` | where VPN hosts and the database differ (feature `worker`) |
//! | [`config`], [`telemetry`], [`clock`], [`error`] | what every program needs |
//!
//! # Embedding
//!
//! A service that has its own users asks the platform on their behalf. Without the feature `worker` no
//! SSH is linked: the jobs are run by a `vpn-worker` beside it.
//!
//! ```
//! use vpn_core::{
//!     clock::Ambient,
//!     domain::{Caller, RequestId, Role},
//!     secrecy::SecretString,
//!     service::{CreateClient, Platform, RegisterServer},
//!     store::{Opened, Store, StoreOptions},
//!     vault::Vault,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let database = format!("sqlite://{}/platform.db", directory.path().display());
//! let store = Store::connect_lazy(&StoreOptions::new(database))?;
//! store.migrate(Opened::Production).await?;
//! let vault = Vault::new(&SecretString::from("5e".repeat(32)))?;
//! // Redis may be away: what is asked is accepted, and done once it is back.
//! let redis = SecretString::from("redis://127.0.0.1:1/".to_owned());
//! let ambient = Ambient::system();
//! let platform = Platform::connect(store, &redis, vault, ambient.clone(), 8)?;
//!
//! let ada = Caller::embedded("ada@example.org".parse()?, Role::Admin, RequestId::generate(&ambient));
//! let server = platform
//!     .register_server(&ada, RegisterServer {
//!         name: "vpn1".into(),
//!         host: "vpn1.example.org".into(),
//!         port: 22,
//!         user: "vpn-host".into(),
//!         host_key: Some("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ".into()),
//!         idempotency_key: None,
//!     })
//!     .await?;
//! let alice = platform
//!     .create_client(&ada, CreateClient {
//!         name: "alice".into(),
//!         server_id: server.id.to_string(),
//!         idempotency_key: Some("request-17".into()),
//!     })
//!     .await?;
//! assert_eq!(alice.status().as_str(), "pending");
//! # Ok(())
//! # }
//! ```
//!
//! `examples/embed.rs` in the repository goes on from here: it provisions, watches, and revokes.

pub mod audit;
pub mod backup;
#[cfg(feature = "crash-points")]
pub mod boundary;
#[cfg(not(feature = "crash-points"))]
mod boundary;
pub mod clock;
pub mod config;
pub mod domain;
#[cfg(feature = "worker")]
pub mod drift;
pub mod error;
pub mod events;
pub mod host;
#[cfg(feature = "worker")]
pub mod jobs;
pub mod lock;
pub mod oidc;
pub mod queue;
#[cfg(feature = "worker")]
pub mod reconcile;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod vault;
#[cfg(feature = "worker")]
pub mod watch;
#[cfg(feature = "worker")]
pub mod worker;

pub use error::Error;
/// Secrets come in and go out as its types.
pub use secrecy;
