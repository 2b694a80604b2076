//! VPN servers.

use async_graphql::{Context, Error, ID, Object};
use vpn_core::domain::{Drift, Server};

use super::{DateTime, VpnClientConnection, contact::ServerContact, drift::ServerDrift, enums::ServerState};
use crate::schema::{
    Nullable, Scope,
    cursor::{Part, cost},
    loaders::{ClientsOf, ContactOf, DriftOf},
};

pub(crate) struct VpnServer(pub(crate) Server);

impl From<Server> for VpnServer {
    fn from(server: Server) -> Self {
        Self(server)
    }
}

/// A VPN host that the platform works on, over SSH.
#[Object]
impl VpnServer {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// What people call it; unique.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// The DNS name or IP address of its SSH server.
    async fn host(&self) -> &str {
        self.0.address.host()
    }

    /// The TCP port of its SSH server.
    async fn port(&self) -> i32 {
        self.0.address.port().into()
    }

    /// The account that the platform logs in to.
    async fn user(&self) -> &str {
        self.0.address.user()
    }

    /// What may be done on it.
    async fn state(&self) -> ServerState {
        self.0.state.into()
    }

    /// The host key that it has to show, as `known_hosts` has it: `ssh-ed25519 AAAA…`; null until one is confirmed.
    async fn host_key(&self) -> Option<&str> {
        self.0.host_key.as_deref()
    }

    /// What was seen of it from looking at it; null when no worker has looked yet.
    async fn contact(&self, ctx: &Context<'_>) -> Nullable<ServerContact> {
        Scope::find(ctx, ContactOf(self.0.id)).await
    }

    /// Where it and the platform differ; null when no worker has compared them yet.
    async fn drift(&self, ctx: &Context<'_>) -> Nullable<ServerDrift> {
        let found: Nullable<Drift> = Scope::find(ctx, DriftOf(self.0.id)).await;
        found.map(|drift| Ok(ServerDrift::of(self.0.name.clone(), drift?)))
    }

    /// Who registered it.
    async fn created_by(&self) -> &str {
        &self.0.created_by
    }

    /// When it was registered.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Its clients, newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn clients(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<VpnClientConnection, Error> {
        let page = Part { first, after, last, before }.page()?;
        let clients = Scope::page(ctx, ClientsOf(self.0.id, page)).await?;
        Ok(VpnClientConnection::new(clients, |client| client.id))
    }
}
