//! The protocol as it is: every state within the bounds.

use vpn_model::{Bounds, Faults, Protocol, TABLE, explore};

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

/// An entry of several guards says that each of them alone would do.
#[test]
#[ignore = "four minutes: cargo test -p vpn-model -- --ignored"]
fn guards_that_stand_in_for_each_other_do() {
    for entry in TABLE.iter().filter(|entry| entry.guards.len() > 1) {
        for kept in entry.guards {
            let others: Vec<_> = entry.guards.iter().copied().filter(|guard| guard != kept).collect();
            let bounds = Bounds { faults: Faults { doubled: 0, ..entry.bounds.faults }, ..entry.bounds };
            let found = explore::shortest(&Protocol::without(&others, bounds), Some(entry.breaks));
            assert!(found.is_none(), "{kept:?} alone does not keep it: {}", found.expect("a way"));
        }
    }
}
