//! Replies of the protocol `vpn-host 1`. A reply that was cut or garbled is refused as a whole.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::domain::HostFacts;

/// A whole, well-formed reply.
pub(super) struct Reply {
    ok: bool,
    fields: BTreeMap<String, String>,
    payload: Option<SecretString>,
}

/// Why a reply cannot be believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReplyFault {
    #[error(
        "the reply does not begin with `vpn-host 1 ok` or `vpn-host 1 error`: is this the right account on the right host?"
    )]
    Header,
    #[error("the reply was cut or garbled on its way")]
    Cut,
    #[error("the reply is not UTF-8")]
    Encoding,
}

impl Reply {
    pub(super) fn parse(stdout: &[u8]) -> Result<Self, ReplyFault> {
        let text = std::str::from_utf8(stdout).map_err(|_| ReplyFault::Encoding)?;
        let (ok, mut rest) = if let Some(rest) = text.strip_prefix("vpn-host 1 ok\n") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("vpn-host 1 error\n") {
            (false, rest)
        } else {
            return Err(ReplyFault::Header);
        };
        let (mut fields, mut payload) = (BTreeMap::new(), None);
        loop {
            let before = text.len() - rest.len();
            let (line, after) = rest.split_once('\n').ok_or(ReplyFault::Cut)?;
            let (key, value) = line.split_once('=').ok_or(ReplyFault::Cut)?;
            rest = after;
            match key {
                "end" if value.parse() == Ok(before) && rest.is_empty() => return Ok(Self { ok, fields, payload }),
                "end" => return Err(ReplyFault::Cut),
                "payload" if payload.is_none() => {
                    let length = value.parse().map_err(|_| ReplyFault::Cut)?;
                    let body = rest.get(..length).ok_or(ReplyFault::Cut)?;
                    rest = rest.get(length..).ok_or(ReplyFault::Cut)?;
                    if !body.ends_with('\n') {
                        rest = rest.strip_prefix('\n').ok_or(ReplyFault::Cut)?;
                    }
                    payload = Some(SecretString::from(body.to_owned()));
                }
                _ => {
                    if fields.insert(key.to_owned(), value.to_owned()).is_some() {
                        return Err(ReplyFault::Cut);
                    }
                }
            }
        }
    }

    pub(super) const fn is_ok(&self) -> bool {
        self.ok
    }

    pub(super) fn field(&self, key: &str) -> Option<&str> {
        self.fields.get(key).map(String::as_str)
    }

    pub(super) fn number(&self, key: &str) -> Option<u32> {
        self.field(key)?.parse().ok()
    }

    /// A time; not every host tells of all.
    pub(super) fn seconds(&self, key: &str) -> Option<i64> {
        self.field(key)?.parse().ok()
    }

    /// The answer to `hello`.
    pub(super) fn facts(&self) -> Option<HostFacts> {
        Some(HostFacts {
            version: self.number("version")?,
            capabilities: self.field("capabilities")?.split(',').map(str::to_owned).collect(),
            host_id: self.field("host_id")?.to_owned(),
            ca_sha256: self.field("ca_sha256")?.to_owned(),
            crl_number: self.field("crl_number")?.parse().ok()?,
            crl_this_update: self.seconds("crl_this_update"),
            crl_next_update: self.seconds("crl_next_update")?,
            ca_not_after: self.seconds("ca_not_after"),
            server_not_after: self.seconds("server_not_after"),
            config_sha256: self.field("config_sha256").map(str::to_owned),
        })
    }

    pub(super) fn into_payload(self) -> Option<SecretString> {
        self.payload
    }

    /// The fields as lines: what may be shown of a reply. The payload may hold a key and is left out.
    pub(super) fn shown(&self) -> String {
        let mut lines: Vec<String> = self.fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if self.payload.is_some() {
            lines.push("payload=[redacted]".to_owned());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn closed(body: &str) -> String {
        format!("{body}end={}\n", body.len())
    }

    #[test]
    fn a_reply_gives_its_fields_and_payload() {
        let text = closed("vpn-host 1 ok\nverb=issue\nkey=present\npayload=4\nab\nc\n");
        let reply = Reply::parse(text.as_bytes()).expect("a reply");
        assert!(reply.is_ok());
        assert_eq!(reply.field("key"), Some("present"));
        assert_eq!(reply.into_payload().expect("a payload").expose_secret(), "ab\nc");
    }

    #[test]
    fn every_cut_of_a_reply_is_noticed() {
        let text = closed("vpn-host 1 ok\nverb=issue\nkey=present\npayload=5\nab\ncd\n");
        for length in 0..text.len() {
            assert!(Reply::parse(&text.as_bytes()[..length]).is_err(), "cut at {length}");
        }
        assert!(Reply::parse(format!("{text}x").as_bytes()).is_err(), "more behind the end");
    }

    #[test]
    fn the_payload_is_not_shown() {
        let text = closed("vpn-host 1 ok\nkey=present\npayload=6\nsecret\n");
        let reply = Reply::parse(text.as_bytes()).expect("a reply");
        assert_eq!(reply.shown(), "key=present\npayload=[redacted]");
    }

    #[test]
    fn a_login_banner_is_not_a_reply() {
        assert_eq!(Reply::parse(b"Welcome!\n").err(), Some(ReplyFault::Header));
    }
}
