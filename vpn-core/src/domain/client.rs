//! A VPN client and its life: `pending → active → revoked`, or `pending → revoked`.

use std::str::FromStr;

use super::{Certificate, ClientId, CommonName, FencingToken, Invalid, Serial, ServerId};
use crate::clock::Timestamp;

/// Where a client is in its life, without the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientStatus {
    /// Recorded; nothing on the VPN host yet.
    Pending,
    /// May connect.
    Active,
    /// May never connect again. Final.
    Revoked,
}

impl ClientStatus {
    /// As SQL, audit and logs have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Revoked => "revoked",
        }
    }
}

impl FromStr for ClientStatus {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "pending" => Ok(Self::Pending),
            "active" => Ok(Self::Active),
            "revoked" => Ok(Self::Revoked),
            _ => Err(Invalid::new("a client is pending, active or revoked")),
        }
    }
}

/// Where a client is in its life, with what is known there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientState {
    /// Recorded; nothing on the VPN host yet.
    Pending,
    /// May connect.
    Active {
        /// Since when.
        since: Timestamp,
        /// With what.
        certificate: Certificate,
    },
    /// May never connect again. Final.
    Revoked {
        /// Since when.
        at: Timestamp,
        /// When it had become active, if ever.
        activated_at: Option<Timestamp>,
        /// What it connected with, if ever.
        certificate: Option<Certificate>,
    },
}

/// A person asked for the client's end. From that instant nothing can activate it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRequest {
    /// When it was asked.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A device or person that may connect to a VPN server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// Where it belongs.
    pub server_id: ServerId,
    /// The certificate's common name; unique on its server among clients that are not revoked.
    pub name: CommonName,
    /// Its one certificate serial, for life.
    pub serial: Serial,
    /// Where it is in its life.
    pub state: ClientState,
    /// Set once a person asked for its end; never cleared.
    pub revocation: Option<RevocationRequest>,
    /// The highest fencing token that was adopted for it.
    pub fence: FencingToken,
    /// Who recorded it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

impl Client {
    /// The status without its data.
    #[must_use]
    pub const fn status(&self) -> ClientStatus {
        match self.state {
            ClientState::Pending => ClientStatus::Pending,
            ClientState::Active { .. } => ClientStatus::Active,
            ClientState::Revoked { .. } => ClientStatus::Revoked,
        }
    }

    /// The certificate, if one was issued and adopted.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Certificate> {
        match &self.state {
            ClientState::Pending => None,
            ClientState::Active { certificate, .. } => Some(certificate),
            ClientState::Revoked { certificate, .. } => certificate.as_ref(),
        }
    }

    /// When it became active, if ever.
    #[must_use]
    pub const fn activated_at(&self) -> Option<Timestamp> {
        match &self.state {
            ClientState::Pending => None,
            ClientState::Active { since, .. } => Some(*since),
            ClientState::Revoked { activated_at, .. } => *activated_at,
        }
    }

    /// When it was revoked, if it is.
    #[must_use]
    pub const fn revoked_at(&self) -> Option<Timestamp> {
        match &self.state {
            ClientState::Revoked { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// Why it cannot be provisioned now; `None` when it can.
    #[must_use]
    pub fn provision_refusal(&self) -> Option<&'static str> {
        match (&self.state, &self.revocation) {
            (ClientState::Pending, None) => None,
            (ClientState::Pending, Some(_)) => {
                Some("its revocation has been asked for, which is final: create a new client")
            }
            (ClientState::Active { .. }, _) => Some("it is active already: a client has one certificate in its life"),
            (ClientState::Revoked { .. }, _) => Some("it is revoked, which is final: create a new client"),
        }
    }

    /// The name of its lock, and of its counter of fencing tokens.
    #[must_use]
    pub fn resource(id: ClientId) -> String {
        format!("client:{id}")
    }
}
