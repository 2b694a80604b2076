//! The types of the schema: thin skins over the core's.

mod audit;
mod client;
mod connection;
mod enums;
mod event;
mod health;
mod job;
mod node;
mod scalar;
mod server;
mod token;
mod user_error;
mod viewer;

pub(crate) use user_error::UserError;

pub(super) use self::{
    audit::AuditEntry,
    client::VpnClient,
    connection::{AuditEntryConnection, JobConnection, VpnClientConnection},
    enums::{ClientStatus, JobKind, JobState, Role},
    event::{ClientStatusEvent, JobEvent, LiveEvent},
    health::Health,
    job::Job,
    node::Node,
    scalar::DateTime,
    server::VpnServer,
    token::AccessToken,
    viewer::Viewer,
};
