//! What the audit log keeps of a run on a host: exit status, duration, and the output, hashed whole
//! and shown without what must stay secret.

use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{HostError, HostErrorKind, Output, Request, reply::Reply};
use crate::domain::Server;

/// The most of an output that is kept, in characters.
const KEPT: usize = 2000;

/// A run of the host's scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    server: String,
    verb: &'static str,
    exit: u32,
    duration: Duration,
    sha256: String,
    shown: String,
}

impl Evidence {
    pub(super) fn of(server: &Server, request: &Request, output: &Output, reply: Option<&Reply>) -> Self {
        let shown = match reply {
            Some(reply) => reply.shown(),
            None => redact(&String::from_utf8_lossy(&output.stdout)),
        };
        let stderr = redact(&String::from_utf8_lossy(&output.stderr));
        let shown = if stderr.is_empty() { shown } else { format!("{shown}\nstderr: {stderr}") };
        Self {
            server: format!("{} ({})", server.name, server.address),
            verb: request.verb(),
            exit: output.exit,
            duration: output.duration,
            sha256: hex::encode(Sha256::digest(output.stdout.as_slice())),
            shown: shown.chars().take(KEPT).collect(),
        }
    }

    /// The run as the audit log has it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut run = Map::new();
        run.insert("verb".into(), json!(self.verb));
        run.insert("exit".into(), json!(self.exit));
        run.insert("durationMs".into(), json!(u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX)));
        run.insert("outputSha256".into(), json!(self.sha256));
        run.insert("output".into(), json!(self.shown));
        Value::Object(run)
    }

    /// The reply says something else than what was asked.
    pub(crate) fn unexpected(self, what: &str) -> HostError {
        HostError {
            server: self.server.clone(),
            kind: HostErrorKind::Unintelligible(what.to_owned()),
            evidence: Some(self),
        }
    }

    /// The host refused, with a code of the contract.
    pub(super) fn refused(self, code: u32, said: String, request: &Request) -> HostError {
        let kind = match code {
            64 => HostErrorKind::BadRequest(said),
            65 => HostErrorKind::Conflict(said),
            66 => HostErrorKind::Revoked(said),
            70 => HostErrorKind::Damaged(said),
            69 | 74 | 75 => HostErrorKind::Trouble(said),
            76 => HostErrorKind::StaleFence(format!("for {}: {said}", request.about().unwrap_or("nobody"))),
            77 => HostErrorKind::OtherOwner(said),
            _ => HostErrorKind::Unintelligible(format!("unknown exit status {code}: {said}")),
        };
        HostError { server: self.server.clone(), kind, evidence: Some(self) }
    }
}

/// Takes out everything between the frames of keys, and lines that look like one.
fn redact(text: &str) -> String {
    let mut inside = false;
    let mut kept = Vec::new();
    for line in text.lines() {
        let begins = line.contains("-----BEGIN");
        if begins && !inside {
            kept.push("[redacted]");
        }
        inside |= begins;
        if !inside {
            kept.push(if looks_like_key_material(line) { "[redacted]" } else { line });
        }
        inside &= !line.contains("-----END");
    }
    kept.join("\n")
}

/// A long run of base64 or hexadecimal digits without a space.
fn looks_like_key_material(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 40 && line.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_not_survive_redaction() {
        let pem = format!("before\n-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\nafter", "Mi".repeat(32));
        assert_eq!(redact(&pem), "before\n[redacted]\nafter");
        assert_eq!(redact(&"0a".repeat(32)), "[redacted]");
        assert_eq!(redact("-----BEGIN PRIVATE KEY-----\nMI"), "[redacted]", "an output that was cut inside a key");
        assert_eq!(redact("openssl: no such file"), "openssl: no such file");
    }
}
