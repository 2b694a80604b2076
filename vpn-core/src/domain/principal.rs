//! Who asks.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

use super::{Invalid, Permission, RequestId, Role, Scopes, TokenId};
use crate::clock::Timestamp;

/// The name of a person or program: 1 to 64 of letters, digits and `. _ @ - +`. Names that begin
/// with `system:` are the platform's own and cannot be given to anybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal(String);

impl Principal {
    /// The platform's own maintenance, `system:PART`.
    pub(crate) fn system(part: &'static str) -> Self {
        Self(format!("system:{part}"))
    }

    /// Somebody whose name is not known.
    pub(crate) fn anonymous() -> Self {
        Self("anonymous".to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both are the same person, with whichever credentials they come. Names that differ in the
    /// case of letters only count as one person: what two people have to do, one must not do by spelling
    /// their name in two ways.
    #[must_use]
    pub fn is_same_person(&self, other: &Self) -> bool {
        self.is_called(&other.0)
    }

    /// Whether this name is theirs.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl FromStr for Principal {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'@' | b'-' | b'+');
        if !(1..=64).contains(&text.len()) || !text.bytes().all(allowed) || text == "anonymous" {
            return Err(Invalid::new(
                "a principal's name has 1 to 64 letters, digits, `.`, `_`, `@`, `-` or `+`, and is not `anonymous`",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// With what a caller has shown who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The embedding service has checked its caller itself.
    Embedded,
    /// An access token of ours.
    Token(TokenId),
    /// A signed token of the identity provider.
    Jwt(JwtId),
}

impl Credential {
    /// The access token, if it is one.
    #[must_use]
    pub const fn token(self) -> Option<TokenId> {
        match self {
            Self::Token(id) => Some(id),
            Self::Embedded | Self::Jwt(_) => None,
        }
    }

    /// As the audit log has it; `None` for an embedding service.
    #[must_use]
    pub fn mark(self) -> Option<String> {
        match self {
            Self::Embedded => None,
            Self::Token(id) => Some(id.to_string()),
            Self::Jwt(id) => Some(id.to_string()),
        }
    }
}

/// Tells signed tokens apart without giving anything of them away: the first 16 bytes of the
/// SHA-256 of the whole token, behind `jwt_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JwtId([u8; 16]);

impl JwtId {
    /// Of this token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let mut id = [0; 16];
        id.iter_mut().zip(Sha256::digest(token.as_bytes())).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

impl FromStr for JwtId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut id = [0; 16];
        let digits = text.strip_prefix("jwt_").filter(|digits| hex::decode_to_slice(digits, &mut id).is_ok());
        digits.map(|_| Self(id)).ok_or_else(|| Invalid::new("such an id looks like jwt_ and 32 hexadecimal digits"))
    }
}

impl FromStr for Credential {
    type Err = Invalid;

    /// From its mark.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.parse().map(Self::Token).or_else(|_| text.parse().map(Self::Jwt))
    }
}

impl fmt::Display for JwtId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "jwt_{}", hex::encode(self.0))
    }
}

/// Who is asking, in one request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Their name.
    pub principal: Principal,
    /// What they may be.
    pub role: Role,
    /// What of it they may do with their credential.
    pub scopes: Scopes,
    /// With what they have shown who they are.
    pub credential: Credential,
    /// When their credential ends.
    pub expires_at: Option<Timestamp>,
    /// The request.
    pub request_id: RequestId,
}

impl Caller {
    /// For a service that embeds the platform and has checked its caller itself.
    #[must_use]
    pub fn embedded(principal: Principal, role: Role, request_id: RequestId) -> Self {
        let scopes = Scopes::ALL;
        Self { principal, role, scopes, credential: Credential::Embedded, expires_at: None, request_id }
    }

    /// Whether they may: what their role includes, as far as their credential reaches.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.role.may(permission) && self.scopes.contains(permission.scope())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_be_called_like_the_system() {
        for bad in ["system:worker", "", "a b", "anonymous", "a\n"] {
            assert!(bad.parse::<Principal>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn another_spelling_is_the_same_person() {
        let named = |name: &str| name.parse::<Principal>().expect("a name");
        assert!(named("ada@example.org").is_same_person(&named("Ada@Example.org")));
        assert!(!named("ada").is_same_person(&named("adam")));
    }
}
