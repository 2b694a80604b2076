//! The audit log: reading it, checking it, signing for it, proving it, taking it elsewhere.

mod checkpoints;
mod erase;
mod proofs;
mod prove;
mod seal;
mod verify;

use std::collections::HashMap;

use super::Platform;
use crate::{
    audit::AuditEntry,
    domain::{Caller, ClientId, Permission},
    error::Error,
    store::{AuditFilter, Page, PageRequest},
};

pub use checkpoints::{Checkpointer, Rhythm};
pub use erase::{EraseError, Erasure, erase_values, plan_erasure};
pub use proofs::AuditTree;
pub(super) use proofs::Tiles;
pub use prove::{EntryProof, prove_entry};
pub use seal::{SealError, SealPlan, SealUpTo, finish_sealing, plan_seal, seal_audit_log};
pub use verify::{
    VerifyError, export_audit_log, verify_audit_log, verify_audit_log_against, verify_audit_log_with_segments,
};

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
