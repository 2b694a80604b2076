//! Who comes with this bearer: an access token of ours, or a signed token of the identity provider.

use std::{net::IpAddr, time::Instant};

use sha2::{Digest as _, Sha256};

use super::{Platform, throttle::Attempt, tokens::Presented};
use crate::{
    audit::{Action, Entry},
    domain::{Caller, Credential, RequestId, Scopes},
    error::Error,
};

/// Why nobody is admitted. The audit log has it, and the caller is not told.
type Why = &'static str;

impl Platform {
    /// Who comes with this bearer, from this address (unknown: it is not throttled by it). `None` and
    /// everything that does not hold are refused, and the refusal is audited; the caller learns no more
    /// than that. Whoever fails again and again is told to wait, and is not looked at.
    pub async fn authenticate(
        &self,
        bearer: Option<&str>,
        address: Option<IpAddr>,
        request: RequestId,
    ) -> Result<Caller, Error> {
        let presented = bearer.and_then(Presented::parse);
        let attempt = Attempt {
            address,
            token: presented.as_ref().map(|it| it.id),
            fingerprint: bearer.map(|it| Sha256::digest(it.as_bytes()).into()),
        };
        if let Some(wait) = self.throttle.wait(&attempt, Instant::now()) {
            self.record_refused_sign_in("too many attempts", &attempt, request).await?;
            return Err(Error::TooManyAttempts(wait));
        }
        match self.identify(bearer, presented, request).await? {
            Ok(caller) => {
                self.throttle.succeeded(&attempt, Instant::now());
                Ok(caller)
            }
            Err(why) => {
                self.throttle.failed(&attempt, Instant::now());
                self.record_refused_sign_in(why, &attempt, request).await?;
                Err(Error::Unauthenticated)
            }
        }
    }

    async fn identify(
        &self,
        bearer: Option<&str>,
        presented: Option<Presented>,
        request: RequestId,
    ) -> Result<Result<Caller, Why>, Error> {
        let Some(bearer) = bearer else { return Ok(Err("no token")) };
        if let Some(presented) = presented {
            return match self.known(&presented).await? {
                Ok((token, now)) => self.admitted(token, now, request).await.map(Ok),
                Err(why) => Ok(Err(why)),
            };
        }
        // A signed token has three parts; nothing else is worth a look.
        match &self.provider {
            Some(provider) if bearer.split('.').count() == 3 => {
                let signed = provider.check(bearer, self.ambient().now()).await?;
                Ok(signed.map(|signed| Caller {
                    principal: signed.principal,
                    role: signed.role,
                    scopes: Scopes::ALL,
                    credential: Credential::Jwt(signed.id),
                    expires_at: Some(signed.expires_at),
                    request_id: request,
                }))
            }
            _ => Ok(Err("malformed token")),
        }
    }

    async fn record_refused_sign_in(&self, why: Why, attempt: &Attempt, request: RequestId) -> Result<(), Error> {
        let mut entry = Entry::by_anonymous(request, Action::AuthenticationRefused).with("why", why);
        if let Some(id) = attempt.token {
            entry = entry.with("tokenId", id.to_string());
        }
        if let Some(address) = attempt.address {
            entry = entry.with("address", address.to_string());
        }
        Ok(self.record_refusal(self.refusals.of_sign_in(Instant::now()), entry).await?)
    }
}
