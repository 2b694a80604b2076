//! Backups: the whole database in one file, taken while the platform works, and portable between
//! SQLite, PostgreSQL and MySQL/MariaDB.
//!
//! # The file
//!
//! JSON Lines, one object a line, UTF-8:
//!
//! ```text
//! {"backup":{"format":1,"schema":1,"takenAt":"…","database":"sqlite","log":"vpn-audit/…",
//!            "head":{"seq":42,"hash":"…"},"profileKeys":["…"]}}
//! {"table":"settings","row":{"name":"log_origin","value":"vpn-audit/…"}}
//! …                               servers; clients, each with its jobs and its profile; tokens;
//! …                               idempotency keys; what entries of the audit log say of people; its seals,
//!                                 and its entries behind them
//! {"end":{"lines":1234,"sha256":"…"}}
//! ```
//!
//! Columns have the names and units of SQL (`migrations/`), bytes are base64, NULLs are left out. The
//! last line counts the lines before it and has the SHA-256 of their bytes. All rows are of one instant:
//! they are read in one snapshot, in constant memory, and nobody who writes is kept waiting.
//!
//! # What it is worth
//!
//! It holds the profiles that wait for delivery, sealed, and tokens only as hashes. **The profile key is
//! not in it**: keep that with your secrets; `profileKeys` names the keys, by their public ids, that the
//! sealed profiles need. The checksum finds damage, not forgery: of all rows, only those of the audit log
//! prove themselves. Keep backups where nobody can write who may not change the database.
//!
//! Names and texts that were erased from the audit log are in every backup that is older, and come back with it:
//! erase them once more after a restore, with the list that `audit erase` gave.
//!
//! # What a restore does
//!
//! It takes an empty database, checks the file before it touches anything, and writes all or nothing. No
//! trigger is switched off: rows are led through the legal transitions to where they were. Entries of the
//! audit log come back byte for byte, are verified on the way, and are followed by `database.restored`.
//! Tokens are revoked unless the caller says otherwise, because one that was revoked after the backup
//! would be valid again.
//!
//! What happened after the backup is lost to the database, and not to the VPN hosts: they refuse what
//! is older than what they have seen, and `vpn-worker reconcile` brings the database level with them.

mod error;
mod format;
mod restore;
mod write;

pub use error::BackupError;
pub use format::{HeadMark, Header};
pub use restore::{Restore, Restored, restore};
pub(crate) use write::Temporary;
pub use write::{Written, write, write_file};
