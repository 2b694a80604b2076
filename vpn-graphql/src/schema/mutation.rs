//! Writes.

use async_graphql::{Context, Error, Object};

use super::{
    Scope,
    inputs::{
        ApproveRequestInput, ConfirmConfigurationInput, CreateClientInput, CreateProfileLinkInput, CreateTokenInput,
        DeliverProfileInput, DenyRequestInput, DisableServerInput, EnableServerInput, MoveServerInput, PinHostKeyInput,
        ProvisionClientInput, RegisterServerInput, RetireServerInput, RetryJobInput, RevokeClientInput,
        RevokeTokenInput,
    },
    payloads::{
        ApproveRequestPayload, ConfirmConfigurationPayload, CreateClientPayload, CreateProfileLinkPayload,
        CreateTokenPayload, DeliverProfilePayload, DenyRequestPayload, DisableServerPayload, EnableServerPayload,
        MoveServerPayload, PinHostKeyPayload, ProvisionClientPayload, RegisterServerPayload, RetireServerPayload,
        RetryJobPayload, RevokeClientPayload, RevokeTokenPayload,
    },
};
use crate::error::as_data;

pub(crate) struct Mutation;

/// Writes. What the caller can put right comes back as `userErrors`; then nothing was changed.
#[Object]
impl Mutation {
    /// Make a VPN host known. With `hostKey`, clients can be created on it at once; without, the key that it shows has to
    /// be confirmed first.
    async fn register_server(
        &self,
        ctx: &Context<'_>,
        input: RegisterServerInput,
    ) -> Result<RegisterServerPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.register_server(caller, input.into()).await)?.into())
    }

    /// Confirm the host key that a VPN host shows: of one that was registered without a key, or has a new one. Asked
    /// again, it changes nothing.
    async fn pin_host_key(&self, ctx: &Context<'_>, input: PinHostKeyInput) -> Result<PinHostKeyPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.pin_host_key(caller, &input.server_id, &input.fingerprint).await)?.into())
    }

    /// Reach a VPN host at another address: it has moved, or its SSH server has. It has to show the same host key there;
    /// `pinHostKey` confirms another one. Asked again, it changes nothing.
    async fn move_server(&self, ctx: &Context<'_>, input: MoveServerInput) -> Result<MoveServerPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.move_server(caller, input.into()).await)?.into())
    }

    /// Confirm the configuration that OpenVPN has on a server: from now on another one is a difference. Look at it on the
    /// host first. Asked again, it changes nothing.
    async fn confirm_configuration(
        &self,
        ctx: &Context<'_>,
        input: ConfirmConfigurationInput,
    ) -> Result<ConfirmConfigurationPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.confirm_configuration(caller, &input.server_id, &input.sha256).await)?.into())
    }

    /// Let nobody in on a server any more, for now: no client is created or provisioned there. What was accepted before
    /// is done, and revocations always. Asked again, it changes nothing.
    async fn disable_server(
        &self,
        ctx: &Context<'_>,
        input: DisableServerInput,
    ) -> Result<DisableServerPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.disable_server(caller, &input.server_id).await)?.into())
    }

    /// Let clients in again on a server that was disabled. Asked again, it changes nothing.
    async fn enable_server(&self, ctx: &Context<'_>, input: EnableServerInput) -> Result<EnableServerPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.enable_server(caller, &input.server_id).await)?.into())
    }

    /// Give a server up for good, once all its clients are revoked. Asked again, it changes nothing.
    async fn retire_server(&self, ctx: &Context<'_>, input: RetireServerInput) -> Result<RetireServerPayload, Error> {
        let Scope { platform, caller, .. } = Scope::of(ctx)?;
        Ok(as_data(platform.retire_server(caller, &input.server_id).await)?.into())
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

    /// Make a link to the connection profile, for whoever has no token: it works once, and for a short
    /// time, until a token of who made it is revoked. Whoever has it can take the profile.
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

    /// End an access token, what its bearer follows live, and the links to profiles that they made. Asked again, it
    /// changes nothing.
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
