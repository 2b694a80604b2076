//! Lets a client connect: the host makes key and certificate, the platform stores the sealed profile,
//! and only then the host is told to forget the keys in it.

use super::{attempt::Attempt, failure::StepError};
use crate::{
    audit::JobAct,
    boundary::{Boundary, reach},
    domain::{Certificate, ProvisionInput, Step},
    host::{Issued, KeyState, certificate_of_profile, check_validity},
    store::NewProfile,
};

pub(super) const FIRST_STEP: Step = Step::Issue;

pub(super) async fn run(attempt: &mut Attempt<'_>, input: &ProvisionInput) -> Result<(), StepError> {
    let (issued, certificate) = issue(attempt, input).await?;
    seal(attempt, &issued, &certificate, input.validity_days).await?;
    let order = attempt.order()?;
    let hosts = &attempt.runner.hosts;
    let acknowledged = attempt.on_host(Boundary::Acknowledged, || hosts.acknowledge(order)).await?;
    let mut tx = attempt.begin().await?;
    tx.activate_client(attempt.client.id, &certificate, attempt.fence()).await?;
    reach(Boundary::Activating)?;
    attempt.succeed(tx, &acknowledged).await?;
    Ok(reach(Boundary::Activated)?)
}

/// Idempotent on the host: the serial was chosen before the first attempt, and the same order gives
/// the same bytes.
async fn issue(attempt: &Attempt<'_>, input: &ProvisionInput) -> Result<(Issued, Certificate), StepError> {
    let order = attempt.order()?;
    let issued = attempt.on_host(Boundary::Issued, || attempt.runner.hosts.issue(order, input)).await?;
    let certificate = certificate_of_profile(&issued.profile, &attempt.client, input.csr.as_deref())?;
    Ok((issued, certificate))
}

/// Stores the profile. An attempt before this one may have done that, and may have told the host to
/// forget the key: then what is stored is all there is.
async fn seal(
    attempt: &mut Attempt<'_>,
    issued: &Issued,
    certificate: &Certificate,
    days: u16,
) -> Result<(), StepError> {
    let mut tx = attempt.begin().await?;
    check_validity(certificate, days, tx.at())?;
    let stored = tx.profile(attempt.client.id).await?;
    let is_stored = stored.is_some_and(|stored| stored.sealed.is_some());
    if issued.key == KeyState::Forgotten && !is_stored {
        return Err(StepError::KeyLost);
    }
    if issued.key != KeyState::Forgotten {
        let sealed = attempt.runner.vault.seal(&issued.profile, &attempt.client, &attempt.runner.ambient)?;
        let has_key = issued.key == KeyState::Present;
        tx.store_profile(&NewProfile { client_id: attempt.client.id, sealed, has_key }, attempt.fence()).await?;
    }
    reach(Boundary::Sealing)?;
    attempt.advance(tx, Step::Acknowledge, JobAct::Sealed, &issued.evidence).await?;
    Ok(reach(Boundary::Sealed)?)
}
