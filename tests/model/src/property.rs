//! What must be so in every state.

use stateright::Property;

use crate::{Breach, ClientStatus, JobState, KeyState, Profile, Protocol, Session, State};

/// A client has at most one certificate in its life.
pub const ONE_CERTIFICATE: &str = "at most one certificate is made for a client";
/// Nobody connects with a certificate of a revoked client.
pub const NONE_LIVE: &str = "a revoked client has no certificate that the CRL does not list";
/// The host holds nothing of a revoked client.
pub const NONE_ISSUED: &str = "nothing is issued after the revocation";
/// Nobody is connected as a revoked client.
pub const NO_SESSION: &str = "a revoked client has no session";
/// A client is activated once.
pub const ACTIVATED_ONCE: &str = "a client is activated once";
/// `revoked` is final.
pub const REVOKED_IS_FINAL: &str = "revoked is final";
/// A provision is not begun too late.
pub const NOT_BEGUN: &str = "no provision begins once the revocation was asked for";
/// A provision stores nothing too late.
pub const NOT_STORED: &str = "no profile is stored once the revocation was asked for";
/// A provision ends nothing too late.
pub const NOT_ACTIVATED: &str = "no client is activated once its revocation was asked for";
/// An end is an end.
pub const FINISHED_IS_FINAL: &str = "a finished job stays as it is";
/// Jobs move as the design says.
pub const LEGAL: &str = "jobs make legal transitions only";
/// A worker that was overtaken changes nothing.
pub const OVERTAKEN_IS_SILENT: &str = "who was overtaken writes nothing";
/// Faults are not mistaken for refusals.
pub const NOT_FOR_NOTHING: &str = "a job fails when its attempts are spent or it was overtaken, not otherwise";
/// A job that kills its worker does not loop for ever.
pub const BOUNDED: &str = "a job is claimed as often as it may be, and no more";
/// The key is somewhere.
pub const KEY_NOT_LOST: &str = "the host forgets a key only when the profile is stored";
/// The key is not left where it was made.
pub const KEY_NOT_LEFT: &str = "the host has no key of an active client";
/// The owner of an active client can get its profile.
pub const HAS_PROFILE: &str = "an active client has its profile";
/// Work that meets no fault meets no fence.
pub const UNDISTURBED: &str = "without a fault, the host refuses nobody";
/// Nothing that was asked for is lost.
pub const ENDS: &str = "every job ends at its next ring once nothing goes wrong any more";

/// All of them, and some states that have to be reached, so that the rest is not true of nothing.
#[must_use]
pub fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(ONE_CERTIFICATE, |_, s: &State| s.host.made <= 1),
        Property::always(NONE_LIVE, |_, s: &State| s.client.status != ClientStatus::Revoked || s.host.live == 0),
        Property::always(NONE_ISSUED, |_, s: &State| {
            s.client.status != ClientStatus::Revoked || s.host.issued.is_none()
        }),
        Property::always(NO_SESSION, |_, s: &State| {
            s.client.status != ClientStatus::Revoked || s.session == Session::None
        }),
        Property::always(ACTIVATED_ONCE, |_, s: &State| !s.breaches.has(Breach::ActivatedTwice)),
        Property::always(REVOKED_IS_FINAL, |_, s: &State| !s.breaches.has(Breach::RevokedClientChanged)),
        Property::always(NOT_BEGUN, |_, s: &State| !s.breaches.has(Breach::BegunAfterRequest)),
        Property::always(NOT_STORED, |_, s: &State| !s.breaches.has(Breach::StoredAfterRequest)),
        Property::always(NOT_ACTIVATED, |_, s: &State| !s.breaches.has(Breach::ActivatedAfterRequest)),
        Property::always(FINISHED_IS_FINAL, |_, s: &State| !s.breaches.has(Breach::FinishedJobChanged)),
        Property::always(LEGAL, |_, s: &State| !s.breaches.has(Breach::IllegalTransition)),
        Property::always(OVERTAKEN_IS_SILENT, |_, s: &State| !s.breaches.has(Breach::OvertakenWrote)),
        Property::always(NOT_FOR_NOTHING, |_, s: &State| !s.breaches.has(Breach::FailedForNothing)),
        Property::always(BOUNDED, |m: &Protocol, s: &State| {
            s.jobs.iter().all(|job| job.claims <= m.bounds.max_attempts)
        }),
        Property::always(KEY_NOT_LOST, |_, s: &State| {
            let forgotten = s.host.issued.is_some_and(|issued| issued.key == KeyState::Forgotten);
            !forgotten || s.client.revocation || s.client.profile != Profile::None
        }),
        Property::always(KEY_NOT_LEFT, |_, s: &State| {
            let present = s.host.issued.is_some_and(|issued| issued.key == KeyState::Present);
            !present || s.client.status != ClientStatus::Active
        }),
        Property::always(HAS_PROFILE, |_, s: &State| {
            s.client.status != ClientStatus::Active || s.client.revocation || s.client.profile != Profile::None
        }),
        Property::always(UNDISTURBED, |_, s: &State| !s.breaches.has(Breach::FencedWithoutFault)),
        Property::always(ENDS, |m: &Protocol, s: &State| m.ends_quietly(s)),
        Property::sometimes(REACHED_REVOKED, |_, s: &State| s.client.status == ClientStatus::Revoked),
        Property::sometimes(REACHED_FAILED, |_, s: &State| s.jobs.iter().any(|job| job.state == JobState::Failed)),
        Property::sometimes(REACHED_STALE, |_, s: &State| {
            s.commands.iter().any(|command| command.token < s.host.fence) && s.client.status == ClientStatus::Revoked
        }),
    ]
}

/// To be reached.
pub const REACHED_REVOKED: &str = "a client comes to its end";
/// To be reached.
pub const REACHED_FAILED: &str = "a job fails";
/// To be reached.
pub const REACHED_STALE: &str = "a command is under way after the revocation";
