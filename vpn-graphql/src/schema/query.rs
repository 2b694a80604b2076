//! Reads.

use async_graphql::{Context, Error, ID, Object};
use vpn_core::domain::{ApprovalId, ClientId, JobId, ServerId, TokenId};

use super::{
    Nullable, Scope,
    cursor::{self, AuditId, Part, cost},
    inputs::{ApprovalFilter, AuditFilter, ClientFilter, JobFilter, TokenFilter},
    types::{
        AccessToken, AccessTokenConnection, Approval, ApprovalConnection, AuditEntry, AuditEntryConnection, AuditTree,
        Health, Job, JobConnection, Node, Viewer, VpnClient, VpnClientConnection, VpnServer,
    },
};
use crate::error::told;

pub(crate) struct Query;

/// Reads. Lists are newest first, and what is added meanwhile shifts nothing. They give the `first` items
/// behind the cursor `after`, or the `last` ones before the cursor `before`: from 1 to 100, or 20.
#[Object]
impl Query {
    /// Who is asking.
    #[expect(clippy::unused_async, reason = "async-graphql wants every resolver async")]
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer, Error> {
        Ok(Viewer::from(&Scope::of(ctx)?.caller))
    }

    /// Anything by its global id; null when there is none.
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Nullable<Node> {
        find_node(ctx, &id).await.transpose()
    }

    /// A client; null when there is none.
    async fn client(&self, ctx: &Context<'_>, id: ID) -> Nullable<VpnClient> {
        find_client(ctx, id.parse().ok()?).await.transpose()
    }

    /// Clients, newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn clients(
        &self,
        ctx: &Context<'_>,
        filter: Option<ClientFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<VpnClientConnection, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let page = Part { first, after, last, before }.page()?;
        let filter = filter.unwrap_or_default().into_core()?;
        let clients = platform.clients(caller, &filter, &page).await.map_err(told)?;
        Ok(VpnClientConnection::new(clients, |client| client.id))
    }

    /// All VPN servers, by name.
    async fn servers(&self, ctx: &Context<'_>) -> Result<Vec<VpnServer>, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let servers = platform.servers(caller).await.map_err(told)?;
        Ok(servers.into_iter().map(VpnServer).collect())
    }

    /// A job; null when there is none.
    async fn job(&self, ctx: &Context<'_>, id: ID) -> Nullable<Job> {
        find_job(ctx, id.parse().ok()?).await.transpose()
    }

    /// Jobs, newest first.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        filter: Option<JobFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<JobConnection, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let page = Part { first, after, last, before }.page()?;
        let filter = filter.unwrap_or_default().into_core()?;
        let jobs = platform.jobs(caller, &filter, &page).await.map_err(told)?;
        Ok(JobConnection::new(jobs, |job| job.id))
    }

    /// The append-only audit log, newest first. Needs the permission `audit.read`.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        filter: Option<AuditFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<AuditEntryConnection, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let page = Part { first, after, last, before }.audit_page()?;
        let filter = filter.unwrap_or_default().into_core()?;
        let entries = platform.audit_log(caller, &filter, &page).await.map_err(told)?;
        Ok(AuditEntryConnection::new(entries, |entry| AuditId(entry.seq)))
    }

    /// The Merkle tree over the first `size` entries of the audit log, or over all there are. Take the
    /// size of a checkpoint that you kept. Needs the permission `audit.read`.
    #[graphql(complexity = "50 + child_complexity")]
    async fn audit_tree(&self, ctx: &Context<'_>, size: Option<String>) -> Result<AuditTree, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let size = size.map(|size| cursor::count("size", &size)).transpose()?;
        Ok(AuditTree(platform.audit_tree(caller, size).await.map_err(told)?))
    }

    /// Access tokens, newest first, without their secrets: everybody's with the permission `token.read`, and
    /// otherwise one's own.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn tokens(
        &self,
        ctx: &Context<'_>,
        filter: Option<TokenFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<AccessTokenConnection, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let page = Part { first, after, last, before }.page()?;
        let filter = filter.unwrap_or_default().into();
        let tokens = platform.tokens(caller, &filter, &page).await.map_err(told)?;
        Ok(AccessTokenConnection::new(tokens, |token| token.id))
    }

    /// What waits for a second person, and what became of it, newest first. Needs the permission
    /// `approval.read`.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn approvals(
        &self,
        ctx: &Context<'_>,
        filter: Option<ApprovalFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<ApprovalConnection, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let page = Part { first, after, last, before }.page()?;
        let filter = filter.unwrap_or_default().into();
        let approvals = platform.approvals(caller, &filter, &page).await.map_err(told)?;
        Ok(ApprovalConnection::new(approvals, |seen| seen.approval.id))
    }

    /// Whether the service can do its work right now: database, Redis, queue; and what there is to warn of on the VPN hosts.
    async fn health(&self, ctx: &Context<'_>) -> Result<Health, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(platform.health(caller).await.map_err(told)?.into())
    }
}

async fn find_client(ctx: &Context<'_>, id: ClientId) -> Result<Option<VpnClient>, Error> {
    let Scope { platform, caller, .. } = Scope::of(ctx)?;
    Ok(platform.client(caller, id).await.map_err(told)?.map(VpnClient))
}

async fn find_job(ctx: &Context<'_>, id: JobId) -> Result<Option<Job>, Error> {
    let Scope { platform, caller, .. } = Scope::of(ctx)?;
    Ok(platform.job(caller, id).await.map_err(told)?.map(Job))
}

async fn find_server(ctx: &Context<'_>, id: ServerId) -> Result<Option<VpnServer>, Error> {
    let Scope { platform, caller, .. } = Scope::of(ctx)?;
    Ok(platform.server(caller, id).await.map_err(told)?.map(VpnServer))
}

async fn find_entry(ctx: &Context<'_>, id: AuditId) -> Result<Option<AuditEntry>, Error> {
    let Scope { platform, caller, .. } = Scope::of(ctx)?;
    Ok(platform.audit_entry(caller, id.0).await.map_err(told)?.map(AuditEntry))
}

async fn find_token(ctx: &Context<'_>, id: TokenId) -> Result<Option<AccessToken>, Error> {
    let Scope { platform, caller, .. } = Scope::of(ctx)?;
    Ok(platform.token(caller, id).await.map_err(told)?.map(AccessToken::from))
}

async fn find_approval(ctx: &Context<'_>, id: ApprovalId) -> Result<Option<Approval>, Error> {
    let Scope { platform, caller, .. } = Scope::of(ctx)?;
    Ok(platform.approval(caller, id).await.map_err(told)?.map(Approval))
}

/// Its prefix says of which kind an id is.
async fn find_node(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>, Error> {
    if let Ok(id) = id.parse::<ClientId>() {
        Ok(find_client(ctx, id).await?.map(Node::from))
    } else if let Ok(id) = id.parse::<JobId>() {
        Ok(find_job(ctx, id).await?.map(Node::from))
    } else if let Ok(id) = id.parse::<ServerId>() {
        Ok(find_server(ctx, id).await?.map(Node::from))
    } else if let Ok(id) = id.parse::<AuditId>() {
        Ok(find_entry(ctx, id).await?.map(Node::from))
    } else if let Ok(id) = id.parse::<TokenId>() {
        Ok(find_token(ctx, id).await?.map(Node::from))
    } else if let Ok(id) = id.parse::<ApprovalId>() {
        Ok(find_approval(ctx, id).await?.map(Node::from))
    } else {
        Ok(None)
    }
}
