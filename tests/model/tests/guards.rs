//! Each guard, taken out: what breaks, and how.

use std::collections::BTreeSet;

use vpn_model::{Guard, Protocol, TABLE, explore};

#[expect(clippy::expect_used, reason = "called by tests only")]
fn breaks(test: &str) {
    let entry = TABLE.iter().find(|entry| entry.test == test).expect("the table has an entry of this name");
    let protocol = Protocol::without(entry.guards, entry.bounds);
    let trace = explore::shortest(&protocol, Some(entry.breaks)).expect("a way to what breaks");
    println!("without {:?}\n{trace}", entry.guards);
    assert_eq!(trace.property, entry.breaks);
}

macro_rules! each_breaks {
    ($($test:ident)+) => {
        const TESTS: &[&str] = &[$(stringify!($test)),+];
        $(#[test] fn $test() { breaks(stringify!($test)); })+
    };
}

each_breaks! {
    without_the_lock_two_workers_fence_each_other
    without_the_floor_a_job_is_stuck_after_redis_forgot
    without_a_strictly_newer_token_two_attempts_write_at_once
    without_a_strictly_newer_token_a_job_fails_for_nothing
    without_a_look_at_the_state_a_claim_takes_a_job_that_is_not_queued
    without_counting_at_the_claim_a_job_is_claimed_for_ever
    without_a_limit_a_job_is_claimed_for_ever
    without_the_fence_in_sql_an_overtaken_attempt_writes
    without_the_fence_in_sql_an_overtaken_attempt_fails_the_job
    without_a_look_at_the_state_a_commit_changes_a_finished_job
    without_the_request_in_advance_a_profile_is_stored_after_the_request
    without_the_request_in_activate_a_client_is_activated_after_the_request
    without_the_unique_index_a_second_provision_never_ends
    without_the_sweepers_second_look_a_finished_job_is_changed
    without_the_sweeper_the_job_of_a_lost_worker_never_ends
    without_the_sweepers_rings_a_lost_ring_is_a_lost_job
    without_flock_a_second_certificate_is_made
    without_flock_a_certificate_is_issued_after_the_revocation
    without_replay_a_second_certificate_is_made
    without_a_serial_of_its_own_a_second_certificate_is_made
    without_a_serial_of_its_own_a_revoked_client_keeps_a_certificate
    without_sealing_first_the_key_is_lost
    without_the_acknowledgement_the_key_is_left_on_the_host
    without_the_crl_first_a_session_comes_back
    without_the_second_kill_a_handshake_survives
    without_a_long_enough_settle_a_slow_handshake_survives
    without_proof_a_session_is_left
    without_the_host_fence_and_the_tombstone_a_certificate_is_issued_after_the_revocation
    without_the_same_attempt_and_all_that_keeps_tokens_apart_a_certificate_is_issued_after_the_revocation
    without_cancelling_what_waits_and_the_request_in_the_claim_a_provision_begins_after_the_request
    without_cancelling_what_waits_and_what_was_overtaken_a_provision_never_ends
    without_ending_and_cancelling_what_was_overtaken_a_provision_never_ends
    without_pending_in_claim_and_activate_and_the_unique_index_a_client_is_activated_twice
    without_sealing_first_and_the_look_for_the_key_a_client_is_active_without_a_profile
}

#[test]
fn every_entry_of_the_table_has_a_test() {
    let entries: Vec<&str> = TABLE.iter().map(|entry| entry.test).collect();
    assert_eq!(entries, TESTS);
}

#[test]
fn every_guard_is_in_the_table() {
    let listed: BTreeSet<Guard> = TABLE.iter().flat_map(|entry| entry.guards).copied().collect();
    assert_eq!(listed, Guard::ALL.iter().copied().collect());
}
