//! Access tokens: `vpn_pat_<id>_<secret><checksum>`.
//!
//! The secret has 256 random bits and is stored as its SHA-256; the checksum (8 hexadecimal digits of
//! the SHA-256 of what stands before it) lets scanners tell a leaked token from noise.

use std::time::Duration;

use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Platform;
use crate::{
    audit::{Action, Entry},
    clock::Timestamp,
    domain::{Caller, Permission, Principal, RequestId, Role, TokenId},
    error::Error,
    store::{NewToken, StoreError, StoredToken},
};

const PREFIX: &str = "vpn_pat_";
/// Hexadecimal digits.
const SECRET: usize = 64;
/// Hexadecimal digits.
const CHECKSUM: usize = 8;
/// The last use is noted when it is this long ago.
const NOTED_EVERY: Duration = Duration::from_mins(1);
/// The longest life of a token, in days.
const MAX_DAYS: u32 = 366;

/// A token that is asked for.
#[derive(Clone, Debug)]
pub struct CreateToken {
    /// Whose.
    pub principal: String,
    /// What they may be.
    pub role: Role,
    /// How long it is valid, in days, from 1 to 366.
    pub valid_for_days: u32,
}

/// A token that was made.
#[derive(Debug)]
pub struct NewlyMade {
    /// What is stored of it.
    pub token: StoredToken,
    /// The whole token. It is shown this once; nobody can find it again.
    pub secret: SecretString,
}

/// The two halves of a token that is well formed.
struct Presented {
    id: TokenId,
    secret_hash: [u8; 32],
}

impl Platform {
    /// Who comes with this token. `None` and every token that does not hold are refused, and the
    /// refusal is audited; the caller learns no more than that.
    pub async fn authenticate(&self, bearer: Option<&str>, request: RequestId) -> Result<Caller, Error> {
        let refused = match bearer.map(Presented::parse) {
            None => ("no token", None),
            Some(None) => ("malformed token", None),
            Some(Some(presented)) => match self.known(&presented).await? {
                Ok((token, now)) => return self.admitted(token, now, request).await,
                Err(why) => (why, Some(presented.id)),
            },
        };
        self.record_refusal(refused, request).await?;
        Err(Error::Unauthenticated)
    }

    async fn record_refusal(&self, refused: (&'static str, Option<TokenId>), request: RequestId) -> Result<(), Error> {
        let Some(untold) = self.refusals.next(std::time::Instant::now()) else { return Ok(()) };
        let (why, id) = refused;
        let mut entry = Entry::by_anonymous(request, Action::AuthenticationRefused).with("why", why);
        if let Some(id) = id {
            entry = entry.with("tokenId", id.to_string());
        }
        if untold > 0 {
            entry = entry.with("notRecordedBefore", untold);
        }
        Ok(self.record(entry).await?)
    }

    async fn known(&self, presented: &Presented) -> Result<Result<(StoredToken, Timestamp), &'static str>, Error> {
        let (found, now) = self.store().read().await?.token(presented.id).await?;
        let Some(token) = found else { return Ok(Err("unknown token")) };
        // In the same time whether the first byte differs or the last.
        if !bool::from(token.secret_hash.ct_eq(&presented.secret_hash)) {
            return Ok(Err("wrong secret"));
        }
        Ok(match token.revoked_at {
            Some(_) => Err("revoked token"),
            None if token.expires_at <= now => Err("expired token"),
            None => Ok((token, now)),
        })
    }

    async fn admitted(&self, token: StoredToken, now: Timestamp, request: RequestId) -> Result<Caller, Error> {
        if token.last_used_at.is_none_or(|last| now.since(last) > NOTED_EVERY) {
            let mut tx = self.store().begin().await?;
            tx.touch_token(token.id).await?;
            tx.commit_bookkeeping().await?;
        }
        Ok(Caller {
            principal: token.principal,
            role: token.role,
            token: Some(token.id),
            expires_at: Some(token.expires_at),
            request_id: request,
        })
    }

    /// Whether the caller's token still holds, for what lives longer than a request.
    pub(super) async fn still_holds(&self, caller: &Caller) -> Result<bool, StoreError> {
        let Some(id) = caller.token else { return Ok(true) };
        let (found, now) = self.store().read().await?.token(id).await?;
        Ok(found.is_some_and(|token| token.revoked_at.is_none() && token.expires_at > now))
    }

