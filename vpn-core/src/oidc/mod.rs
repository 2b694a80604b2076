//! Single sign-on: signed tokens (JWT, RFC 7519) of an OpenID Connect provider as bearers, checked as RFC
//! 8725 advises.
//!
//! Only asymmetric signatures are taken, only algorithms that the configuration lists, and only keys that
//! the issuer publishes for signing; what a token says of its own keys (`jku`, `jwk`, `x5u`) is not looked
//! at. Whatever cannot be checked is refused.

mod algorithms;
mod claims;
mod fetch;
mod keys;

use std::time::{Duration, Instant};

use jsonwebtoken::{Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};

use crate::{
    clock::Timestamp,
    domain::{JwtId, Principal, Role},
};

pub use algorithms::Algorithms;
use fetch::Source;
pub use fetch::check_url;
use keys::{Keys, Matching};

/// Bytes of a token, at most. Larger ones are refused before anything is computed.
const MAX_TOKEN: usize = 8 * 1024;

/// The identity provider's keys cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the identity provider gives no keys: {0}")]
pub struct ProviderError(pub String);

/// An identity provider, and what is expected of its tokens.
#[derive(Clone, Debug)]
pub struct ProviderOptions {
    /// Exactly as its tokens have it in `iss`.
    pub issuer: String,
    /// A token is for us when one of these is in its `aud`.
    pub audience: Vec<String>,
    /// Where its keys are; `None`: where its configuration says,
    /// `ISSUER/.well-known/openid-configuration`.
    pub keys_url: Option<String>,
    /// Signatures that are taken.
    pub algorithms: Algorithms,
    /// How far its clock and ours may be apart.
    pub clock_skew: Duration,
    /// The claim with the principal's name.
    pub principal_claim: String,
    /// The claim with their roles: a name, or a JSON pointer such as `/realm_access/roles`.
    pub role_claim: String,
    /// What stands in that claim, and which role it gives. The first one that is there counts.
    pub roles: Vec<(String, Role)>,
    /// When keys are fetched, and how long they are good for.
    pub patience: Patience,
}

/// When keys are fetched, and how long they are good for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// They are fetched again, at most once in this time, for a token with a key that is not known.
    pub between: Duration,
    /// They are fetched again when they are this old.
    pub fresh: Duration,
    /// While the issuer is away they are used until they are this old.
    pub stale: Duration,
    /// For one request to the issuer.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            between: Duration::from_secs(30),
            fresh: Duration::from_mins(10),
            stale: Duration::from_hours(6),
            answer: Duration::from_secs(5),
        }
    }
}

/// Who a signed token says its bearer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) principal: Principal,
    pub(crate) role: Role,
    pub(crate) expires_at: Timestamp,
    pub(crate) id: JwtId,
}

/// Checks signed tokens of one identity provider.
pub struct Provider {
    options: ProviderOptions,
    keys: Keys,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.options.issuer).finish_non_exhaustive()
    }
}

impl Provider {
    /// Nothing is fetched yet, so an issuer that is away does not keep a server from starting.
    pub fn new(options: ProviderOptions) -> Result<Self, ProviderError> {
        let source = Source::new(&options.issuer, options.keys_url.as_deref(), options.patience.answer)?;
        Ok(Self { keys: Keys::new(source, options.patience), options })
    }

    /// Who the token says its bearer is; or why it is not taken, for the audit log.
    pub(crate) async fn check(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Result<Signed, &'static str>, ProviderError> {
        if token.len() > MAX_TOKEN {
            return Ok(Err("signed token too large"));
        }
        let Ok(header) = decode_header(token) else { return Ok(Err("malformed signed token")) };
        if !self.options.algorithms.contain(header.alg) {
            return Ok(Err("signature algorithm not allowed"));
        }
        if header.crit.is_some() {
            return Ok(Err("signed token with critical extensions"));
        }
        if !header.typ.as_deref().is_none_or(is_for_access) {
            return Ok(Err("signed token of another type"));
        }
        let keys = match self.keys.matching(header.kid.as_deref(), header.alg, Instant::now()).await? {
            Matching::Some(keys) => keys,
            Matching::None => return Ok(Err("signed with an unknown key")),
        };
        let rules = self.rules(header.alg);
        let mut why = "wrong signature";
        for key in keys {
            match decode::<Map<String, Value>>(token, &key, &rules) {
                Ok(token_data) => return Ok(self.signed(token, &token_data.claims, now)),
                Err(error) => why = reason(error.kind()),
            }
        }
        Ok(Err(why))
    }

    fn rules(&self, algorithm: jsonwebtoken::Algorithm) -> Validation {
        let mut rules = Validation::new(algorithm);
        rules.leeway = self.options.clock_skew.as_secs();
        rules.validate_nbf = true;
        rules.set_issuer(&[&self.options.issuer]);
        rules.set_audience(&self.options.audience);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules
    }

    /// What only we want of a token that is signed, in its time, and for us.
    fn signed(&self, token: &str, claims: &Map<String, Value>, now: Timestamp) -> Result<Signed, &'static str> {
        // The library would also take a list in which it stands.
        if claims.get("iss").and_then(Value::as_str) != Some(&self.options.issuer) {
            return Err("signed token of another issuer");
        }
        let latest = now.plus(self.options.clock_skew);
        if claims::instant(claims, "iat").is_some_and(|issued| issued > latest) {
            return Err("signed token of the future");
        }
        let expires_at = claims::instant(claims, "exp").ok_or("signed token without an end")?;
        Ok(Signed {
            principal: claims::principal(claims, &self.options.principal_claim)?,
            role: claims::role(claims, &self.options.role_claim, &self.options.roles)?,
            expires_at: expires_at.plus(self.options.clock_skew),
            id: JwtId::of(token),
        })
    }
}

/// Access tokens (RFC 9068) and plain ones; not those that say they are for something else, such as
/// `logout+jwt`.
fn is_for_access(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

const fn reason(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::InvalidSignature => "wrong signature",
        ErrorKind::ExpiredSignature => "expired signed token",
        ErrorKind::ImmatureSignature => "signed token of the future",
        ErrorKind::InvalidIssuer => "signed token of another issuer",
        ErrorKind::InvalidAudience => "signed token for somebody else",
        ErrorKind::MissingRequiredClaim(_) => "signed token that lacks a claim",
        _ => "malformed signed token",
    }
}
