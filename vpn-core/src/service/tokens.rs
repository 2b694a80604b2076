//! Access tokens: `vpn_pat_<id>_<secret><checksum>`.
//!
//! The secret has 256 random bits and is stored as its SHA-256; the checksum (8 hexadecimal digits of
//! the SHA-256 of what stands before it) lets scanners tell a leaked token from noise.

use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    Awaited, Platform,
    mutation::{Done, Mutation},
};
use crate::{
    audit::{Action, Entry},
    clock::Timestamp,
    domain::{Caller, Credential, Operation, Permission, Principal, RequestId, Role, Scopes, TokenId},
    error::Error,
    store::{NewToken, Page, PageRequest, Remembered, StoreError, StoredToken, TokenFilter, Tx},
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
    /// What of it the token may be used for.
    pub scopes: Scopes,
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
pub(super) struct Presented {
    pub(super) id: TokenId,
    secret_hash: [u8; 32],
}

impl Platform {
    /// The token, if it holds.
    pub(super) async fn known(
        &self,
        presented: &Presented,
    ) -> Result<Result<(StoredToken, Timestamp), &'static str>, Error> {
        let (found, now) = self.store().read().await?.token(presented.id).await?;
        let Some(token) = found else { return Ok(Err("unknown token")) };
        // In the same time whether the first byte differs or the last.
        if !bool::from(token.secret_hash.ct_eq(&presented.secret_hash)) {
            return Ok(Err("wrong secret"));
        }
        Ok(match token.revoked_at {
            Some(_) => Err("revoked token"),
            None if !token.holds(now) => Err("expired token"),
            None => Ok((token, now)),
        })
    }

    /// Whoever comes with a token that holds.
    pub(super) async fn admitted(
        &self,
        token: StoredToken,
        now: Timestamp,
        request: RequestId,
    ) -> Result<Caller, Error> {
        if token.last_used_at.is_none_or(|last| now.since(last) > NOTED_EVERY)
            && self.uses.is_due(token.id, Instant::now(), NOTED_EVERY)
        {
            let mut tx = self.store().begin().await?;
            tx.touch_token(token.id, NOTED_EVERY).await?;
            tx.commit_bookkeeping().await?;
        }
        Ok(Caller {
            principal: token.principal,
            role: token.role,
            scopes: token.scopes,
            credential: Credential::Token(token.id),
            expires_at: Some(token.expires_at),
            request_id: request,
        })
    }

    /// Whether the caller's credential still holds, for what lives longer than a request.
    pub(super) async fn still_holds(&self, caller: &Caller) -> Result<bool, StoreError> {
        let Some(id) = caller.credential.token() else {
            return Ok(caller.expires_at.is_none_or(|end| end > self.ambient().now()));
        };
        let (found, now) = self.store().read().await?.token(id).await?;
        Ok(found.is_some_and(|token| token.holds(now)))
    }

    /// Makes a token. It may do no more than its maker: who holds a narrowed token cannot widen it so.
    pub async fn create_token(&self, caller: &Caller, input: CreateToken) -> Result<NewlyMade, Error> {
        let id = TokenId::generate(self.ambient());
        let (secret, secret_hash) = make(id, self.ambient().random::<32>());
        let request = TokenRequest {
            principal: input.principal,
            role: input.role.as_str().to_owned(),
            scopes: input.scopes.to_string(),
            valid_for_days: input.valid_for_days,
            token_id: id.to_string(),
            secret_hash: hex::encode(secret_hash),
        };
        match self.run(caller, &request).await {
            Ok(token) => Ok(NewlyMade { token, secret }),
            Err(Error::AwaitsApproval(awaited)) => {
                Err(Error::AwaitsApproval(Box::new(Awaited { secret: Some(secret), ..*awaited })))
            }
            Err(other) => Err(other),
        }
    }

    /// A page of tokens, newest first: everybody's for who may see them, and otherwise one's own. Their
    /// secrets are not among what is stored.
    pub async fn tokens(
        &self,
        caller: &Caller,
        filter: &TokenFilter,
        page: &PageRequest<TokenId>,
    ) -> Result<Page<StoredToken>, Error> {
        let mut filter = filter.clone();
        if !caller.may(Permission::ReadTokens) {
            self.authorise(caller, Permission::OwnTokens).await?;
            let own = caller.principal.as_str();
            if filter.principal.replace(own.to_owned()).is_some_and(|wanted| wanted != own) {
                // Somebody else's: that needs more.
                self.authorise(caller, Permission::ReadTokens).await?;
            }
        }
        Ok(self.store().read().await?.tokens(&filter, page).await?)
    }

    /// A token; `None` when there is none. One's own, or anybody's for who may see them.
    pub async fn token(&self, caller: &Caller, id: TokenId) -> Result<Option<StoredToken>, Error> {
        self.authorise(caller, Permission::OwnTokens).await?;
        let (found, _) = self.store().read().await?.token(id).await?;
        Ok(found.filter(|token| token.principal == caller.principal || caller.may(Permission::ReadTokens)))
    }

    /// Ends a token, one's own, or anybody's for who may manage them. One that was ended before stays as
    /// it is.
    pub async fn revoke_token(&self, caller: &Caller, id: &str) -> Result<StoredToken, Error> {
        self.authorise(caller, Permission::OwnTokens).await?;
        let id: TokenId = id.parse().map_err(|_| Error::not_found("tokenId", "token"))?;
        let found = self.store().read().await?.token(id).await?.0;
        if found.is_none_or(|token| token.principal != caller.principal) {
            self.authorise(caller, Permission::ManageTokens).await?;
        }
        self.transact(|| self.try_revoke_token(caller, id)).await
    }

    async fn try_revoke_token(&self, caller: &Caller, id: TokenId) -> Result<StoredToken, Error> {
        let unknown = || Error::not_found("tokenId", "token");
        let mut tx = self.store().begin().await?;
        let token = tx.token(id).await?.0.ok_or_else(unknown)?;
        if !tx.revoke_token(id, caller.principal.as_str()).await? {
            drop(tx);
            return self.store().read().await?.token(id).await?.0.ok_or_else(unknown);
        }
        let at = tx.at();
        let entry = Entry::by(caller, Action::TokenRevoked)
            .with("tokenId", id.to_string())
            .with("principal", token.principal.as_str());
        self.commit(tx, entry, Vec::new()).await?;
        Ok(StoredToken { revoked_at: Some(at), ..token })
    }
}

