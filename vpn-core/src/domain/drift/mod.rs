//! Where SQL and a VPN host differ, and what is to be done about it.
//!
//! The host is read first and SQL afterwards, so what happens meanwhile is known to SQL and no difference. What is
//! under way is none either: a client with a job at work changes in both places, one after the other.

mod compare;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::{ClientId, CommonName, HostRecord, JobFailure, Serial, ServerName, Sessions};
use crate::clock::Timestamp;

pub use compare::Comparison;

/// What stands for the SHA-256 of a configuration that is not there.
pub const NO_CONFIGURATION: &str = "missing";

/// What a VPN host has shown.
#[derive(Clone, Debug)]
pub struct HostView {
    /// SHA-256 of the OpenVPN server's configuration file, in hexadecimal digits, or [`NO_CONFIGURATION`].
    pub configuration: String,
    /// What it knows of every serial.
    pub records: Vec<HostRecord>,
    /// The serials that its CRL in force has, and when each was revoked, in seconds since the epoch.
    pub published: HashMap<Serial, i64>,
    /// Who is connected.
    pub sessions: Sessions,
}

/// The certificate that a difference is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its serial.
    #[serde(with = "text")]
    pub serial: Serial,
    /// Its common name, where it is known.
    #[serde(with = "optional_text")]
    pub name: Option<CommonName>,
    /// The client that it is, or would be.
    #[serde(with = "optional_text")]
    pub client_id: Option<ClientId>,
}

/// Something on which SQL and a VPN host differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// A revoked client is connected.
    RevokedSession {
        /// Whose session.
        of: Subject,
        /// Where it comes from.
        address: String,
    },
    /// A revoked client is not in the CRL in force: OpenVPN lets it in.
    NotInCrl {
        /// Who.
        of: Subject,
        /// Whether the host knows all the same that it is revoked.
        buried: bool,
    },
    /// A revoked client is in the CRL in force, but the host has no record of its revocation.
    NotRevokedOnHost {
        /// Who.
        of: Subject,
    },
    /// Somebody is connected under a name that no active client has.
    UnknownSession {
        /// The common name.
        name: String,
        /// Where it comes from.
        address: String,
    },
    /// The host has issued a certificate that SQL knows nothing of.
    UnknownCertificate {
        /// Which.
        of: Subject,
        /// Whether the host took it over from another PKI.
        adopted: bool,
    },
    /// The host lets a certificate in that it took over, and that can be no client.
    ForeignCertificate {
        /// Which.
        of: Subject,
        /// Its common name, as the host tells it.
        common_name: Option<String>,
    },
    /// The host lets in clients of another server.
    SharedHost {
        /// That server.
        #[serde(with = "text")]
        server: ServerName,
        /// How many certificates.
        certificates: usize,
    },
    /// The host has a client revoked that SQL has not.
    RevokedOnHost {
        /// Who.
        of: Subject,
        /// Whether somebody has asked for its revocation, which then was given up.
        asked: bool,
    },
    /// The host has no certificate of an active client.
    CertificateMissing {
        /// Whose.
        of: Subject,
    },
    /// The host has issued the certificate of a client that is pending, and no job is at work on it.
    NotActivated {
        /// Whose.
        of: Subject,
        /// Whether the host took it over from another PKI.
        adopted: bool,
    },
    /// The host has seen a higher fencing token of a client than SQL has: it refuses the platform there.
    HostAhead {
        /// Whose.
        of: Subject,
    },
    /// OpenVPN does not answer: who is connected is not known.
    SessionsUnknown,
    /// OpenVPN's configuration is not the one that was confirmed.
    ConfigurationChanged {
        /// SHA-256 of the one that was confirmed, if one was.
        confirmed: Option<String>,
        /// That of the one that is there, or `missing`.
        found: String,
    },
}

/// The kinds of [`Difference`], the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriftKind {
    /// See [`Difference::RevokedSession`].
    RevokedSession,
    /// See [`Difference::NotInCrl`].
    NotInCrl,
    /// See [`Difference::NotRevokedOnHost`].
    NotRevokedOnHost,
    /// See [`Difference::UnknownSession`].
    UnknownSession,
    /// See [`Difference::UnknownCertificate`].
    UnknownCertificate,
    /// See [`Difference::ForeignCertificate`].
    ForeignCertificate,
    /// See [`Difference::SharedHost`].
    SharedHost,
    /// See [`Difference::RevokedOnHost`].
    RevokedOnHost,
    /// See [`Difference::CertificateMissing`].
    CertificateMissing,
    /// See [`Difference::NotActivated`].
    NotActivated,
    /// See [`Difference::HostAhead`].
    HostAhead,
    /// See [`Difference::SessionsUnknown`].
    SessionsUnknown,
    /// See [`Difference::ConfigurationChanged`].
    ConfigurationChanged,
}

