//! A model of the protocol that keeps the platform's promise: a client is never provisioned twice, a
//! revoked client never comes back, and nothing that was asked for is lost.
//!
//! It is not the code, but it takes the code's steps, one after the other, under the code's names:
//! [`Action`] lists them. Workers crash, stall past their leases and give SSH up; Redis loses everything;
//! commands run on the host long after anybody waits for them. [`stateright`] goes through every order in
//! which all of that can happen within [`Bounds`], and compares each state with [`property`].
//!
//! Each condition that the code checks is a [`Guard`] here, and can be taken out. What then breaks, and
//! in how many steps, is the answer to "do we need this?"; README.md has the table.

mod action;
mod bounds;
pub mod explore;
mod guard;
mod host;
mod may;
pub mod property;
mod protocol;
mod quiet;
mod state;
mod table;
mod tidy;
mod worker;

pub use action::{Action, Outcome};
pub use bounds::{Bounds, Faults, Start};
pub use guard::{Guard, Guards};
pub use protocol::Protocol;
pub use state::{
    Attempt, AttemptId, Breach, Breaches, Client, ClientStatus, Command, Error, Host, Issued, Job, JobId, JobKind,
    JobState, KeyState, Pc, Phase, Profile, Redis, Reply, Session, State, Token, Verb,
};
pub use table::{Entry, TABLE};
