//! Checking the whole log, and exporting it. Needs only the right to read.

use std::io::{self, Write};

use crate::{
    audit::{AuditEntry, ChainFault, Checkpoint, Exporter, Verified, Verifier, note::NoteError},
    store::{Reader, Store, StoreError},
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

/// Checks the whole log, in constant memory.
pub async fn verify_audit_log(store: &Store) -> Result<Verified, VerifyError> {
    verify_audit_log_against(store, []).await
}

/// The same, and compares with checkpoints that were kept. Without an older checkpoint, neither a tail
/// that was cut nor a log that was rewritten whole can be noticed.
pub async fn verify_audit_log_against(
    store: &Store,
    checkpoints: impl IntoIterator<Item = Checkpoint> + Send,
) -> Result<Verified, VerifyError> {
    let mut verifier = Verifier::default();
    verifier.expect(checkpoints)?;
    catch_up(store, &mut verifier).await
}

/// Writes the entries behind `after` as JSON Lines, up to the present end or to `until`; all of the log up
/// to there is checked on the way.
pub async fn export_audit_log(
    store: &Store,
    after: i64,
    until: Option<i64>,
    out: impl Write + Send,
) -> Result<Verified, VerifyError> {
    let mut reader = store.read().await?;
    let origin = reader.audit_origin().await?;
    let head = reader.audit_head().await?.seq;
    let last = until.unwrap_or(head).min(head);
    let mut verifier = Verifier::default();
    read(&mut reader, &mut verifier, after.min(last), |_| Ok(())).await?;
    let mut exporter = Exporter::begin(out, &origin, &verifier)?;
    read(&mut reader, &mut verifier, last, |entry| exporter.entry(entry)).await?;
    let hash = *verifier.head();
    let whole = verifier.finish(last, &hash)?;
    exporter.end(&whole)?;
    Ok(whole)
}

/// Checks what has been added to the log since `verifier` was here last.
pub(super) async fn catch_up(store: &Store, verifier: &mut Verifier) -> Result<Verified, VerifyError> {
    let mut reader = store.read().await?;
    // The head first: entries that are appended meanwhile lie behind it and are left for the next time.
    let head = reader.audit_head().await?;
    read(&mut reader, verifier, head.seq, |_| Ok(())).await?;
    Ok(verifier.finish(head.seq, &head.hash)?)
}

async fn read(
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
