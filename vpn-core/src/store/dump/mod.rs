//! The whole database as rows, out of it and into an empty one: what backups are made of.
//!
//! Rows leave in one snapshot, and in an order in which they can come back: every client with its jobs
//! and its profile, revoked clients first, so that a name is free before the next client takes it.

mod replay;
mod snapshot;
mod tables;

pub use snapshot::Snapshot;
pub use tables::{Row, RowFault, Table};
