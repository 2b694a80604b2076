//! What mutations give.

use async_graphql::{Error, Interface, SimpleObject};
use vpn_core::{
    domain::{Client, Server},
    secrecy::{ExposeSecret as _, SecretString},
    service::{Awaited, Delivered, NewlyMade, ProfileLink, Queued, SeenApproval},
    store::StoredToken,
};

use super::types::{AccessToken, Approval, DateTime, Job, UserError, VpnClient, VpnServer};
use crate::{
    error::{Outcome, bug},
    qr,
};

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
    /// Of `moveServer`.
    MoveServer(MoveServerPayload),
    /// Of `confirmConfiguration`.
    ConfirmConfiguration(ConfirmConfigurationPayload),
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
    /// Of `createProfileLink`.
    CreateProfileLink(CreateProfileLinkPayload),
    /// Of `createToken`.
    CreateToken(CreateTokenPayload),
    /// Of `revokeToken`.
    RevokeToken(RevokeTokenPayload),
    /// Of `approveRequest`.
    ApproveRequest(ApproveRequestPayload),
    /// Of `denyRequest`.
    DenyRequest(DenyRequestPayload),
}

fn waiting(awaited: Awaited) -> Approval {
    Approval(awaited.seen)
}

macro_rules! of_server {
    ($(#[$doc:meta])* $payload:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub(super) struct $payload {
            /// The server; null when there are user errors, and while it waits for approval.
            server: Option<VpnServer>,
            /// The request, when a second person has to approve it: it waits for that, and nothing else was
            /// done.
            approval: Option<Approval>,
            /// What the caller can put right; then nothing was changed. Empty when it was done.
            user_errors: Vec<UserError>,
        }

        impl From<Outcome<Server>> for $payload {
            fn from(Outcome { done, awaited, user_errors }: Outcome<Server>) -> Self {
                Self { server: done.map(VpnServer), approval: awaited.map(waiting), user_errors }
            }
        }
    };
}

of_server!(
    /// What `registerServer` gives.
    RegisterServerPayload
);
of_server!(
    /// What `pinHostKey` gives.
    PinHostKeyPayload
);
of_server!(
    /// What `moveServer` gives.
    MoveServerPayload
);
of_server!(
    /// What `confirmConfiguration` gives.
    ConfirmConfigurationPayload
);
of_server!(
    /// What `disableServer` gives.
    DisableServerPayload
);
of_server!(
    /// What `enableServer` gives.
    EnableServerPayload
);
of_server!(
    /// What `retireServer` gives.
    RetireServerPayload
);

/// What `createClient` gives.
#[derive(SimpleObject)]
pub(super) struct CreateClientPayload {
    /// The client; null when there are user errors, and while it waits for approval.
    client: Option<VpnClient>,
    /// The request, when a second person has to approve it: it waits for that, and nothing else was done.
    approval: Option<Approval>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    user_errors: Vec<UserError>,
}

impl From<Outcome<Client>> for CreateClientPayload {
    fn from(Outcome { done, awaited, user_errors }: Outcome<Client>) -> Self {
        Self { client: done.map(VpnClient), approval: awaited.map(waiting), user_errors }
    }
}