impl DriftKind {
    /// As command lines and logs have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RevokedSession => "revoked_session",
            Self::NotInCrl => "not_in_crl",
            Self::NotRevokedOnHost => "not_revoked_on_host",
            Self::UnknownSession => "unknown_session",
            Self::UnknownCertificate => "unknown_certificate",
            Self::ForeignCertificate => "foreign_certificate",
            Self::SharedHost => "shared_host",
            Self::RevokedOnHost => "revoked_on_host",
            Self::CertificateMissing => "certificate_missing",
            Self::NotActivated => "not_activated",
            Self::HostAhead => "host_ahead",
            Self::SessionsUnknown => "sessions_unknown",
            Self::ConfigurationChanged => "configuration_changed",
        }
    }
}

impl Difference {
    /// One for each of these servers; there is one of them for each certificate.
    pub fn shared_hosts<'a>(servers: impl IntoIterator<Item = &'a ServerName>) -> impl Iterator<Item = Self> {
        let mut shared: BTreeMap<&str, (&ServerName, usize)> = BTreeMap::new();
        for server in servers {
            shared.entry(server.as_str()).or_insert((server, 0)).1 += 1;
        }
        shared.into_values().map(|(server, certificates)| Self::SharedHost { server: server.clone(), certificates })
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> DriftKind {
        match self {
            Self::RevokedSession { .. } => DriftKind::RevokedSession,
            Self::NotInCrl { .. } => DriftKind::NotInCrl,
            Self::NotRevokedOnHost { .. } => DriftKind::NotRevokedOnHost,
            Self::UnknownSession { .. } => DriftKind::UnknownSession,
            Self::UnknownCertificate { .. } => DriftKind::UnknownCertificate,
            Self::ForeignCertificate { .. } => DriftKind::ForeignCertificate,
            Self::SharedHost { .. } => DriftKind::SharedHost,
            Self::RevokedOnHost { .. } => DriftKind::RevokedOnHost,
            Self::CertificateMissing { .. } => DriftKind::CertificateMissing,
            Self::NotActivated { .. } => DriftKind::NotActivated,
            Self::HostAhead { .. } => DriftKind::HostAhead,
            Self::SessionsUnknown => DriftKind::SessionsUnknown,
            Self::ConfigurationChanged { .. } => DriftKind::ConfigurationChanged,
        }
    }

    /// The certificate that it is about, if it is about one that is known.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Subject> {
        match self {
            Self::RevokedSession { of, .. }
            | Self::NotInCrl { of, .. }
            | Self::NotRevokedOnHost { of }
            | Self::UnknownCertificate { of, .. }
            | Self::ForeignCertificate { of, .. }
            | Self::RevokedOnHost { of, .. }
            | Self::CertificateMissing { of }
            | Self::NotActivated { of, .. }
            | Self::HostAhead { of } => Some(of),
            Self::UnknownSession { .. }
            | Self::SharedHost { .. }
            | Self::SessionsUnknown
            | Self::ConfigurationChanged { .. } => None,
        }
    }

    /// What it is about, for people: a common name, a serial, or a part of the host.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::UnknownSession { name, .. } => name.clone(),
            Self::ForeignCertificate { of, common_name: Some(name) } => format!("{name} ({})", of.serial),
            Self::SharedHost { server, .. } => server.to_string(),
            Self::SessionsUnknown => "OpenVPN".to_owned(),
            Self::ConfigurationChanged { .. } => "server/openvpn.conf".to_owned(),
            other => other.certificate().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// What differs, in a sentence.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::RevokedSession { address, .. } => {
                format!("this client is revoked, and somebody with its name is connected from {address}")
            }
            Self::NotInCrl { buried: true, .. } => {
                "this certificate is revoked, and the CRL in force does not have it: OpenVPN lets it in".to_owned()
            }
            Self::NotInCrl { buried: false, .. } => {
                "this client is revoked, and the host knows nothing of it: neither \
                                                     its records nor the CRL in force have it"
                    .to_owned()
            }
            Self::NotRevokedOnHost { .. } => {
                "this client is revoked and in the CRL in force, but the host has lost its record of it".to_owned()
            }
            Self::UnknownSession { address, .. } => {
                format!("somebody is connected from {address} under a name that no active client has")
            }
            Self::UnknownCertificate { adopted: true, .. } => {
                "the host took this certificate over from another PKI, and the platform does not know it".to_owned()
            }
            Self::UnknownCertificate { adopted: false, .. } => {
                "the host has issued this certificate, and the platform does not know it".to_owned()
            }
            Self::ForeignCertificate { .. } => "the host lets this certificate in, which it took over from another \
                                                PKI, and it can be no client: its name does not fit, another one \
                                                has it, or its file is lost"
                .to_owned(),
            Self::SharedHost { server, certificates } => format!(
                "the host lets in clients of the server {server} ({certificates} certificates): it is registered \
                 under both names, or one of two hosts has a copy of the other's state"
            ),
            Self::RevokedOnHost { asked: false, .. } => {
                "the host has this client revoked, and the platform has not".to_owned()
            }
            Self::RevokedOnHost { asked: true, .. } => {
                "the host has this client revoked, and its revocation was given up before it was done".to_owned()
            }
            Self::CertificateMissing { .. } => {
                "this client is active, and the host knows no certificate of it".to_owned()
            }
            Self::NotActivated { .. } => {
                "the host has issued the certificate of this client, which is pending, and no job is at work on it"
                    .to_owned()
            }
            Self::HostAhead { .. } => "the host has seen a newer fencing token of this client than the platform \
                                       knows: it refuses the platform there"
                .to_owned(),
            Self::SessionsUnknown => "OpenVPN lives and does not answer: who is connected is not known".to_owned(),
            Self::ConfigurationChanged { found, .. } if found == NO_CONFIGURATION => {
                "OpenVPN has no configuration on this host".to_owned()
            }
            Self::ConfigurationChanged { confirmed, found } => {
                let confirmed = confirmed.as_deref().unwrap_or("none");
                format!("OpenVPN's configuration is not the one that was confirmed: {confirmed} was, {found} is there")
            }
        }
    }

    /// What puts it right, on this server.
    #[must_use]
    pub fn cure(&self, server: &ServerName) -> String {
        match self {
            Self::RevokedSession { .. }
            | Self::NotInCrl { .. }
            | Self::NotRevokedOnHost { .. }
            | Self::RevokedOnHost { asked: false, .. }
            | Self::NotActivated { adopted: true, .. }
            | Self::HostAhead { .. } => format!("vpn-worker reconcile --from-host {server} --apply"),
            Self::UnknownSession { .. } => "find out whose certificate it is. One of the host's records is named by \
                                            another difference, with its cure; otherwise somebody has signed it with \
                                            the CA's key: take that key for stolen, and set up a new host"
                .to_owned(),
            Self::UnknownCertificate { adopted: true, .. } => {
                format!("vpn-worker reconcile --from-host {server} --adopt --apply makes it a client, as it is")
            }
            Self::UnknownCertificate { adopted: false, .. } => format!(
                "vpn-worker reconcile --from-host {server} shows what would be done: with --apply it is revoked, with \
                 --adopt --apply it becomes a client"
            ),
            Self::ForeignCertificate { of, .. } => format!(
                "create a client with a name that fits for whoever has it; then, as the host's account: setup --state \
                 DIR --revoke-foreign {}",
                of.serial
            ),
            Self::SharedHost { server: other, .. } => format!(
                "if {server} and {other} are one host, revoke the clients that were created under one of them, and \
                 retire that one: retireServer. If one is a copy, both have one CA and let in each other's clients: \
                 do the same with the copy, switch it off, and set up a new host"
            ),
            Self::RevokedOnHost { asked: true, .. } => {
                format!(
                    "vpn-worker reconcile --from-host {server} --apply, which does it again; or retry the failed job: retryJob"
                )
            }
            Self::CertificateMissing { .. } => {
                "revoke this client and create a new one; or, if the host was set back, \
                                                which does not let it in, restore its newest state directory"
                    .to_owned()
            }
            Self::NotActivated { adopted: false, .. } => {
                "provision it again, which gives the same certificate: provisionClient. Or revoke it".to_owned()
            }
            Self::SessionsUnknown => {
                "look at OpenVPN on the host (systemctl status vpn-host-openvpn), then compare again".to_owned()
            }
            Self::ConfigurationChanged { found, .. } if found == NO_CONFIGURATION => {
                "run install.sh on the host: it writes the file again".to_owned()
            }
            Self::ConfigurationChanged { found, .. } => format!(
                "look at server/openvpn.conf on the host. If it is right, confirm it: confirmConfiguration, or vpn-worker \
                 drift --server {server} --confirm-configuration {found}. If not, run install.sh there: it writes the \
                 file again"
            ),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.serial),
            None => write!(f, "{}", self.serial),
        }
    }
}

