//! VPN hosts over real SSH, against the sandbox's sshd and the host's own scripts.

mod broken_hosts;
mod certificates;
mod connections;
mod faults;
mod fences;
mod host_keys;
mod requests;
mod verbs;

use anyhow::Result;
use vpn_core::{
    domain::Server,
    host::{HostError, HostErrorKind},
    secrecy::{ExposeSecret as _, SecretString},
};

/// The error of a call that has to fail.
fn error<T>(outcome: Result<T, HostError>) -> Result<HostError> {
    match outcome {
        Ok(_) => anyhow::bail!("the host did it"),
        Err(error) => Ok(error),
    }
}

/// Checks that the message names the host and what to do about it.
fn names_host_and_cure(error: &HostError, server: &Server, cure: &str) {
    let message = error.to_string();
    assert!(message.contains(server.name.as_str()), "{message}");
    assert!(message.contains(&server.address.to_string()), "{message}");
    assert!(message.contains(cure), "{message}");
}

/// The text between two lines of a profile.
fn block<'t>(profile: &'t SecretString, tag: &str) -> Option<&'t str> {
    let text = profile.expose_secret();
    let (_, rest) = text.split_once(&format!("<{tag}>\n"))?;
    rest.split_once(&format!("</{tag}>")).map(|(inside, _)| inside)
}

/// Whether nothing was sent to the host.
const fn is_before_sending(kind: &HostErrorKind) -> bool {
    matches!(
        kind,
        HostErrorKind::Unreachable(_)
            | HostErrorKind::LoginRefused(_)
            | HostErrorKind::HostKeyMismatch { .. }
            | HostErrorKind::HostKeyUnknown { .. }
    )
}
