//! The database brought level with a VPN host that is ahead of it: after a restore from an older backup,
//! or when the host itself was set back.
//!
//! A host remembers every serial: how far its fence came, whether it was issued, whether it was revoked.
//! A platform that is behind is refused there, client by client. [`Reconciler::plan`] compares the two
//! and changes nothing; [`Reconciler::apply`] does what the plan says.
//!
//! | the host says | the database says | what is done |
//! | --- | --- | --- |
//! | a higher fence | a lower one | the fence is raised: it only ever grows, so the higher one is right |
//! | revoked | pending, active | the client is revoked: a revocation is final wherever it is known |
//! | whatever | to be revoked, and that was given up | it is asked for again |
//! | not revoked, or its CRL lacks it, or it is connected | revoked | revoked again on the host, and its sessions ended |
//! | issued, and the key is gone from it | pending, and no profile | revoked; with `adopt`, active |
//! | issued, or begun | nothing | recorded, then revoked; with `adopt`, kept |
//! | taken over from another PKI | nothing | shown; with `adopt`, recorded as active |
//! | revoked | nothing | with `adopt`, recorded as revoked |
//! | issued, or begun | a client of another server, and no other CA | shown, and left alone: the host is registered twice, or is a copy |
//! | nothing | active | shown, and left alone: a host that was set back refuses it before TLS; revoke it, and make a new client |
//!
//! A certificate that the database does not know is revoked unless a person decides otherwise: nobody
//! can say who asked for it, and whoever has it is let in. To revoke one too many costs a new client;
//! to keep one too many keeps a door open that nobody watches. Everything is done in the usual ways: fences
//! rise, revocations are jobs, and each client has its entry `client.reconciled` in the audit log.

mod apply;
mod plan;

use crate::{
    domain::{Caller, ClientId, CommonName, JobId, Permission, Server, ServerName},
    error::Error,
    host::HostError,
    jobs::Runner,
    lock::LockError,
    service::Platform,
    store::StoreError,
};

pub use apply::{Done, Outcome};
pub use plan::{Act, Finding, Left, Plan};

/// Why a server was not reconciled.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The database.
    #[error("the database failed: {0}")]
    Store(#[from] StoreError),
    /// The lock of a client.
    #[error("the lock of a client could not be had: {0}")]
    Lock(#[from] LockError),
    /// The platform refused.
    #[error(transparent)]
    Refused(#[from] Error),
    /// A job failed for good.
    #[error("the job {job} failed: {why}. When that is put right, run this again")]
    Failed {
        /// Which.
        job: JobId,
        /// Why.
        why: String,
    },
    /// Another client stands in the way.
    #[error("{0}")]
    InTheWay(String),
    /// The database knows it: under another server, or because somebody has recorded it meanwhile.
    #[error(
        "the database has this certificate as {name} ({id}) of the server {server}: nothing was done \
         about it; run this again without --apply, which shows what it means"
    )]
    Known {
        /// The client's name.
        name: CommonName,
        /// Which.
        id: ClientId,
        /// Its server.
        server: ServerName,
    },
    /// It lets nobody in, and is left as it is.
    #[error("{0}")]
    Left(String),
}

/// Compares, and brings level.
pub struct Reconciler {
    runner: Runner,
    platform: Platform,
    caller: Caller,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler").field("caller", &self.caller.principal).finish_non_exhaustive()
    }
}

impl Reconciler {
    /// On behalf of this caller.
    #[must_use]
    pub const fn new(runner: Runner, platform: Platform, caller: Caller) -> Self {
        Self { runner, platform, caller }
    }

    /// The server with this name. For administrators only; a refusal is audited.
    pub async fn server(&self, name: &str) -> Result<Server, ReconcileError> {
        Ok(self.platform.server_named(&self.caller, Permission::ReconcileServer, name).await?)
    }
}
