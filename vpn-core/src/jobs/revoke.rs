//! Shuts a client out, for good: tombstone and CRL, then the open sessions, then once more those of a
//! handshake that was under way. It has succeeded only when all of that was read back.

use super::{attempt::Attempt, failure::StepError};
use crate::{
    audit::JobAct,
    domain::Step,
    host::{HostError, HostErrorKind, Killed, VpnServer},
};

pub(super) const FIRST_STEP: Step = Step::PublishCrl;

pub(super) async fn run(attempt: &mut Attempt<'_>) -> Result<(), StepError> {
    let revoked = attempt.runner.hosts.revoke(attempt.order()?).await?;
    let tx = attempt.begin().await?;
    attempt.advance(tx, Step::Disconnect, JobAct::Published, &revoked.evidence).await?;

    let mut killed = end_sessions(attempt).await?;
    let tx = attempt.begin().await?;
    attempt.advance(tx, Step::Settle, JobAct::Disconnected, &killed.evidence).await?;

    if killed.server == VpnServer::Running {
        // A handshake that began before the CRL was replaced may have ended after the sessions were.
        tokio::time::sleep(attempt.runner.policy.settle).await;
        killed = end_sessions(attempt).await?;
    }
    let mut tx = attempt.begin().await?;
    tx.mark_client_revoked(attempt.client.id, attempt.fence()).await?;
    tx.destroy_profile(attempt.client.id).await?;
    Ok(attempt.succeed(tx, &killed.evidence).await?)
}

/// Ends the client's sessions; an error unless it is proven that none is left.
async fn end_sessions(attempt: &Attempt<'_>) -> Result<Killed, StepError> {
    let killed = attempt.runner.hosts.kill(attempt.order()?).await?;
    if killed.proves_no_session() {
        return Ok(killed);
    }
    let kind = match killed.server {
        VpnServer::Unreachable => HostErrorKind::SessionsUnproven,
        _ => HostErrorKind::SessionsLeft(killed.open),
    };
    Err(HostError::new(&attempt.server, kind, Some(killed.evidence)).into())
}