macro_rules! queued {
    ($(#[$doc:meta])* $payload:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub(super) struct $payload {
            /// The client as it is now; null when there are user errors, and while it waits for approval.
            client: Option<VpnClient>,
            /// The job: follow it with `clientStatus` or `jobEvents`. Null when there are user errors, and
            /// while it waits for approval.
            job: Option<Job>,
            /// The request, when a second person has to approve it: it waits for that, and nothing else was
            /// done.
            approval: Option<Approval>,
            /// What the caller can put right; then nothing was changed. Empty when it was done.
            user_errors: Vec<UserError>,
        }

        impl From<Outcome<Queued>> for $payload {
            fn from(Outcome { done, awaited, user_errors }: Outcome<Queued>) -> Self {
                let (client, job) = done.map(|queued| (VpnClient(queued.client), Job(queued.job))).unzip();
                Self { client, job, approval: awaited.map(waiting), user_errors }
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

impl From<Outcome<Delivered>> for DeliverProfilePayload {
    fn from(Outcome { done, user_errors, .. }: Outcome<Delivered>) -> Self {
        let Some(delivered) = done else {
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

/// What `createProfileLink` gives.
#[derive(SimpleObject)]
pub(super) struct CreateProfileLinkPayload {
    /// The client; null when there are user errors.
    client: Option<VpnClient>,
    /// The link. This is the only time it is given: send it to whoever is to have the profile, and to
    /// nobody else. Null when there are user errors.
    url: Option<String>,
    /// The link as a QR code for a phone's camera, an SVG picture. Null when there are user errors.
    qr: Option<String>,
    /// When the link ends, if nobody uses it before. Null when there are user errors.
    expires_at: Option<DateTime>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    user_errors: Vec<UserError>,
}

impl TryFrom<Outcome<ProfileLink>> for CreateProfileLinkPayload {
    type Error = Error;

    fn try_from(Outcome { done, user_errors, .. }: Outcome<ProfileLink>) -> Result<Self, Error> {
        let Some(link) = done else {
            return Ok(Self { client: None, url: None, qr: None, expires_at: None, user_errors });
        };
        let url = link.url.expose_secret().to_owned();
        let qr = qr::svg(&url).map_err(|_| bug("a link that is too long for a QR code"))?;
        Ok(Self {
            client: Some(VpnClient(link.client)),
            url: Some(url),
            qr: Some(qr),
            expires_at: Some(link.expires_at.into()),
            user_errors,
        })
    }
}

/// What `createToken` gives.
#[derive(SimpleObject)]
pub(super) struct CreateTokenPayload {
    /// What is kept of the token; null when there are user errors, and while it waits for approval.
    token: Option<AccessToken>,
    /// The token itself, for `Authorization: Bearer …`. This is the only time it is given; while it waits for
    /// approval it admits nobody. Null when there are user errors.
    secret: Option<String>,
    /// The request, when a second person has to approve it: it waits for that, and nothing else was done.
    approval: Option<Approval>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    user_errors: Vec<UserError>,
}

impl From<Outcome<NewlyMade>> for CreateTokenPayload {
    fn from(Outcome { done, awaited, user_errors }: Outcome<NewlyMade>) -> Self {
        let shown = |secret: &SecretString| secret.expose_secret().to_owned();
        let later = awaited.as_ref().and_then(|it| it.secret.as_ref()).map(shown);
        let (token, secret) = done.map(|made| (made.token.into(), shown(&made.secret))).unzip();
        Self { token, secret: secret.or(later), approval: awaited.map(waiting), user_errors }
    }
}

/// What `revokeToken` gives.
#[derive(SimpleObject)]
pub(super) struct RevokeTokenPayload {
    /// The token as it is now; null when there are user errors.
    token: Option<AccessToken>,
    /// What the caller can put right; then nothing was changed. Empty when it was done.
    user_errors: Vec<UserError>,
}

impl From<Outcome<StoredToken>> for RevokeTokenPayload {
    fn from(Outcome { done, user_errors, .. }: Outcome<StoredToken>) -> Self {
        Self { token: done.map(AccessToken::from), user_errors }
    }
}

macro_rules! decided {
    ($(#[$doc:meta])* $payload:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub(super) struct $payload {
            /// The request as it is now; null when there are user errors.
            approval: Option<Approval>,
            /// What the caller can put right; then nothing was changed. Empty when it was done.
            user_errors: Vec<UserError>,
        }

        impl From<Outcome<SeenApproval>> for $payload {
            fn from(Outcome { done, user_errors, .. }: Outcome<SeenApproval>) -> Self {
                Self { approval: done.map(Approval), user_errors }
            }
        }
    };
}

decided!(
    /// What `approveRequest` gives.
    ApproveRequestPayload
);
decided!(
    /// What `denyRequest` gives.
    DenyRequestPayload
);
