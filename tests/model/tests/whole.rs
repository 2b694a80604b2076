//! The protocol as it is: every state within the bounds.

use vpn_model::{Bounds, Protocol, explore};

fn holds(bounds: Bounds) {
    let report = explore::everything(&Protocol::whole(bounds), 2);
    println!("{} states, {} steps deep, {:.1} s", report.states, report.depth, report.took.as_secs_f64());
    assert_eq!(report.broken, Vec::<&str>::new());
    assert_eq!(report.unreached, Vec::<&str>::new(), "a property that is true of nothing proves nothing");
}

#[test]
fn a_clients_whole_life_keeps_every_property() {
    holds(Bounds::LIFE);
}

#[test]
fn a_client_that_is_shut_out_while_it_connects_keeps_every_property() {
    holds(Bounds::END);
}

#[test]
fn jobs_that_are_asked_for_again_keep_every_property() {
    holds(Bounds::ASKED_AGAIN);
}
