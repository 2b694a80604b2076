//! The log as JSON Lines that verify by themselves: where it begins, the entries, where it ends.
//!
//! The first line tells the hash of the entry before and the roots of the perfect subtrees over all
//! entries before, so that a part of the log leads to the same roots as the whole. The last line tells
//! where it ends, so that a file that was cut short is noticed. What entries say of people stands beside each, if it is
//! in the file at all; without it, the file proves the same.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, BufRead, Read as _, Write},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{AuditEntry, ChainFault, Checkpoint, Erasable, Hash, Tree, Verified, Verifier, commitment};

/// Names the format, and its version. The first one has no values.
const FORMAT: &str = "vpn-audit-export/2";
const FORMATS: [&str; 2] = ["vpn-audit-export/1", FORMAT];
/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 4 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    format: String,
    log: String,
    /// The number of the entry before; `0` when this begins with the first.
    after: String,
    hash: String,
    tree: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    seq: String,
    previous_hash: String,
    hash: String,
    canonical: String,
    /// By commitment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<String, ValueMark>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueMark {
    salt: String,
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Closing {
    end: String,
    hash: String,
    root: String,
}

/// Why an export cannot be called whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It could not be read.
    #[error("the file could not be read: {0}")]
    Read(#[from] io::Error),
    /// It is no export, or a damaged one.
    #[error("line {line}: {what}")]
    Form {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It does not continue what was read before it.
    #[error("it begins with entry {begins}, not where entry {wanted} has to follow: give the parts oldest first")]
    Elsewhere {
        /// Its first entry.
        begins: i64,
        /// The one that had to come.
        wanted: i64,
    },
    /// It is not what was written.
    #[error(transparent)]
    Fault(#[from] ChainFault),
}

/// Whether an export has what its entries say of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// As far as it is not erased.
    Named,
    /// Only commitments: nothing will ever have to be erased from the file.
    Nameless,
}

/// Writes an export.
#[derive(Debug)]
pub struct Exporter<W> {
    out: W,
    naming: Naming,
}

impl<W: Write> Exporter<W> {
    /// Begins behind what `before` has checked.
    pub fn begin(mut out: W, log: &str, before: &Verifier, naming: Naming) -> io::Result<Self> {
        let opening = Opening {
            format: FORMAT.to_owned(),
            log: log.to_owned(),
            after: before.seq().to_string(),
            hash: hex::encode(before.head()),
            tree: before.tree().roots().iter().map(hex::encode).collect(),
        };
        put(&mut out, &opening)?;
        Ok(Self { out, naming })
    }

    /// One more entry.
    pub fn entry(&mut self, entry: &AuditEntry) -> io::Result<()> {
        let named = entry.values.iter().filter(|_| self.naming == Naming::Named);
        let mark = |value: &Erasable| ValueMark { salt: hex::encode(value.salt), value: value.value.clone() };
        let line = Line {
            seq: entry.seq.to_string(),
            previous_hash: hex::encode(entry.previous_hash),
            hash: hex::encode(entry.hash),
            canonical: String::from_utf8(entry.canonical.clone())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            values: named.map(|(commitment, value)| (hex::encode(commitment), mark(value))).collect(),
        };
        put(&mut self.out, &line)
    }

    /// Ends with what was checked.
    pub fn end(mut self, verified: &Verified) -> io::Result<()> {
        let closing = Closing {
            end: verified.entries.to_string(),
            hash: hex::encode(verified.head),
            root: hex::encode(verified.root),
        };
        put(&mut self.out, &closing)?;
        self.out.flush()
    }
}

fn put(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Checks an export by itself and against these checkpoints, in constant memory.
pub fn verify_export(
    file: impl BufRead,
    checkpoints: impl IntoIterator<Item = Checkpoint>,
) -> Result<Verified, ExportError> {
    let mut lines = Lines { file, number: 0, text: Vec::new() };
    let mut verifier = lines.opening()?;
    verifier.expect(checkpoints)?;
    lines.entries(&mut verifier, &mut |_| {})?;
    Ok(verifier.finish(verifier.seq(), verifier.head())?)
}

/// Goes on with an export that begins where `verifier` is; `each` sees every entry that was found whole.
pub fn follow_export(
    file: impl BufRead,
    verifier: &mut Verifier,
    each: &mut impl FnMut(&AuditEntry),
) -> Result<(), ExportError> {
    let mut lines = Lines { file, number: 0, text: Vec::new() };
    let begins = lines.opening()?;
    if (begins.seq(), begins.head(), begins.tree()) != (verifier.seq(), verifier.head(), verifier.tree()) {
        return Err(ExportError::Elsewhere { begins: begins.seq() + 1, wanted: verifier.seq() + 1 });
    }
    lines.entries(verifier, each)
}

fn begin(opening: Opening) -> Option<Verifier> {
    let seq: i64 = opening.after.parse().ok().filter(|seq| *seq >= 0)?;
    let roots = opening.tree.iter().map(|root| hash(root)).collect::<Option<_>>()?;
    let tree = Tree::restore(seq.unsigned_abs(), roots)?;
    FORMATS.contains(&&*opening.format).then_some(())?;
    Some(Verifier::from(seq, hash(&opening.hash)?, tree).of_log(opening.log))
}

fn entry(line: Line) -> Option<AuditEntry> {
    let (seq, previous_hash) = (line.seq.parse().ok()?, hash(&line.previous_hash)?);
    let entry = AuditEntry::without_columns(seq, previous_hash, hash(&line.hash)?, line.canonical.into_bytes())?;
    let value = |(digits, mark): (String, ValueMark)| {
        Some((commitment(&digits)?, Erasable { salt: hash(&mark.salt)?, value: mark.value }))
    };
    let values = line.values.into_iter().map(value).collect::<Option<HashMap<_, _>>>()?;
    Some(AuditEntry { values, ..entry })
}

fn hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    Some(hash)
}

struct Lines<R> {
    file: R,
    number: usize,
    text: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// Goes on to the next line, if there is one.
    fn next(&mut self) -> io::Result<bool> {
        self.text.clear();
        self.number += 1;
        Ok(self.file.by_ref().take(MAX_LINE).read_until(b'\n', &mut self.text)? > 0)
    }

    /// Where it begins.
    fn opening(&mut self) -> Result<Verifier, ExportError> {
        let opening: Opening = self.read().and_then(|found| found.ok_or_else(|| self.wrong("the file is empty")))?;
        begin(opening).ok_or_else(|| self.wrong("this is not the beginning of an export"))
    }

    /// All entries and the end.
    fn entries(&mut self, verifier: &mut Verifier, each: &mut impl FnMut(&AuditEntry)) -> Result<(), ExportError> {
        loop {
            let is_entry = self.next()?.then(|| self.text.starts_with(b"{\"seq\""));
            match is_entry {
                None => return Err(self.wrong("the last line is missing: the file was cut")),
                Some(true) => {
                    let entry = entry(self.parse()?).ok_or_else(|| self.wrong("this is no entry"))?;
                    verifier.take(&entry)?;
                    each(&entry);
                }
                Some(false) => break,
            }
        }
        let closing: Closing = self.parse()?;
        let end = closing.end.parse().ok().zip(hash(&closing.hash));
        let (seq, head) = end.ok_or_else(|| self.wrong("this is not the end of an export"))?;
        verifier.ends_at(seq, &head)?;
        if hash(&closing.root) != Some(verifier.tree().root()) {
            return Err(self.wrong("the root is not the one of these entries"));
        }
        if self.next()? { Err(self.wrong("there is more behind the end")) } else { Ok(()) }
    }

    fn read<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ExportError> {
        if self.next()? { self.parse().map(Some) } else { Ok(None) }
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, ExportError> {
        serde_json::from_slice(&self.text).map_err(|_| self.wrong("this is no line of an export, or a damaged one"))
    }

    fn wrong(&self, what: &'static str) -> ExportError {
        ExportError::Form { line: self.number, what }
    }
}
