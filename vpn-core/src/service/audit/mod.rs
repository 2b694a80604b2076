//! The audit log: reading it, checking it, signing for it, proving it, taking it elsewhere.

mod checkpoints;
mod proofs;
mod verify;

use super::Platform;
use crate::{
    audit::AuditEntry,
    domain::{Caller, Permission},
    error::Error,
    store::{AuditFilter, Page, PageRequest},
};

pub use checkpoints::{Checkpointer, Rhythm};
pub use proofs::AuditTree;
pub(super) use proofs::Tiles;
pub use verify::{VerifyError, export_audit_log, verify_audit_log, verify_audit_log_against};

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

    /// The entry with this number.
    pub async fn audit_entry(&self, caller: &Caller, seq: i64) -> Result<Option<AuditEntry>, Error> {
        self.authorise(caller, Permission::ReadAudit).await?;
        Ok(self.store().read().await?.audit_entry(seq).await?)
    }
}
