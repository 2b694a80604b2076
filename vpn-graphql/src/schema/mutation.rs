//! Writes.

use async_graphql::{Context, Error, Object};

use super::{
    Scope,
    inputs::{
        ApproveRequestInput, CreateClientInput, CreateTokenInput, DeliverProfileInput, DenyRequestInput,
        ProvisionClientInput, RegisterServerInput, RetryJobInput, RevokeClientInput, RevokeTokenInput,
    },
    payloads::{
        ApproveRequestPayload, CreateClientPayload, CreateTokenPayload, DeliverProfilePayload, DenyRequestPayload,
        ProvisionClientPayload, RegisterServerPayload, RetryJobPayload, RevokeClientPayload, RevokeTokenPayload,
    },
};
use crate::error::as_data;

pub(crate) struct Mutation;

/// Writes. What the caller can put right comes back as `userErrors`; then nothing was changed.
#[Object]
impl Mutation {
    /// Make a VPN host known, with its pinned host key. Nothing is connected yet.
    async fn register_server(
        &self,
        ctx: &Context<'_>,
        input: RegisterServerInput,
    ) -> Result<RegisterServerPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.register_server(caller, input.into()).await)?.into())
    }

    /// Record a client. Nothing happens on the VPN host yet.
    async fn create_client(&self, ctx: &Context<'_>, input: CreateClientInput) -> Result<CreateClientPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.create_client(caller, input.into()).await)?.into())
    }

    /// Queue the job that lets a client connect. With `csr`, the private key never leaves its owner.
    async fn provision_client(
        &self,
        ctx: &Context<'_>,
        input: ProvisionClientInput,
    ) -> Result<ProvisionClientPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.provision_client(caller, input.into()).await)?.into())
    }

    /// Queue the job that takes a client's access away, for good. Asked again, it gives the first result.
    async fn revoke_client(&self, ctx: &Context<'_>, input: RevokeClientInput) -> Result<RevokeClientPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.revoke_client(caller, input.into()).await)?.into())
    }

    /// Queue a failed job again, as a new one.
    async fn retry_job(&self, ctx: &Context<'_>, input: RetryJobInput) -> Result<RetryJobPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.retry_job(caller, input.into()).await)?.into())
    }

    /// The connection profile, once: afterwards the platform no longer has the private key.
    async fn deliver_profile(
        &self,
        ctx: &Context<'_>,
        input: DeliverProfileInput,
    ) -> Result<DeliverProfilePayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.deliver_profile(caller, &input.client_id).await)?.into())
    }

    /// Make an access token.
    async fn create_token(&self, ctx: &Context<'_>, input: CreateTokenInput) -> Result<CreateTokenPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.create_token(caller, input.into()).await)?.into())
    }

    /// End an access token, and what its bearer follows live. Asked again, it changes nothing.
    async fn revoke_token(&self, ctx: &Context<'_>, input: RevokeTokenInput) -> Result<RevokeTokenPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.revoke_token(caller, &input.token_id).await)?.into())
    }

    /// Approve what somebody else asked for; it is done in the same instant. You have to be allowed it yourself.
    async fn approve_request(
        &self,
        ctx: &Context<'_>,
        input: ApproveRequestInput,
    ) -> Result<ApproveRequestPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.approve_request(caller, &input.approval_id).await)?.into())
    }

    /// Deny what somebody else asked for. You have to be allowed it yourself.
    async fn deny_request(&self, ctx: &Context<'_>, input: DenyRequestInput) -> Result<DenyRequestPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.deny_request(caller, &input.approval_id, &input.reason).await)?.into())
    }
}