    /// Makes a token.
    pub async fn create_token(&self, caller: &Caller, input: CreateToken) -> Result<NewlyMade, Error> {
        self.authorise(caller, Permission::ManageTokens).await?;
        let principal: Principal =
            input.principal.parse().map_err(|bad| Error::invalid("principal", format!("{bad}")))?;
        if !(1..=MAX_DAYS).contains(&input.valid_for_days) {
            return Err(Error::invalid("validForDays", format!("a token is valid for 1 to {MAX_DAYS} days")));
        }
        let id = TokenId::generate(self.ambient());
        let (secret, secret_hash) = make(id, self.ambient().random::<32>());
        let mut tx = self.store().begin().await?;
        let life = Duration::from_hours(u64::from(input.valid_for_days) * 24);
        let created_by = caller.principal.to_string();
        let new = NewToken { id, principal, role: input.role, secret_hash, created_by, expires_at: tx.at().plus(life) };
        tx.insert_token(&new).await?;
        let token = StoredToken {
            id,
            principal: new.principal,
            role: new.role,
            secret_hash,
            created_by: new.created_by,
            created_at: tx.at(),
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
        };
        let entry = Entry::by(caller, Action::TokenCreated)
            .with("tokenId", id.to_string())
            .with("principal", token.principal.as_str())
            .with("role", token.role.as_str())
            .with("expiresAt", token.expires_at.to_string());
        self.commit(tx, entry, Vec::new()).await?;
        Ok(NewlyMade { token, secret })
    }

    /// All tokens, newest first. Their secrets are not among what is stored.
    pub async fn tokens(&self, caller: &Caller) -> Result<Vec<StoredToken>, Error> {
        self.authorise(caller, Permission::ManageTokens).await?;
        Ok(self.store().read().await?.tokens().await?)
    }

    /// Ends a token. One that was ended before stays as it is.
    pub async fn revoke_token(&self, caller: &Caller, id: &str) -> Result<StoredToken, Error> {
        self.authorise(caller, Permission::ManageTokens).await?;
        let id: TokenId = id.parse().map_err(|_| Error::not_found("tokenId", "token"))?;
        let mut tx = self.store().begin().await?;
        let (Some(_), _) = tx.token(id).await? else { return Err(Error::not_found("tokenId", "token")) };
        if tx.revoke_token(id, caller.principal.as_str()).await? {
            let entry = Entry::by(caller, Action::TokenRevoked).with("tokenId", id.to_string());
            self.commit(tx, entry, Vec::new()).await?;
        } else {
            drop(tx);
        }
        let (found, _) = self.store().read().await?.token(id).await?;
        found.ok_or_else(|| Error::not_found("tokenId", "token"))
    }
}

fn make(id: TokenId, mut random: [u8; 32]) -> (SecretString, [u8; 32]) {
    let secret = zeroize::Zeroizing::new(hex::encode(random));
    zeroize::Zeroize::zeroize(&mut random);
    let body = zeroize::Zeroizing::new(format!("{PREFIX}{}_{}", short(id), secret.as_str()));
    (SecretString::from(format!("{}{}", body.as_str(), checksum(&body))), Sha256::digest(secret.as_bytes()).into())
}

/// The id without its own prefix: `vpn_pat_` says what it is.
fn short(id: TokenId) -> String {
    id.to_string().trim_start_matches(TokenId::PREFIX).trim_start_matches('_').to_owned()
}

pub(super) fn checksum(body: &str) -> String {
    hex::encode(Sha256::digest(body.as_bytes())).chars().take(CHECKSUM).collect()
}

impl Presented {
    /// `None` for what no token looks like; then the database need not be asked.
    fn parse(text: &str) -> Option<Self> {
        let body = text.len().checked_sub(CHECKSUM).and_then(|at| text.split_at_checked(at))?;
        let (body, check) = body;
        let (id, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
        let well_formed = secret.len() == SECRET && check == checksum(body);
        let id = format!("{}_{id}", TokenId::PREFIX).parse().ok().filter(|_| well_formed)?;
        Some(Self { id, secret_hash: Sha256::digest(secret.as_bytes()).into() })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::clock::Ambient;

    #[test]
    fn a_token_is_read_back_and_every_change_of_it_is_noticed() {
        let id = TokenId::generate(&Ambient::system());
        let (token, hash) = make(id, [7; 32]);
        let token = token.expose_secret();
        let presented = Presented::parse(token).expect("well formed");
        assert_eq!((presented.id, presented.secret_hash), (id, hash));
        for at in 0..token.len() {
            let mut changed = token.as_bytes().to_vec();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert!(Presented::parse(std::str::from_utf8(&changed).expect("ASCII")).is_none(), "changed at {at}");
            assert!(Presented::parse(&token[..at]).is_none(), "cut at {at}");
        }
        assert!(Presented::parse("vpn_pat_é").is_none());
    }
}
