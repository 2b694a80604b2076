//! x
pub mod audit;
pub mod clock;
pub mod domain;
pub mod error;
pub mod events;
pub mod host;
pub mod lock;
pub mod queue;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod service;
pub mod store;
pub mod vault;
pub use error::Error;
