//! What a revocation has read back from the VPN host: "revoked" is said only when all of it stands.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// What is proven. The strings are stable: they are stored and audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// The CRL in force has the serial, and its signature is good.
    SerialInCrl,
    /// The user that OpenVPN runs as can read that CRL.
    CrlReadable,
    /// Sessions of the client were ended, or there were none.
    SessionsEnded,
    /// No session of the client is left, nor a handshake that began under an older CRL.
    NoSessionLeft,
    /// The configuration of the OpenVPN server has every new connection checked against that CRL.
    ReconnectRefused,
}

impl Claim {
    /// All of them, in the order in which they are proven.
    pub const ALL: [Self; 5] =
        [Self::SerialInCrl, Self::CrlReadable, Self::SessionsEnded, Self::NoSessionLeft, Self::ReconnectRefused];
}

/// A claim, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// What is proven.
    pub claim: Claim,
    /// What was read, for people. Tells apart a client that was not connected, and an OpenVPN server that is
    /// stopped or that the host does not have.
    pub detail: String,
    /// When, in microseconds since the epoch.
    at: i64,
}

impl Proof {
    /// Read at this time.
    pub fn new(claim: Claim, detail: impl Into<String>, at: Timestamp) -> Self {
        Self { claim, detail: detail.into(), at: at.micros() }
    }

    /// When it was read.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        Timestamp::from_micros(self.at)
    }
}
