//! VPN hosts.

use std::{fmt, str::FromStr};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, STANDARD_NO_PAD},
};
use sha2::{Digest as _, Sha256};

use super::{Invalid, ServerId, ServerName};
use crate::clock::Timestamp;

/// A VPN host that the platform may work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its id.
    pub id: ServerId,
    /// What people call it; unique.
    pub name: ServerName,
    /// Where its SSH server listens, and as whom to log in.
    pub address: ServerAddress,
    /// The pinned host key, as a line of OpenSSH's `known_hosts` has it: `ssh-ed25519 AAAA…`. `None` until
    /// somebody has confirmed the key that the host shows.
    pub host_key: Option<String>,
    /// What may be done on it.
    pub state: ServerState,
    /// Who registered it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

/// What may be done on a VPN host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerState {
    /// Its host key has not been confirmed: nothing is asked of it.
    Unconfirmed,
    /// Everything.
    Active,
    /// Nobody is let in there any more for now; what was accepted before is done, and revocations always.
    Disabled,
    /// Nothing, for good. All its clients are revoked.
    Retired,
}

impl ServerState {
    /// As SQL and audit have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unconfirmed => "unconfirmed",
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Retired => "retired",
        }
    }
}

impl FromStr for ServerState {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Unconfirmed, Self::Active, Self::Disabled, Self::Retired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Invalid::new("a server is unconfirmed, active, disabled or retired"))
    }
}

impl Server {
    /// The name of the lock of what concerns the host itself, and of its counter of fencing tokens.
    #[must_use]
    pub fn resource(id: ServerId) -> String {
        format!("server:{id}")
    }

    /// Whether anything may be asked of it, or changed, at all. The reason why not is told to people.
    pub(crate) fn is_in_use(&self) -> Result<(), &'static str> {
        if self.state == ServerState::Retired { Err("the server is retired, for good") } else { Ok(()) }
    }

    /// Whether it may be brought into this state. The reason why not names the cure. (That a retired server
    /// has no clients, the database knows.)
    pub(crate) fn may_become(&self, state: ServerState) -> Result<(), &'static str> {
        self.is_in_use()?;
        match (self.state, state) {
            (ServerState::Unconfirmed, ServerState::Active | ServerState::Disabled) => {
                Err("nobody has confirmed its host key yet: call pinHostKey, or retireServer")
            }
            _ => Ok(()),
        }
    }

    /// Whether clients may be let in there. The reason why not names the cure.
    pub(crate) fn admits(&self) -> Result<(), String> {
        let name = &self.name;
        match self.state {
            ServerState::Active => Ok(()),
            ServerState::Unconfirmed => {
                Err(format!("nobody has confirmed the host key of `{name}`: compare it, then call pinHostKey"))
            }
            ServerState::Disabled => Err(format!("the server `{name}` is disabled: call enableServer first")),
            ServerState::Retired => Err(format!("the server `{name}` is retired: choose another")),
        }
    }
}

/// Where a VPN host answers SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    host: String,
    port: u16,
    user: String,
}

/// A part of an address that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct BadAddress {
    /// Which part: `host`, `port` or `user`.
    pub field: &'static str,
    /// The rule.
    pub rule: Invalid,
}

impl BadAddress {
    fn new(field: &'static str, rule: &str) -> Self {
        Self { field, rule: Invalid::new(rule) }
    }
}

impl ServerAddress {
    /// Checks `host` (a DNS name or an IP address), `port` (not 0) and `user` (a Unix login name).
    pub fn new(host: &str, port: u16, user: &str) -> Result<Self, BadAddress> {
        let host_ok = (1..=253).contains(&host.len())
            && !host.starts_with('-')
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':'));
        if !host_ok {
            return Err(BadAddress::new("host", "a host is a DNS name or an IP address"));
        }
        if port == 0 {
            return Err(BadAddress::new("port", "a port is from 1 to 65535"));
        }
        let user_ok = (1..=32).contains(&user.len())
            && user.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && user.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !user_ok {
            return Err(BadAddress::new("user", "a login name has 1 to 32 lower-case letters, digits, `-` or `_`"));
        }
        Ok(Self { host: host.to_owned(), port, user: user.to_owned() })
    }

    /// A DNS name or an IP address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The login name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)
    }
}

/// A host key as `ssh-keyscan` and `known_hosts` write it, reduced to algorithm and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostKeyLine(pub(crate) String);

impl HostKeyLine {
    /// The key's SHA-256 fingerprint, as `ssh-keygen -l` prints it: `SHA256:…`.
    pub(crate) fn fingerprint(&self) -> String {
        let blob = self.0.split(' ').nth(1).and_then(|key| BASE64.decode(key).ok()).unwrap_or_default();
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
    }
}

impl FromStr for HostKeyLine {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut words = text.split_ascii_whitespace();
        let (Some(algorithm), Some(key)) = (words.next(), words.next()) else {
            return Err(Invalid::new(
                "a host key looks like `ssh-ed25519 AAAA…`: what `ssh-keyscan` prints, without the host's name",
            ));
        };
        match algorithm {
            "ssh-ed25519" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" => {}
            "ssh-rsa" => {
                return Err(Invalid::new(
                    "RSA host keys are not supported: the library for them has an open advisory (RUSTSEC-2023-0071); give the host's ssh-ed25519 key",
                ));
            }
            _ => {
                return Err(Invalid::new(
                    "the host key's algorithm must be ssh-ed25519 or ecdsa-sha2-nistp256, -384 or -521",
                ));
            }
        }
        // The blob begins with the length and the name of its algorithm (RFC 4253 6.6).
        let blob = BASE64.decode(key).unwrap_or_default();
        let named = blob.get(4..4 + algorithm.len()) == Some(algorithm.as_bytes());
        if key.len() > 1024 || !named {
            return Err(Invalid::new("the host key is cut or damaged: copy the whole line"));
        }
        Ok(Self(format!("{algorithm} {key}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7mM5RwQ1yiR6f3p0c3Ff3QyJ1cGhYk5o3m0l8y8b3P";

    #[test]
    fn a_host_key_is_kept_without_its_comment() {
        let line: HostKeyLine = format!("{KEY} root@vpn").parse().expect("a key");
        assert_eq!(line.0, KEY);
    }

    #[test]
    fn damaged_and_rsa_host_keys_are_refused_with_the_cure() {
        for (bad, cure) in [
            ("", "ssh-keyscan"),
            ("ssh-ed25519", "ssh-keyscan"),
            ("ssh-ed25519 AAAA", "copy the whole line"),
            ("ssh-rsa AAAAB3NzaC1yc2E", "ssh-ed25519"),
            ("vpn1 ssh-ed25519 AAAA", "algorithm"),
        ] {
            let error = bad.parse::<HostKeyLine>().expect_err(bad);
            assert!(error.0.contains(cure), "{bad}: {error}");
        }
    }

    #[test]
    fn addresses_are_checked() {
        assert!(ServerAddress::new("vpn.example.org", 22, "vpn-host").is_ok());
        assert!(ServerAddress::new("::1", 22, "root").is_ok());
        for (host, port, user) in
            [("", 22, "a"), ("-o", 22, "a"), ("a b", 22, "a"), ("a", 0, "a"), ("a", 22, ""), ("a", 22, "A;b")]
        {
            assert!(ServerAddress::new(host, port, user).is_err(), "{host} {port} {user}");
        }
    }
}
