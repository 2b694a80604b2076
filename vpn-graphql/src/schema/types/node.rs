//! Whatever has a global id.

use async_graphql::{ID, Interface};

use super::{AccessToken, Approval, AuditEntry, Job, VpnClient, VpnServer};

/// Anything that can be fetched again by its global id.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Globally unique and opaque: store it, compare it, never parse it."))]
pub(crate) enum Node {
    /// A client.
    VpnClient(VpnClient),
    /// A server.
    VpnServer(VpnServer),
    /// A job.
    Job(Job),
    /// An entry of the audit log.
    AuditEntry(AuditEntry),
    /// An access token.
    AccessToken(AccessToken),
    /// What waits for a second person, or waited.
    Approval(Approval),
}
