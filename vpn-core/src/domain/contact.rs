//! What a VPN host said of itself when it was last asked. Observations: they are shown, and warn; what is
//! decided goes by what a host answers to the job itself.

use serde::{Deserialize, Serialize};

use super::{Expiry, HostKeyLine, JobFailure, Perishable};
use crate::clock::Timestamp;

/// What is known of a host from looking at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// When a worker last looked.
    pub looked_at: Timestamp,
    /// When the host last answered; `None` when it never did.
    pub answered_at: Option<Timestamp>,
    /// Why it did not answer, or not well, when it was last looked at.
    pub failure: Option<JobFailure>,
    /// The host key that it shows, where that is not the pinned one: `ssh-ed25519 AAAA…`.
    pub presented_key: Option<String>,
    /// What it said of itself when it last answered.
    pub facts: Option<HostFacts>,
    /// Who was connected when it last answered.
    pub sessions: Option<Sessions>,
    /// What workers do about its CRL before it ends; `None` when none has said.
    pub renewal: Option<CrlRenewal>,
}

impl Contact {
    /// The SHA-256 fingerprint of the host key that it shows, where that is not the pinned one.
    #[must_use]
    pub fn presented_fingerprint(&self) -> Option<String> {
        self.presented_key.as_deref()?.parse::<HostKeyLine>().ok().map(|key| key.fingerprint())
    }
}

/// What workers do about a host's CRL before it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CrlRenewal {
    /// They renew it.
    On,
    /// It is switched off.
    Off,
    /// They could not, when they last tried.
    Failed(JobFailure),
}

/// What a host says of itself: the answer to `hello`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The version of its protocol.
    pub version: u32,
    /// What it can do: verbs, and what was added to them.
    pub capabilities: Vec<String>,
    /// The name of its state directory, made when it was set up.
    pub host_id: String,
    /// SHA-256 of the CA's certificate, in hexadecimal digits.
    pub ca_sha256: String,
    /// The number of the CRL in force.
    pub crl_number: u64,
    /// Since when that CRL has been valid, by the host's clock, in seconds since the epoch; a host whose scripts are
    /// older does not say.
    #[serde(default)]
    pub crl_this_update: Option<i64>,
    /// When that CRL ends, in seconds since the epoch. OpenVPN refuses everybody from then on. A host whose clock was
    /// ahead when it made the list, so that it is not valid yet, says 0.
    pub crl_next_update: i64,
    /// When the CA's certificate ends, in seconds since the epoch; a host whose scripts are older does not say.
    #[serde(default)]
    pub ca_not_after: Option<i64>,
    /// When the OpenVPN server's certificate ends, in seconds since the epoch; the same.
    #[serde(default)]
    pub server_not_after: Option<i64>,
    /// SHA-256 of the OpenVPN server's configuration file, in hexadecimal digits, or `missing`; `None` from a host
    /// whose scripts are older.
    #[serde(default)]
    pub config_sha256: Option<String>,
}

impl HostFacts {
    /// The CRL in force. Its number is the time it was made at; a higher one where the host's clock was ahead before,
    /// because numbers rise.
    #[must_use]
    pub fn crl(&self) -> Expiry {
        let number = i64::try_from(self.crl_number).ok();
        let made_at = number.map(|number| self.crl_this_update.map_or(number, |at| at.min(number)));
        let made_at = made_at.map(Timestamp::from_seconds);
        Expiry { of: Perishable::Crl, made_at, ends_at: Timestamp::from_seconds(self.crl_next_update) }
    }

    /// What of it ends by itself.
    pub fn expiries(&self) -> impl Iterator<Item = Expiry> {
        let ends =
            |of, at: Option<i64>| at.map(|at| Expiry { of, made_at: None, ends_at: Timestamp::from_seconds(at) });
        [
            Some(self.crl()),
            ends(Perishable::Ca, self.ca_not_after),
            ends(Perishable::ServerCertificate, self.server_not_after),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether the host can tell what its CRL really has.
    #[must_use]
    pub fn tells_what_is_published(&self) -> bool {
        self.capabilities.iter().any(|it| it == "published")
    }
}

/// Whether there is an OpenVPN server to be asked about sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenVpnState {
    /// It answered.
    Running,
    /// Proven to be stopped: nobody is connected.
    Stopped,
    /// The host is set up without one.
    Absent,
    /// It lives and does not answer: nothing is proven.
    Unreachable,
}

impl OpenVpnState {
    /// As the contract with the hosts and the audit log have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Absent => "absent",
            Self::Unreachable => "unreachable",
        }
    }

    /// From the contract's word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Running, Self::Stopped, Self::Absent, Self::Unreachable].into_iter().find(|it| it.as_str() == word)
    }
}

