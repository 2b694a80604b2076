//! The audit log: append-only, one hash chain, written in the transaction of the change it tells of.
//!
//! An entry's hash is `SHA-256(0x00 ‖ be64(seq) ‖ previous hash ‖ canonical)`: a link of the chain and
//! a leaf of an RFC 6962 Merkle tree at once. `canonical` is RFC 8785 JSON; these exact bytes are
//! stored and hashed, never made again from their parts.

mod action;
mod chain;
mod checkpoint;
mod entry;
mod erasable;
mod export;
pub mod merkle;
pub mod note;
mod seal;

pub use action::{Action, JobAct, Outcome};
pub use chain::{ChainFault, GENESIS, Hash, Verified, Verifier, leaf_hash};
pub use checkpoint::Checkpoint;
pub use entry::{AuditEntry, Columns, Entry, JobMark, Recorded};
pub use erasable::{Erasable, Kind, commitment, mark, mark_of_erased};
pub use export::{ExportError, Exporter, Naming, follow_export, verify_export};
pub use merkle::Tree;
pub use seal::{Seal, Sealed};
