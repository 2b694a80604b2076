//! Which guard keeps which property.

use crate::{Bounds, Guard, property};

/// Guards that keep a property together: it breaks without all of them, and holds without all but one.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The test, in tests/guards.rs.
    pub test: &'static str,
    /// What is taken out.
    pub guards: &'static [Guard],
    /// Where to look.
    pub bounds: Bounds,
    /// What breaks.
    pub breaks: &'static str,
}

const fn entry(test: &'static str, guards: &'static [Guard], bounds: Bounds, breaks: &'static str) -> Entry {
    Entry { test, guards, bounds, breaks }
}

use Guard as G;

const LIFE: Bounds = Bounds::LIFE;
const AGAIN: Bounds = Bounds::ASKED_AGAIN;
const END: Bounds = Bounds::END;

/// The table of README.md.
#[rustfmt::skip]
pub const TABLE: &[Entry] = &[
    entry("without_the_lock_two_workers_fence_each_other", &[G::LockHeld], LIFE, property::UNDISTURBED),
    entry("without_the_floor_a_job_is_stuck_after_redis_forgot", &[G::FloorFromSql], LIFE, property::ENDS),

    entry("without_a_strictly_newer_token_two_attempts_write_at_once", &[G::StrictAdopt], LIFE, property::OVERTAKEN_IS_SILENT),
    entry("without_a_strictly_newer_token_a_job_fails_for_nothing", &[G::StrictAdopt], LIFE, property::NOT_FOR_NOTHING),
    entry("without_a_look_at_the_state_a_claim_takes_a_job_that_is_not_queued", &[G::QueuedAtClaim], LIFE, property::LEGAL),
    entry("without_counting_at_the_claim_a_job_is_claimed_for_ever", &[G::CountAtClaim], LIFE, property::BOUNDED),
    entry("without_a_limit_a_job_is_claimed_for_ever", &[G::LimitAttempts], LIFE, property::BOUNDED),

    entry("without_the_fence_in_sql_an_overtaken_attempt_writes", &[G::FenceAtCommit], LIFE, property::OVERTAKEN_IS_SILENT),
    entry("without_the_fence_in_sql_an_overtaken_attempt_fails_the_job", &[G::FenceAtCommit], LIFE, property::NOT_FOR_NOTHING),
    entry("without_a_look_at_the_state_a_commit_changes_a_finished_job", &[G::RunningAtCommit], LIFE, property::FINISHED_IS_FINAL),
    entry("without_the_request_in_advance_a_profile_is_stored_after_the_request", &[G::RevocationAtAdvance], LIFE, property::NOT_STORED),
    entry("without_the_request_in_activate_a_client_is_activated_after_the_request", &[G::RevocationAtActivate], LIFE, property::NOT_ACTIVATED),

    entry("without_the_unique_index_a_second_provision_never_ends", &[G::UniqueOpenJob], AGAIN, property::ENDS),
    entry("without_the_sweepers_second_look_a_finished_job_is_changed", &[G::SweeperRechecks], LIFE, property::FINISHED_IS_FINAL),
    entry("without_the_sweeper_the_job_of_a_lost_worker_never_ends", &[G::SweeperReleases], LIFE, property::ENDS),
    entry("without_the_sweepers_rings_a_lost_ring_is_a_lost_job", &[G::SweeperRings], LIFE, property::ENDS),

    entry("without_flock_a_second_certificate_is_made", &[G::Flock], LIFE, property::ONE_CERTIFICATE),
    entry("without_flock_a_certificate_is_issued_after_the_revocation", &[G::Flock], LIFE, property::NONE_ISSUED),
    entry("without_replay_a_second_certificate_is_made", &[G::Replay], LIFE, property::ONE_CERTIFICATE),
    entry("without_a_serial_of_its_own_a_second_certificate_is_made", &[G::SerialFirst], LIFE, property::ONE_CERTIFICATE),
    entry("without_a_serial_of_its_own_a_revoked_client_keeps_a_certificate", &[G::SerialFirst], LIFE, property::NONE_LIVE),

    entry("without_sealing_first_the_key_is_lost", &[G::SealFirst], LIFE, property::KEY_NOT_LOST),
    entry("without_the_acknowledgement_the_key_is_left_on_the_host", &[G::Acknowledge], LIFE, property::KEY_NOT_LEFT),

    entry("without_the_crl_first_a_session_comes_back", &[G::CrlFirst], END, property::NO_SESSION),
    entry("without_the_second_kill_a_handshake_survives", &[G::Settle], END, property::NO_SESSION),
    entry("without_a_long_enough_settle_a_slow_handshake_survives", &[G::SettleOutlasts], END, property::NO_SESSION),
    entry("without_proof_a_session_is_left", &[G::SessionsProven], END, property::NO_SESSION),

    entry("without_the_host_fence_and_the_tombstone_a_certificate_is_issued_after_the_revocation", &[G::HostFence, G::Tombstone], LIFE, property::NONE_ISSUED),
    entry("without_the_same_attempt_and_all_that_keeps_tokens_apart_a_certificate_is_issued_after_the_revocation", &[G::HostSameAttempt, G::StrictAdopt, G::FloorFromSql, G::Tombstone], LIFE, property::NONE_ISSUED),
    entry("without_cancelling_what_waits_and_the_request_in_the_claim_a_provision_begins_after_the_request", &[G::CancelWaiting, G::RevocationAtClaim], LIFE, property::NOT_BEGUN),
    entry("without_cancelling_what_waits_and_what_was_overtaken_a_provision_never_ends", &[G::CancelWaiting, G::CancelOvertaken], LIFE, property::ENDS),
    entry("without_ending_and_cancelling_what_was_overtaken_a_provision_never_ends", &[G::OvertakenEnds, G::CancelOvertaken], LIFE, property::ENDS),
    entry("without_pending_in_claim_and_activate_and_the_unique_index_a_client_is_activated_twice", &[G::PendingAtClaim, G::PendingAtActivate, G::UniqueOpenJob], AGAIN, property::ACTIVATED_ONCE),
    entry("without_sealing_first_and_the_look_for_the_key_a_client_is_active_without_a_profile", &[G::SealFirst, G::KeyLost], LIFE, property::HAS_PROFILE),
];
