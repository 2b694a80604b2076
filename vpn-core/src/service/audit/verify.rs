//! Checking the whole log, and exporting it. Needs only the right to read.

use std::io::{self, BufRead, Write};

use crate::{
    audit::{
        AuditEntry, ChainFault, Checkpoint, ExportError, Exporter, Naming, Seal, Verified, Verifier, follow_export,
        note::NoteError,
    },
    store::{Head, Reader, Store, StoreError},
};

/// Entries that are held in memory at once while the log is read.
const SLICE: i64 = 1000;

/// Why the log could not be called whole, or not be signed or exported.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log is not what was written.
    #[error(transparent)]
    Fault(#[from] ChainFault),
    /// It could not be read.
    #[error("the log could not be read: {0}")]
    Store(#[from] StoreError),
    /// A key or a checkpoint is no good.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The key is another log's.
    #[error("this is a key of the log {key}, not of {log}")]
    OtherKey {
        /// The name of the key.
        key: String,
        /// The log that was to be signed for.
        log: String,
    },
    /// A segment is not what was exported.
    #[error("the segment {name}: {source}")]
    Segment {
        /// Which file.
        name: String,
        /// What is wrong with it.
        source: ExportError,
    },
    /// Segments are missing.
    #[error("the segments end at entry {end}, but {until} entries were sealed: give all of them, the oldest first")]
    TooFewSegments {
        /// Where they end.
        end: i64,
        /// How many entries were sealed.
        until: i64,
    },
    /// There is no such proof.
    #[error("entry {seq} is not in the tree over the first {size} entries, or the log has not so many")]
    NotInTree {
        /// Which entry.
        seq: u64,
        /// How many there should be.
        size: u64,
    },
    /// There is no such proof, either.
    #[error("the tree over the first {size} entries continues none of {old}: give a size from 1 to {size}")]
    NoOlderTree {
        /// How many there should have been.
        old: u64,
        /// How many there are.
        size: u64,
    },
    /// What was asked for has left the database.
    #[error("the first {until} entries were sealed: they are in {file} and the segments before it, not here")]
    Sealed {
        /// How many.
        until: i64,
        /// The file with the last of them.
        file: String,
    },
    /// Entries left before they were seen.
    #[error(
        "{until} entries were sealed, and of them only the first {seen} were seen before that: run this again; to \
         sign, begin a new file of checkpoints once `audit verify` has accepted the log with its segments"
    )]
    SealedUnseen {
        /// How many were sealed.
        until: i64,
        /// How many were seen.
        seen: i64,
    },
    /// The export could not be written.
    #[error("the export could not be written: {0}")]
    Write(#[from] io::Error),
}

impl VerifyError {
    /// Whether the same may go through later without anybody's help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_retryable())
    }
}

/// Checks the whole log, and that what stands beside it is what it was written with, in constant memory but for the
/// commitments to what was erased.
pub async fn verify_audit_log(store: &Store) -> Result<Verified, VerifyError> {
    verify_audit_log_against(store, []).await
}

/// The same, and compares with checkpoints that were kept. Without an older checkpoint, neither a tail
/// that was cut nor a log that was rewritten whole can be noticed.
pub async fn verify_audit_log_against(
    store: &Store,
    checkpoints: impl IntoIterator<Item = Checkpoint> + Send,
) -> Result<Verified, VerifyError> {
    let mut verifier = begin(&mut store.read().await?).await?.wanting_values();
    verifier.expect(checkpoints)?;
    catch_up(store, &mut verifier).await
}

/// The same for the whole log, with the sealed entries as they stand in the segments that they were
/// exported to: these files, by name, the oldest first.
pub async fn verify_audit_log_with_segments(
    store: &Store,
    segments: impl IntoIterator<Item = (String, impl BufRead)> + Send,
    checkpoints: impl IntoIterator<Item = Checkpoint> + Send,
) -> Result<Verified, VerifyError> {
    let mut verifier = follow_segments(&mut store.read().await?, segments, checkpoints, &mut |_| {}).await?;
    catch_up(store, &mut verifier).await
}

/// Checks all segments, which have to reach to the end of the sealed entries; `each` sees every entry of theirs.
pub(super) async fn follow_segments(
    reader: &mut Reader,
    segments: impl IntoIterator<Item = (String, impl BufRead)> + Send,
    checkpoints: impl IntoIterator<Item = Checkpoint> + Send,
    each: &mut (impl FnMut(&AuditEntry) + Send),
) -> Result<Verifier, VerifyError> {
    let seals = reader.audit_seals().await?;
    let until = seals.last().map_or(0, |seal| seal.sealed.until);
    let mut verifier = Verifier::default().knowing(seals).of_log(reader.audit_origin().await?).wanting_values();
    verifier.expect(checkpoints)?;
    for (name, file) in segments {
        follow_export(file, &mut verifier, each).map_err(|source| VerifyError::Segment { name, source })?;
        // A segment has no values: they stand in the database, for sealed entries too.
        let found = reader.audit_values(&verifier.missing_values()).await?;
        verifier.found_values(&found)?;
    }
    if verifier.seq() < until {
        return Err(VerifyError::TooFewSegments { end: verifier.seq(), until });
    }
    Ok(verifier)
}

