//! The use cases: what they refuse, what they remember, and who may.

mod access;
mod approvals;
mod clients;
mod database_away;
mod idempotency;
mod links;
mod live;
mod servers;
mod terms;
mod tokens;

use vpn_core::error::{Error, Rejection, RejectionCode};

/// What was rejected; panics if it was not.
fn rejection<T>(answer: Result<T, Error>) -> Rejection {
    match answer {
        Err(Error::Rejected(rejection)) => rejection,
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("this should have been rejected"),
    }
}

fn code<T>(answer: Result<T, Error>) -> RejectionCode {
    rejection(answer).code
}
