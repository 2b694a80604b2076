//! The types of the schema: thin skins over the core's.

mod approval;
mod audit;
mod audit_tree;
mod client;
mod connection;
mod contact;
mod drift;
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
    approval::Approval,
    audit::AuditEntry,
    audit_tree::AuditTree,
    client::VpnClient,
    connection::{AccessTokenConnection, ApprovalConnection, AuditEntryConnection, JobConnection, VpnClientConnection},
    enums::{ApprovalState, ClientStatus, JobKind, JobState, RevocationClaim, Role, Scope, TwoPersonOperation},
    event::{ApprovalEvent, AuditLogEvent, ClientStatusEvent, JobEvent, LiveEvent},
    health::Health,
    job::Job,
    node::Node,
    scalar::DateTime,
    server::VpnServer,
    token::AccessToken,
    viewer::Viewer,
};
