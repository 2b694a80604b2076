//! What can go wrong with a backup.

use std::{io, path::PathBuf};

use crate::{
    audit::ChainFault,
    store::{RowFault, StoreError},
};

/// Why a backup was not written, or not restored. Nothing was changed in the database.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file.
    #[error("{act} {}: {source}", path.display())]
    File {
        /// What was tried.
        act: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The output.
    #[error("writing the backup: {0}")]
    Output(#[source] io::Error),
    /// The database.
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    /// It is no backup, or was damaged.
    #[error("line {line} of the backup {what}: take another copy of it")]
    Damaged {
        /// Where.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// Made by another version.
    #[error("the backup {0}")]
    Version(String),
    /// A row cannot be.
    #[error("line {line} of the backup: {source}")]
    Row {
        /// Where.
        line: u64,
        /// What is wrong.
        source: RowFault,
    },
    /// The audit log in it is not what was written.
    #[error("the audit log in the backup is not whole: {0}")]
    Chain(#[from] ChainFault),
    /// Nobody could take the sealed profiles.
    #[error(
        "the profiles in the backup are sealed with the key {needed}, configured is {configured}: configure the key \
         that the backup was taken under, or give up those profiles with --give-up-profiles"
    )]
    OtherProfileKey {
        /// What the profiles need.
        needed: String,
        /// What is configured.
        configured: String,
    },
}

impl BackupError {
    pub(super) fn damaged(line: u64, what: impl Into<String>) -> Self {
        Self::Damaged { line, what: what.into() }
    }
}
