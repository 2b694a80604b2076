//! Sealing: the oldest entries are exported to a file that proves itself, and leave the database. What is
//! kept of them is enough to prove the rest; the file is enough to prove them.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::verify::{VerifyError, begin, export_audit_log, verify_audit_log_against};
use crate::{
    audit::{Action, Checkpoint, Entry, ExportError, Hash, Naming, Seal, Sealed, follow_export},
    backup::Temporary,
    clock::Timestamp,
    domain::Caller,
    store::{Store, StoreError},
};

/// Which entries are to be sealed, always from the first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealUpTo {
    /// So many.
    Size(i64),
    /// Those before the first that is not older than this.
    Before(Timestamp),
}

/// What a sealing would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealPlan {
    /// How many entries were sealed before.
    pub after: i64,
    /// How many will be sealed afterwards.
    pub until: i64,
    /// How many entries there are, sealed or not.
    pub entries: i64,
    /// How many entries the largest checkpoint covers that the log was compared with.
    pub signed: u64,
    /// Where the segment goes.
    pub file: PathBuf,
    /// Its name.
    name: String,
}

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// There are no such entries.
    #[error("there is nothing to seal: {after} entries are sealed, {until} were to be, and the log has {entries}")]
    Nothing {
        /// How many were sealed.
        after: i64,
        /// How many were asked for.
        until: i64,
        /// How many there are.
        entries: i64,
    },
    /// Somebody else was faster.
    #[error("somebody else sealed entries meanwhile: delete the file if it is not theirs, and begin again")]
    Overtaken,
    /// Checkpoints were given, and none goes so far.
    #[error(
        "{until} entries were to be sealed, but the checkpoints cover {signed}: sign first, with `audit checkpoint`"
    )]
    Unsigned {
        /// How many were to be sealed.
        until: i64,
        /// How many are covered.
        signed: u64,
    },
    /// The file has no name that could be written down.
    #[error("the file needs a name of at most 255 characters that is UTF-8")]
    Name,
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
    /// What is in the file is not what is to be sealed.
    #[error("{} is not the segment of entries {} to {until}: name a file that is not there yet", path.display(), after + 1)]
    OtherFile {
        /// Which file.
        path: PathBuf,
        /// Behind which entry it should begin.
        after: i64,
        /// With which it should end.
        until: i64,
    },
    /// The file is no whole export.
    #[error("the segment: {0}")]
    Segment(#[from] ExportError),
    /// The log is not whole, or could not be read.
    #[error(transparent)]
    Log(#[from] VerifyError),
    /// The database.
    #[error("the database: {0}")]
    Store(#[from] StoreError),
}

/// Checks the log, against these checkpoints too, and says what a sealing would do. Changes nothing.
pub async fn plan_seal(
    store: &Store,
    up_to: SealUpTo,
    file: &Path,
    checkpoints: Vec<Checkpoint>,
) -> Result<SealPlan, SealError> {
    let name = file.file_name().and_then(|name| name.to_str()).filter(|name| name.chars().count() <= 255);
    let name = name.ok_or(SealError::Name)?.to_owned();
    let are_given = !checkpoints.is_empty();
    let signed = checkpoints.iter().map(|checkpoint| checkpoint.size).max().unwrap_or(0);
    let verified = verify_audit_log_against(store, checkpoints).await?;
    let (after, entries) = (verified.sealed, verified.entries);
    let until = match up_to {
        SealUpTo::Size(size) => size,
        SealUpTo::Before(at) => {
            let first = store.read().await?.first_audit_entry_since(at).await?;
            first.map_or(entries, |first| first - 1)
        }
    };
    if until <= after || until > entries {
        return Err(SealError::Nothing { after, until, entries });
    }
    if are_given && signed < until.unsigned_abs() {
        return Err(SealError::Unsigned { until, signed });
    }
    Ok(SealPlan { after, until, entries, signed, file: file.to_owned(), name })
}

/// Does it: the segment is written, brought safely to the disk, read back from there and checked; then the
/// log tells of the sealing; then the entries are removed. Stopped at any point, the same again goes on.
pub async fn seal_audit_log(store: &Store, caller: &Caller, plan: &SealPlan) -> Result<Seal, SealError> {
    let fails = |act| move |source| SealError::File { act, path: plan.file.clone(), source };
    if !plan.file.exists() {
        let temporary = Temporary::create(&plan.file).map_err(fails("creating a file beside"))?;
        let out = BufWriter::new(&temporary.file);
        export_audit_log(store, None, Some(plan.until), Naming::Nameless, out).await?;
        temporary.publish(&plan.file).map_err(fails("writing"))?;
    }
    let sealed = read_back(store, plan).await?;
    let entry = Entry::by(caller, Action::AuditSealed).with("entries", (plan.until - plan.after).to_string());
    let seal = store.begin().await?.commit_seal(entry, plan.after, &sealed).await?.ok_or(SealError::Overtaken)?;
    store.remove_sealed_entries(seal.sealed.until).await?;
    Ok(seal)
}

/// What a sealing left in the database that was stopped before its end. Gives how many entries.
pub async fn finish_sealing(store: &Store) -> Result<u64, SealError> {
    let newest = store.read().await?.audit_seals().await?.pop();
    match newest {
        Some(seal) => Ok(store.remove_sealed_entries(seal.sealed.until).await?),
        None => Ok(0),
    }
}

/// The file holds what the database holds: its chain begins where the sealed entries end, and ends with the
/// hash that the database has there.
async fn read_back(store: &Store, plan: &SealPlan) -> Result<Sealed, SealError> {
    let fails = |source| SealError::File { act: "reading", path: plan.file.clone(), source };
    let file = File::open(&plan.file).map_err(fails)?;
    file.sync_all().map_err(fails)?;
    let mut reader = store.read().await?;
    let mut verifier = begin(&mut reader).await?;
    follow_export(BufReader::new(file), &mut verifier, &mut |_| {})?;
    let last = reader.audit_entry(plan.until).await?;
    if verifier.seq() != plan.until || last.map(|entry| entry.hash) != Some(*verifier.head()) {
        return Err(SealError::OtherFile { path: plan.file.clone(), after: plan.after, until: plan.until });
    }
    Ok(Sealed {
        until: plan.until,
        hash: *verifier.head(),
        tree: verifier.tree().clone(),
        file: plan.name.clone(),
        sha256: sha256(File::open(&plan.file).map_err(fails)?).map_err(fails)?,
    })
}

fn sha256(mut file: File) -> io::Result<Hash> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}
