//! Lines of the file.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// The version of the format.
pub(super) const FORMAT: u32 = 1;

/// The longest line, in bytes. A profile has about 8,000 in base64, an audit entry as many.
pub(super) const MAX_LINE: u64 = 4 * 1024 * 1024;

/// What a backup says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// The version of the format.
    pub format: u32,
    /// The version of the database's schema.
    pub schema: i64,
    /// When it was taken, by the database's clock.
    pub taken_at: String,
    /// Of what kind the database was.
    pub database: String,
    /// The name of the audit log.
    pub log: String,
    /// The end of the audit log.
    pub head: HeadMark,
    /// The ids of the keys that the profiles in it are sealed with.
    pub profile_keys: Vec<String>,
}

/// The end of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadMark {
    /// The number of the last entry.
    pub seq: i64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    /// How many lines stand before it.
    pub(super) lines: u64,
    /// SHA-256 of their bytes, newlines included, in hexadecimal digits.
    pub(super) sha256: String,
}

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Line {
    Header { backup: Header },
    Row { table: String, row: Map<String, Value> },
    End { end: End },
}

/// Counts and hashes lines, in either direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    lines: u64,
    hash: Sha256,
}

impl Tally {
    /// One more line, with its newline.
    pub(super) fn take(&mut self, line: &[u8]) {
        self.lines += 1;
        self.hash.update(line);
    }

    pub(super) const fn lines(&self) -> u64 {
        self.lines
    }

    pub(super) fn end(self) -> End {
        End { lines: self.lines, sha256: hex::encode(self.hash.finalize()) }
    }
}