/// All differences of a server at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftReport {
    /// SHA-256 of OpenVPN's configuration as it was found, or `missing`.
    pub configuration: String,
    /// How many differences there are.
    pub total: usize,
    /// The worst of them, at most [`DriftReport::KEPT`].
    pub differences: Vec<Difference>,
}

impl DriftReport {
    /// The most differences that are kept.
    pub const KEPT: usize = 1000;

    /// With these differences.
    #[must_use]
    pub fn of(configuration: String, mut differences: Vec<Difference>) -> Self {
        differences.sort_by_cached_key(|one| (one.kind(), one.subject()));
        let total = differences.len();
        differences.truncate(Self::KEPT);
        Self { configuration, total, differences }
    }
}

/// What is known of the differences of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// When the two were last compared; `None` when they never were.
    pub checked_at: Option<Timestamp>,
    /// What that gave.
    pub report: Option<DriftReport>,
    /// Why they could not be compared the last time that it was tried; `None` when they could.
    pub failure: Option<JobFailure>,
    /// SHA-256 of the OpenVPN configuration that was confirmed, or seen first; `None` before the first comparison.
    pub confirmed: Option<String>,
}

/// Values that have a text form.
mod text {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// The same, where there may be none.
mod optional_text {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "as serde calls it")]
    pub(super) fn serialize<T: Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(to)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        Option::<String>::deserialize(from)?.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}
