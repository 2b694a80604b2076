//! The commands, one file for each noun.

pub(crate) mod approval;
pub(crate) mod client;
pub(crate) mod completion;
pub(crate) mod context;
pub(crate) mod health;
pub(crate) mod job;
pub(crate) mod logs;
pub(crate) mod server;
pub(crate) mod status;
pub(crate) mod token;
