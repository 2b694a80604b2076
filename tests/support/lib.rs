//! The harness of the integration tests: real services, fresh databases, and what makes them fail.
//!
//! Services are started once per test process, by the first test that asks, and go with the process.
//! A service that is not installed is an error that names its Debian package, never a skipped test.

mod ambient;
pub mod attack;
pub mod cage;
pub mod chaos;
pub mod checker;
pub mod csr;
pub mod databases;
mod db;
pub mod deserted;
pub mod fleet;
pub mod hosts;
pub mod issuer;
pub mod level;
mod macros;
pub mod platform;
pub mod programs;
pub mod proxy;
pub mod redis;
pub mod restore;
pub mod turn;
mod wait;
pub mod watching;
mod world;

pub use ambient::stepping;
pub use db::{Database, Db};
pub use fleet::Fleet;
pub use platform::TestPlatform;
pub use wait::{PATIENCE, eventually, soon, within};
pub use world::{FOUND, World, certificate, differs, failure, told};