/// A token that is asked for, with the hash of the secret that its maker has already. Under the two-person
/// rule this is what waits: nobody is admitted with the secret before it is approved, and who approves does
/// not learn it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenRequest {
    principal: String,
    role: String,
    scopes: String,
    valid_for_days: u32,
    token_id: String,
    secret_hash: String,
}

/// The same, checked.
pub(super) struct CheckedToken {
    id: TokenId,
    principal: Principal,
    role: Role,
    scopes: Scopes,
    life: Duration,
    secret_hash: [u8; 32],
}

impl Mutation for TokenRequest {
    const OPERATION: Operation = Operation::CreateToken;
    type Checked = CheckedToken;
    type Made = StoredToken;

    /// The secret cannot be given again.
    fn key(&self) -> Option<&str> {
        None
    }

    fn check(&self, _: &Platform, maker: &Caller) -> Result<CheckedToken, Error> {
        let principal = self.principal.parse().map_err(|bad| Error::invalid("principal", format!("{bad}")))?;
        if !(1..=MAX_DAYS).contains(&self.valid_for_days) {
            return Err(Error::invalid("validForDays", format!("a token is valid for 1 to {MAX_DAYS} days")));
        }
        let role: Role = self.role.parse().map_err(|bad| Error::invalid("role", format!("{bad}")))?;
        let scopes: Scopes = self
            .scopes
            .parse()
            .map_err(|_| Error::invalid("scopes", "a token needs one scope at least, or it may do nothing"))?;
        let may = |permission: &Permission| role.may(*permission) && scopes.contains(permission.scope());
        if let Some(more) = Permission::all().filter(may).find(|permission| !maker.may(*permission)) {
            let message =
                format!("a token may do no more than its maker, whose own does not reach `{}`", more.as_str());
            return Err(Error::invalid("scopes", message));
        }
        let mut secret_hash = [0; 32];
        hex::decode_to_slice(&self.secret_hash, &mut secret_hash)
            .map_err(|_| Error::invalid("input", "the hash of the secret is damaged"))?;
        let id = self.token_id.parse().map_err(|_| Error::invalid("input", "the token's id is damaged"))?;
        let life = Duration::from_hours(u64::from(self.valid_for_days) * 24);
        Ok(CheckedToken { id, principal, role, scopes, life, secret_hash })
    }

    async fn perform(
        _: &Platform,
        tx: &mut Tx,
        caller: &Caller,
        asked: &CheckedToken,
    ) -> Result<Done<StoredToken>, Error> {
        let (created_by, created_at) = (caller.principal.to_string(), tx.at());
        let CheckedToken { id, principal, role, scopes, life, secret_hash } = asked;
        let new = NewToken {
            id: *id,
            principal: principal.clone(),
            role: *role,
            scopes: *scopes,
            secret_hash: *secret_hash,
            created_by,
            expires_at: created_at.plus(*life),
        };
        tx.insert_token(&new).await?;
        let token = StoredToken {
            id: new.id,
            principal: new.principal,
            role: new.role,
            scopes: new.scopes,
            secret_hash: new.secret_hash,
            created_by: new.created_by,
            created_at,
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
        };
        let first = Entry::by(caller, Action::TokenCreated)
            .with("tokenId", id.to_string())
            .with("principal", token.principal.as_str())
            .with("role", token.role.as_str())
            .with("scopes", token.scopes.to_string())
            .with("expiresAt", token.expires_at.to_string());
        Ok(Done::New { made: token, first, more: Vec::new(), remembered: Remembered::default() })
    }

    async fn again(_: &mut Tx, _: &Remembered) -> Result<StoredToken, Error> {
        Err(Error::not_found("idempotencyKey", "token"))
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
    pub(super) fn parse(text: &str) -> Option<Self> {
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
