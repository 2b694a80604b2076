//! Reading the audit log, and checking it.

use std::collections::HashMap;

use super::Platform;
use crate::{
    audit::{AuditEntry, ChainFault, Verified, Verifier},
    domain::{Caller, ClientId, Permission},
    error::Error,
    store::{AuditFilter, Page, PageRequest, Store, StoreError},
};

/// Entries that are held in memory at once while the chain is checked.
const SLICE: i64 = 1000;

impl Platform {
    /// A page of entries, newest first.
    pub async fn audit_log(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        page: &PageRequest<i64>,
    ) -> Result<Page<AuditEntry>, Error> {
        self.authorise(caller, Permission::ReadAudit).await?;
        Ok(self.store().read().await?.audit_page(filter, page).await?)
    }

    /// This page of what the log has about each of these clients.
    pub async fn audit_of_clients(
        &self,
        caller: &Caller,
        ids: &[ClientId],
        page: &PageRequest<i64>,
    ) -> Result<HashMap<ClientId, Page<AuditEntry>>, Error> {
        self.authorise(caller, Permission::ReadAudit).await?;
        Ok(self.store().read().await?.audit_of_clients(ids, page).await?)
    }

    /// The entry with this number.
    pub async fn audit_entry(&self, caller: &Caller, seq: i64) -> Result<Option<AuditEntry>, Error> {
        self.authorise(caller, Permission::ReadAudit).await?;
        Ok(self.store().read().await?.audit_entry(seq).await?)
    }
}

/// Why the chain could not be called whole.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log is not what was written.
    #[error(transparent)]
    Fault(#[from] ChainFault),
    /// It could not be read.
    #[error("the log could not be read: {0}")]
    Store(#[from] StoreError),
}

/// Checks the whole chain, in constant memory. Needs only the right to read.
pub async fn verify_audit_log(store: &Store) -> Result<Verified, VerifyError> {
    let mut reader = store.read().await?;
    // The head first: entries that are appended meanwhile lie behind it and are left for the next time.
    let head = reader.audit_head().await?;
    let (mut verifier, mut last) = (Verifier::default(), 0);
    while last < head.seq {
        let entries = reader.audit_after(last, None, SLICE.min(head.seq - last)).await?;
        let Some(newest) = entries.last() else { break };
        last = newest.seq;
        for entry in &entries {
            verifier.take(entry)?;
        }
    }
    Ok(verifier.finish(head.seq, &head.hash)?)
}
