//! What mutations give.

use async_graphql::{Interface, SimpleObject};
use vpn_core::secrecy::ExposeSecret as _;
use vpn_core::service::{Delivered, NewlyMade, Queued};

use super::types::{AccessToken, Job, UserError, VpnClient, VpnServer};

/// What every mutation gives.
#[derive(Interface)]
#[graphql(field(
    name = "user_errors",
    ty = "&Vec<UserError>",
    desc = "What the caller can put right; then nothing was changed. Empty when it was done."
))]
pub(super) enum MutationPayload {
    /// Of `registerServer`.
    RegisterServer(RegisterServerPayload),
    /// Of `pinHostKey`.
    PinHostKey(PinHostKeyPayload),
    /// Of `disableServer`.
    DisableServer(DisableServerPayload),
    /// Of `enableServer`.
    EnableServer(EnableServerPayload),
    /// Of `retireServer`.
    RetireServer(RetireServerPayload),
    /// Of `createClient`.
    CreateClient(CreateClientPayload),
    /// Of `provisionClient`.
    ProvisionClient(ProvisionClientPayload),
    /// Of `revokeClient`.
    RevokeClient(RevokeClientPayload),
    /// Of `retryJob`.
    RetryJob(RetryJobPayload),
    /// Of `deliverProfile`.
    DeliverProfile(DeliverProfilePayload),
    /// Of `createToken`.
    CreateToken(CreateTokenPayload),
    /// Of `revokeToken`.
    RevokeToken(RevokeTokenPayload),
}

/// What `registerServer` gives.
#[derive(SimpleObject)]
pub(super) struct RegisterServerPayload {
    /// The server; null when there are user errors.
    pub(super) server: Option<VpnServer>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    pub(super) user_errors: Vec<UserError>,
}

/// What `pinHostKey` gives.
#[derive(SimpleObject)]
pub(super) struct PinHostKeyPayload {
    /// The server; null when there are user errors.
    pub(super) server: Option<VpnServer>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    pub(super) user_errors: Vec<UserError>,
}

/// What `disableServer` gives.
#[derive(SimpleObject)]
pub(super) struct DisableServerPayload {
    /// The server; null when there are user errors.
    pub(super) server: Option<VpnServer>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    pub(super) user_errors: Vec<UserError>,
}

/// What `enableServer` gives.
#[derive(SimpleObject)]
pub(super) struct EnableServerPayload {
    /// The server; null when there are user errors.
    pub(super) server: Option<VpnServer>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    pub(super) user_errors: Vec<UserError>,
}

/// What `retireServer` gives.
#[derive(SimpleObject)]
pub(super) struct RetireServerPayload {
    /// The server; null when there are user errors.
    pub(super) server: Option<VpnServer>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    pub(super) user_errors: Vec<UserError>,
}

/// What `createClient` gives.
#[derive(SimpleObject)]
pub(super) struct CreateClientPayload {
    /// The client; null when there are user errors.
    pub(super) client: Option<VpnClient>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    pub(super) user_errors: Vec<UserError>,
}

macro_rules! queued {
    ($(#[$doc:meta])* $payload:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub(super) struct $payload {
            /// The client as it is now; null when there are user errors.
            client: Option<VpnClient>,
            /// The job: follow it with `clientStatus` or `jobEvents`. Null when there are user errors.
            job: Option<Job>,
            /// What the caller can put right; then nothing was changed. Empty when it was done.
            user_errors: Vec<UserError>,
        }

        impl From<(Option<Queued>, Vec<UserError>)> for $payload {
            fn from((queued, user_errors): (Option<Queued>, Vec<UserError>)) -> Self {
                let (client, job) = queued.map(|queued| (VpnClient(queued.client), Job(queued.job))).unzip();
                Self { client, job, user_errors }
            }
        }
    };
}

queued!(
    /// What `provisionClient` gives.
    ProvisionClientPayload
);
queued!(
    /// What `revokeClient` gives.
    RevokeClientPayload
);
queued!(
    /// What `retryJob` gives.
    RetryJobPayload
);

/// What `deliverProfile` gives.
#[derive(SimpleObject)]
pub(super) struct DeliverProfilePayload {
    /// The client; null when there are user errors.
    client: Option<VpnClient>,
    /// The OpenVPN profile, everything inline. This is the only time it is given. Null when there are
    /// user errors.
    profile: Option<String>,
    /// Whether the private key is in the profile. After a certificate signing request it is not: put
    /// the owner's key in. Null when there are user errors.
    has_private_key: Option<bool>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    user_errors: Vec<UserError>,
}

impl From<(Option<Delivered>, Vec<UserError>)> for DeliverProfilePayload {
    fn from((delivered, user_errors): (Option<Delivered>, Vec<UserError>)) -> Self {
        let Some(delivered) = delivered else {
            return Self { client: None, profile: None, has_private_key: None, user_errors };
        };
        Self {
            client: Some(VpnClient(delivered.client)),
            profile: Some(delivered.profile.expose_secret().to_owned()),
            has_private_key: Some(delivered.has_key),
            user_errors,
        }
    }
}

/// What `createToken` gives.
#[derive(SimpleObject)]
pub(super) struct CreateTokenPayload {
    /// What is kept of the token; null when there are user errors.
    token: Option<AccessToken>,
    /// The token itself, for `Authorization: Bearer …`. This is the only time it is given. Null when
    /// there are user errors.
    secret: Option<String>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    user_errors: Vec<UserError>,
}

impl From<(Option<NewlyMade>, Vec<UserError>)> for CreateTokenPayload {
    fn from((made, user_errors): (Option<NewlyMade>, Vec<UserError>)) -> Self {
        let (token, secret) = made.map(|made| (made.token.into(), made.secret.expose_secret().to_owned())).unzip();
        Self { token, secret, user_errors }
    }
}

/// What `revokeToken` gives.
#[derive(SimpleObject)]
pub(super) struct RevokeTokenPayload {
    /// The token as it is now; null when there are user errors.
    pub(super) token: Option<AccessToken>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    pub(super) user_errors: Vec<UserError>,
}