/// Writes the entries behind `after`, or all that are in the database, as JSON Lines, up to the present
/// end or to `until`; all of the log up to there is checked on the way. Without names, the file holds nothing that
/// could have to be erased.
pub async fn export_audit_log(
    store: &Store,
    after: Option<i64>,
    until: Option<i64>,
    naming: Naming,
    out: impl Write + Send,
) -> Result<Verified, VerifyError> {
    let mut reader = store.read().await?;
    let origin = reader.audit_origin().await?;
    let head = reader.audit_head().await?.seq;
    let last = until.unwrap_or(head).min(head);
    let mut verifier = begin(&mut reader).await?;
    if let Some(Seal { sealed, .. }) = reader.audit_seals().await?.pop()
        && (after.is_some_and(|after| after < sealed.until) || last < sealed.until)
    {
        return Err(VerifyError::Sealed { until: sealed.until, file: sealed.file });
    }
    read(&mut reader, &mut verifier, after.unwrap_or(0).min(last), |_| Ok(())).await?;
    let mut exporter = Exporter::begin(out, &origin, &verifier, naming)?;
    read(&mut reader, &mut verifier, last, |entry| exporter.entry(entry)).await?;
    if verifier.seq() != last {
        return Err(ChainFault::Cut { expected: last, found: verifier.seq() }.into());
    }
    let whole = verifier.verified();
    exporter.end(&whole)?;
    Ok(whole)
}

/// The end of the log, and its seals as of then, oldest first.
async fn extent(reader: &mut Reader) -> Result<(Head, Vec<Seal>), VerifyError> {
    // The head first: entries that are appended meanwhile lie behind it and are left for the next time.
    let head = reader.audit_head().await?;
    let (seals, later): (Vec<_>, Vec<_>) =
        reader.audit_seals().await?.into_iter().partition(|seal| seal.told_by <= head.seq);
    if let Some(seal) = later.last()
        && reader.audit_head().await?.seq < seal.told_by
    {
        return Err(ChainFault::FalseSeal { until: seal.sealed.until }.into());
    }
    Ok((head, seals))
}

/// Where the entries of the database begin.
pub(super) async fn begin(reader: &mut Reader) -> Result<Verifier, VerifyError> {
    let (_, seals) = extent(reader).await?;
    let is_sealed = !seals.is_empty();
    let verifier = Verifier::behind(seals);
    Ok(if is_sealed { verifier.of_log(reader.audit_origin().await?) } else { verifier })
}

/// Checks what has been added to the log since `verifier` was here last.
pub(super) async fn catch_up(store: &Store, verifier: &mut Verifier) -> Result<Verified, VerifyError> {
    let mut reader = store.read().await?;
    let (head, seals) = extent(&mut reader).await?;
    seen(verifier, &seals)?;
    verifier.know(seals);
    let found = read(&mut reader, verifier, head.seq, |_| Ok(())).await;
    if found.is_err() || verifier.seq() < head.seq {
        // Entries that were sealed since may have gone while this read: that is no fault of the log.
        let (_, seals) = extent(&mut reader).await?;
        seen(verifier, &seals)?;
    }
    found?;
    if !verifier.missing_values().is_empty() {
        // What was erased while this read is told of behind the end that it read to.
        for entry in reader.audit_erasures_after(head.seq).await? {
            verifier.told_of_erasure(&entry);
        }
    }
    Ok(verifier.finish(head.seq, &head.hash)?)
}

/// Whether all sealed entries were seen.
fn seen(verifier: &Verifier, seals: &[Seal]) -> Result<(), VerifyError> {
    let seen = verifier.seq();
    match seals.last().map(|seal| seal.sealed.until).filter(|until| *until > seen) {
        Some(until) => Err(VerifyError::SealedUnseen { until, seen }),
        None => Ok(()),
    }
}

pub(super) async fn read(
    reader: &mut Reader,
    verifier: &mut Verifier,
    last: i64,
    mut each: impl FnMut(&AuditEntry) -> io::Result<()> + Send,
) -> Result<(), VerifyError> {
    while verifier.seq() < last {
        let entries = reader.audit_after(verifier.seq(), None, SLICE.min(last - verifier.seq())).await?;
        if entries.is_empty() {
            break;
        }
        for entry in &entries {
            verifier.take(entry)?;
            each(entry)?;
        }
    }
    Ok(())
}