/// Who was connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// The state of the OpenVPN server. Without a running one there are no sessions, or none are known.
    pub server: OpenVpnState,
    /// The sessions.
    pub list: Vec<Session>,
}

impl Sessions {
    /// Whether it is known who is connected.
    #[must_use]
    pub fn are_known(&self) -> bool {
        self.server != OpenVpnState::Unreachable
    }

    /// Those that last the longest first, of this common name if one is given.
    #[must_use]
    pub fn of(&self, name: Option<&str>) -> Vec<&Session> {
        let mut some: Vec<_> = self.list.iter().filter(|it| name.is_none_or(|name| it.name == name)).collect();
        some.sort_by_key(|session| session.since);
        some
    }
}

/// A connected client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The certificate's common name.
    pub name: String,
    /// Where it comes from, as OpenVPN writes it: `198.51.100.7:50123`.
    pub address: String,
    /// Since when, in seconds since the epoch.
    pub since: i64,
    /// Bytes that came from the client.
    pub bytes_in: u64,
    /// Bytes that went to the client.
    pub bytes_out: u64,
}

impl std::str::FromStr for Session {
    type Err = super::Invalid;

    /// `NAME ADDRESS SINCE BYTES_IN BYTES_OUT`.
    fn from_str(line: &str) -> Result<Self, super::Invalid> {
        let bad = || super::Invalid::new("a line of the sessions is not `NAME ADDRESS SINCE BYTES_IN BYTES_OUT`");
        let words: Vec<&str> = line.split(' ').collect();
        let &[name, address, since, bytes_in, bytes_out] = words.as_slice() else { return Err(bad()) };
        Ok(Self {
            name: name.to_owned(),
            address: address.to_owned(),
            since: since.parse().map_err(|_| bad())?,
            bytes_in: bytes_in.parse().map_err(|_| bad())?,
            bytes_out: bytes_out.parse().map_err(|_| bad())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Stage;

    #[test]
    fn a_line_gives_its_session_and_half_a_line_none() {
        let session: Session =
            "alice 198.51.100.7:50123 1767225600 12 18446744073709551615".parse().expect("a session");
        assert_eq!((session.name.as_str(), session.since, session.bytes_out), ("alice", 1_767_225_600, u64::MAX));
        for bad in ["", "alice", "alice 1.2.3.4:5 now 1 2", "alice 1.2.3.4:5 1 2 -3", "alice 1.2.3.4:5 1 2 3 4"] {
            assert!(bad.parse::<Session>().is_err(), "{bad}");
        }
    }

    #[test]
    fn facts_of_an_older_worker_can_be_read() {
        let older: HostFacts = serde_json::from_str(
            r#"{"version":1,"capabilities":["issue"],"host_id":"h","ca_sha256":"0a","crl_number":7,"crl_next_update":9}"#,
        )
        .expect("facts");
        assert_eq!((older.crl_number, older.ca_not_after), (7, None));
        assert_eq!(older.expiries().map(|it| it.of).collect::<Vec<_>>(), [Perishable::Crl]);
        assert_eq!(older.crl().made_at, Some(Timestamp::from_seconds(7)));
    }

    #[test]
    fn a_crl_was_made_when_it_says_though_its_number_is_ahead() {
        let day = 86_400;
        let ahead = u64::try_from(29 * day).expect("a number");
        let facts = HostFacts {
            crl_number: ahead,
            crl_this_update: Some(0),
            crl_next_update: 30 * day,
            ..HostFacts::default()
        };
        let at = |days: i64| facts.crl().stage(Timestamp::from_seconds(days * day));
        assert_eq!((at(20), at(21), at(30)), (Stage::Fresh, Stage::EndsSoon, Stage::Ended));
        let not_yet = HostFacts { crl_this_update: Some(29 * day), crl_next_update: 0, ..facts.clone() };
        assert_eq!(not_yet.crl().stage(Timestamp::from_seconds(day)), Stage::Ended);
    }
}
