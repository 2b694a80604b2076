//! Shuts a client out, for good: tombstone and CRL, then the open sessions, then once more those of a
//! handshake that was under way. It has succeeded only when all of that was read back.

use super::{attempt::Attempt, failure::StepError};
use crate::{
    audit::JobAct,
    boundary::{Boundary, reach},
    domain::{Claim, OpenVpnState, Step},
    host::{HostError, HostErrorKind, Killed, Revoked},
};

pub(super) const FIRST_STEP: Step = Step::PublishCrl;

pub(super) async fn run(attempt: &mut Attempt<'_>) -> Result<(), StepError> {
    let order = attempt.order()?;
    let revoked = attempt.on_host(Boundary::Tombstoned, || attempt.runner.hosts.revoke(order)).await?;
    prove_published(attempt, &revoked);
    let tx = attempt.begin().await?;
    reach(Boundary::Publishing)?;
    attempt.advance(tx, Step::Disconnect, JobAct::Published, &revoked.evidence).await?;
    reach(Boundary::Published)?;

    let mut killed = end_sessions(attempt).await?;
    attempt.prove(Claim::SessionsEnded, sessions_ended(&killed));
    let tx = attempt.begin().await?;
    reach(Boundary::Disconnecting)?;
    attempt.advance(tx, Step::Settle, JobAct::Disconnected, &killed.evidence).await?;
    reach(Boundary::Disconnected)?;

    if killed.server == OpenVpnState::Running {
        // A handshake that began before the CRL was replaced may have ended after the sessions were.
        tokio::time::sleep(attempt.runner.policy.settle).await;
        killed = end_sessions(attempt).await?;
    }
    attempt.prove(Claim::NoSessionLeft, no_session_left(killed.server));
    if let Some(detail) = reconnect_refused(&killed) {
        attempt.prove(Claim::ReconnectRefused, detail);
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
        OpenVpnState::Unreachable => HostErrorKind::SessionsUnproven,
        _ => HostErrorKind::SessionsLeft(killed.open),
    };
    Err(HostError::new(&attempt.server, kind, Some(killed.evidence)).into())
}

fn prove_published(attempt: &mut Attempt<'_>, revoked: &Revoked) {
    let serial = attempt.client.serial.clone();
    let detail =
        format!("the CRL in force, number {}, has the serial {serial}, and its signature is good", revoked.crl_number);
    attempt.prove(Claim::SerialInCrl, detail);
    let detail = match &revoked.readable_by {
        Some(user) => format!("the user {user}, who OpenVPN runs as, can reach and read the CRL"),
        None => "the host says that the user who OpenVPN runs as can reach the CRL".to_owned(),
    };
    attempt.prove(Claim::CrlReadable, detail);
}

fn sessions_ended(killed: &Killed) -> String {
    match (killed.server, killed.killed) {
        (OpenVpnState::Running, 0) => "the client was not connected: OpenVPN knew no session of it".to_owned(),
        (OpenVpnState::Running, count) => format!("OpenVPN ended {count} of its sessions and unfinished handshakes"),
        (server, _) => nobody(server).to_owned(),
    }
}

fn no_session_left(server: OpenVpnState) -> &'static str {
    match server {
        OpenVpnState::Running => {
            "OpenVPN was asked again, later, and lists no session of the client and no older handshake"
        }
        server => nobody(server),
    }
}

/// `None` where the host's scripts are too old to look.
fn reconnect_refused(killed: &Killed) -> Option<&'static str> {
    match (killed.server, killed.checks_crl) {
        (OpenVpnState::Running, true) => {
            Some("OpenVPN's configuration names the CRL in force, which it looks at with every new connection")
        }
        (OpenVpnState::Stopped, true) => {
            Some("OpenVPN is stopped; its configuration names the CRL, and it does not start without it")
        }
        (OpenVpnState::Absent, _) => Some(nobody(OpenVpnState::Absent)),
        _ => None,
    }
}

/// Why there can be no sessions where OpenVPN was not asked.
const fn nobody(server: OpenVpnState) -> &'static str {
    match server {
        OpenVpnState::Absent => "this host has no OpenVPN server",
        OpenVpnState::Stopped => "the OpenVPN server is stopped: its process is dead, and nobody can be connected",
        OpenVpnState::Running | OpenVpnState::Unreachable => "OpenVPN has not answered",
    }
}
