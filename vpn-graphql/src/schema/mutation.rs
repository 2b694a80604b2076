//! Writes.

use async_graphql::{Context, Error, Object};

use super::{
    Scope,
    inputs::{
        CreateClientInput, CreateProfileLinkInput, CreateTokenInput, DeliverProfileInput, ProvisionClientInput,
        RegisterServerInput, RetryJobInput, RevokeClientInput, RevokeTokenInput,
    },
    payloads::{
        CreateClientPayload, CreateProfileLinkPayload, CreateTokenPayload, DeliverProfilePayload,
        ProvisionClientPayload, RegisterServerPayload, RetryJobPayload, RevokeClientPayload, RevokeTokenPayload,
    },
    types::{AccessToken, VpnClient, VpnServer},
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
        let (server, user_errors) = as_data(platform.register_server(caller, input.into()).await)?;
        Ok(RegisterServerPayload { server: server.map(VpnServer), user_errors })
    }

    /// Record a client. Nothing happens on the VPN host yet.
    async fn create_client(&self, ctx: &Context<'_>, input: CreateClientInput) -> Result<CreateClientPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let (client, user_errors) = as_data(platform.create_client(caller, input.into()).await)?;
        Ok(CreateClientPayload { client: client.map(VpnClient), user_errors })
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

    /// Make a link to the connection profile, for whoever has no token: it works once, and for a short
    /// time. Whoever has it can take the profile.
    async fn create_profile_link(
        &self,
        ctx: &Context<'_>,
        input: CreateProfileLinkInput,
    ) -> Result<CreateProfileLinkPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        as_data(platform.create_profile_link(caller, input.into()).await)?.try_into()
    }

    /// Make an access token.
    async fn create_token(&self, ctx: &Context<'_>, input: CreateTokenInput) -> Result<CreateTokenPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.create_token(caller, input.into()).await)?.into())
    }

    /// End an access token, and what its bearer follows live. Asked again, it changes nothing.
    async fn revoke_token(&self, ctx: &Context<'_>, input: RevokeTokenInput) -> Result<RevokeTokenPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        let (token, user_errors) = as_data(platform.revoke_token(caller, &input.token_id).await)?;
        Ok(RevokeTokenPayload { token: token.map(AccessToken::from), user_errors })
    }
}
