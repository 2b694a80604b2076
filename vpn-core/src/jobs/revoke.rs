//! Shuts a client out, for good: tombstone and CRL, then the open sessions, then once more those of a
//! handshake that was under way. It has succeeded only when all of that was read back.

use super::{attempt::Attempt, failure::StepError};
use crate::{
    audit::JobAct,
    boundary::{Boundary, reach},
    domain::{Step, VpnServer},
    host::{HostError, HostErrorKind, Killed},
};

pub(super) const FIRST_STEP: Step = Step::PublishCrl;

pub(super) async fn run(attempt: &mut Attempt<'_>) -> Result<(), StepError> {
    let order = attempt.order()?;
    let revoked = attempt.on_host(Boundary::Tombstoned, || attempt.runner.hosts.revoke(order)).await?;
    let tx = attempt.begin().await?;
    reach(Boundary::Publishing)?;
    attempt.advance(tx, Step::Disconnect, JobAct::Published, &revoked.evidence).await?;
    reach(Boundary::Published)?;

    let mut killed = end_sessions(attempt).await?;
    let tx = attempt.begin().await?;
    reach(Boundary::Disconnecting)?;
    attempt.advance(tx, Step::Settle, JobAct::Disconnected, &killed.evidence).await?;
    reach(Boundary::Disconnected)?;

    if killed.server == VpnServer::Running {
        // A handshake that began before the CRL was replaced may have ended after the sessions were.
        tokio::time::sleep(attempt.runner.policy.settle).await;
        killed = end_sessions(attempt).await?;
    }
    let mut tx = attempt.begin().await?;
    tx.mark_client_revoked(attempt.client.id, attempt.fence()).await?;
    tx.destroy_profile(attempt.client.id).await?;
    reach(Boundary::Revoking)?;
    attempt.succeed(tx, &killed.evidence).await?;
    Ok(reach(Boundary::Revoked)?)
}

/// Ends the client's sessions; an error unless it is proven that none is left.
async fn end_sessions(attempt: &Attempt<'_>) -> Result<Killed, StepError> {
    let order = attempt.order()?;
    let killed = attempt.on_host(Boundary::Killed, || attempt.runner.hosts.kill(order)).await?;
    if killed.proves_no_session() {
        return Ok(killed);
    }
    let kind = match killed.server {
        VpnServer::Unreachable => HostErrorKind::SessionsUnproven,
        _ => HostErrorKind::SessionsLeft(killed.open),
    };
    Err(HostError::new(&attempt.server, kind, Some(killed.evidence)).into())
}
