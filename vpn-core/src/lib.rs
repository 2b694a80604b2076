//! x
pub mod audit;
pub mod clock;
pub mod domain;
pub mod host;
pub mod lock;
pub mod queue;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod store;
pub mod vault;
