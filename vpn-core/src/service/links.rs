//! Links to profiles, for people who have no token: each good for one delivery, for a short time.
//!
//! What opens a link is `vpn_link_<secret><checksum>`: 256 random bits, stored as their SHA-256. It
//! stands in the URL's fragment, which browsers keep to themselves: it reaches no access log, no proxy
//! and no preview of a messenger, only the form that the page sends when somebody presses its button.

use std::{
    net::IpAddr,
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use super::{
    Delivered, Platform,
    bucket::{Buckets, Rate},
    profiles::gone,
    throttle::neighbourhood,
    tokens::checksum,
};
use crate::{
    audit::{Action, Entry},
    clock::Timestamp,
    domain::{Caller, Client, ClientId, LinkId, Permission, RequestId},
    error::{Error, RejectionCode},
    store::{NewLink, StoreError, StoredLink},
};

const PREFIX: &str = "vpn_link_";
/// Hexadecimal digits.
const SECRET: usize = 64;
/// The longest life of a link, in minutes: a day.
const MAX_MINUTES: u32 = 24 * 60;
/// Good links to one profile at a time.
const MAX_OPEN: i64 = 5;
/// Tries that opened nothing, from one address: those that succeed cost nothing.
pub(super) const WRONG: Rate = Rate { burst: 50, every: Duration::from_millis(200) };

/// A link that is asked for.
#[derive(Clone, Debug)]
pub struct CreateProfileLink {
    /// To the profile of which client.
    pub client_id: String,
    /// How long it is good, in minutes, from 1 to 1440.
    pub valid_for_minutes: i32,
}

/// A link that was made.
#[derive(Debug)]
pub struct ProfileLink {
    /// Its id, which opens nothing.
    pub id: LinkId,
    /// To whose profile.
    pub client: Client,
    /// The whole address. It is shown this once; nobody can find it again.
    pub url: SecretString,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What came of opening a link.
#[derive(Debug)]
pub enum Taken {
    /// The profile. The platform no longer has it.
    Profile(Box<Delivered>),
    /// There is nothing behind it: never was, or not any more. Which of them is for the audit log alone.
    Nothing,
    /// Too many links were tried that open nothing.
    TooMany,
}

impl Platform {
    /// Makes a link to a profile that waits for its delivery. Whoever has it can take the profile, once,
    /// without a token.
    pub async fn create_profile_link(&self, caller: &Caller, input: CreateProfileLink) -> Result<ProfileLink, Error> {
        self.authorise(caller, Permission::DeliverProfile).await?;
        let id: ClientId = input.client_id.parse().map_err(|_| Error::not_found("clientId", "client"))?;
        let minutes = u32::try_from(input.valid_for_minutes).ok().filter(|it| (1..=MAX_MINUTES).contains(it));
        let minutes = minutes.ok_or_else(|| {
            Error::invalid("validForMinutes", format!("a link is good for 1 to {MAX_MINUTES} minutes"))
        })?;
        let base = self.policy.public_url.as_deref().ok_or_else(|| {
            Error::wrong_state(
                "links begin with the server's public address: whoever runs it has to configure `public_url`",
            )
        })?;
        self.transact(|| self.try_link(caller, id, minutes, base)).await
    }

    async fn try_link(&self, caller: &Caller, id: ClientId, minutes: u32, base: &str) -> Result<ProfileLink, Error> {
        let mut tx = self.store().begin().await?;
        let client = tx.lock_client(id).await?.ok_or_else(|| Error::not_found("clientId", "client"))?;
        Self::waiting_profile(&mut tx, &client).await?;
        let now = tx.at();
        if tx.open_links(id, now).await? >= MAX_OPEN {
            return Err(Error::wrong_state(format!(
                "{MAX_OPEN} links to this profile are still good: use one of them, or wait until one ends"
            )));
        }
        let (secret, secret_hash) = make(self.ambient().random::<32>());
        let new = NewLink {
            id: LinkId::generate(self.ambient()),
            client_id: id,
            secret_hash,
            created_by: caller.principal.to_string(),
            expires_at: now.plus(Duration::from_secs(u64::from(minutes) * 60)),
        };
        tx.insert_link(&new).await?;
        let entry = Entry::by(caller, Action::LinkCreated)
            .server(client.server_id)
            .client_as_is(&client)
            .with("linkId", new.id.to_string())
            .with("expiresAt", new.expires_at.to_string());
        self.commit(tx, entry, Vec::new()).await?;
        let url = SecretString::from(format!("{base}/profile#{}", secret.as_str()));
        Ok(ProfileLink { id: new.id, client, url, expires_at: new.expires_at })
    }

    /// Takes the profile that a link leads to, in the transaction of every delivery: the profile is handed
    /// out once, with whichever link or without. Whoever tries many that open nothing has to wait, by address. The secret says who may; the log names the link and who
    /// made it.
    pub async fn take_profile(
        &self,
        secret: &str,
        address: Option<IpAddr>,
        request: RequestId,
    ) -> Result<Taken, Error> {
        let address = address.map(neighbourhood);
        if self.wrong_links().wait(&address, Instant::now()).is_some() {
            return Ok(Taken::TooMany);
        }
        let hash = secret_hash(secret);
        let found = match hash {
            Some(hash) => self.store().read().await?.link(hash).await?,
            None => None,
        };
        let Some(link) = found else {
            let why = if hash.is_some() { "unknown link" } else { "malformed link" };
            return self.nothing(why, None, address, request).await;
        };
        match self.transact(|| self.try_take(&link, request)).await {
            Ok(delivered) => Ok(Taken::Profile(Box::new(delivered))),
            Err(Error::Rejected(rejection)) if rejection.code == RejectionCode::ProfileGone => {
                let why = self.why_gone(hash.unwrap_or_default()).await?;
                self.nothing(why, Some(&link), address, request).await
            }
            Err(other) => Err(other),
        }
    }

    /// As it is now: somebody may have used the link a moment ago.
    async fn why_gone(&self, hash: [u8; 32]) -> Result<&'static str, Error> {
        let mut reader = self.store().read().await?;
        let (link, now) = (reader.link(hash).await?, reader.now().await?);
        Ok(match link {
            Some(link) if link.used_at.is_some() => "used link",
            Some(link) if link.expires_at <= now => "expired link",
            Some(link) if link.is_disowned => "token revoked",
            _ => "profile gone",
        })
    }

    async fn try_take(&self, link: &StoredLink, request: RequestId) -> Result<Delivered, Error> {
        let mut tx = self.store().begin().await?;
        let client = tx.lock_client(link.client_id).await?.ok_or_else(gone)?;
        match tx.use_link(link.id).await {
            Err(StoreError::Fenced) => return Err(gone()),
            other => other?,
        }
        let to = format!("{} of {}", link.id, link.created_by);
        let entry = Entry::by_anonymous(request, Action::ProfileDelivered)
            .with("linkId", link.id.to_string())
            .with("linkCreatedBy", link.created_by.as_str());
        self.deliver(tx, client, &to, entry).await
    }

    fn wrong_links(&self) -> MutexGuard<'_, Buckets<Option<IpAddr>>> {
        self.wrong_links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The refusal is on record; a flood of them is counted.
    async fn nothing(
        &self,
        why: &'static str,
        link: Option<&StoredLink>,
        address: Option<IpAddr>,
        request: RequestId,
    ) -> Result<Taken, Error> {
        self.wrong_links().take(address, Instant::now());
        let mut entry = Entry::by_anonymous(request, Action::LinkRefused).with("why", why);
        if let Some(link) = link {
            entry = entry.with("linkId", link.id.to_string()).with("clientId", link.client_id.to_string());
        }
        if let Some(address) = address {
            entry = entry.with("address", address.to_string());
        }
        self.record_refusal(self.refusals.of_link(Instant::now()), entry).await?;
        Ok(Taken::Nothing)
    }
}

fn make(mut random: [u8; 32]) -> (zeroize::Zeroizing<String>, [u8; 32]) {
    let secret = zeroize::Zeroizing::new(hex::encode(random));
    zeroize::Zeroize::zeroize(&mut random);
    let body = zeroize::Zeroizing::new(format!("{PREFIX}{}", secret.as_str()));
    let whole = format!("{}{}", body.as_str(), checksum(&body));
    (zeroize::Zeroizing::new(whole), Sha256::digest(secret.as_bytes()).into())
}

/// `None` for what no link's secret looks like; then the database need not be asked.
fn secret_hash(text: &str) -> Option<[u8; 32]> {
    let (body, check) = text.split_at_checked(PREFIX.len() + SECRET)?;
    let secret = body.strip_prefix(PREFIX)?;
    (check == checksum(body)).then(|| Sha256::digest(secret.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_back_and_every_change_of_it_is_noticed() {
        let (secret, hash) = make([7; 32]);
        assert_eq!(secret_hash(&secret), Some(hash));
        for at in 0..secret.len() {
            let mut changed = secret.as_bytes().to_vec();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(secret_hash(std::str::from_utf8(&changed).expect("ASCII")), None, "changed at {at}");
            assert_eq!(secret_hash(&secret[..at]), None, "cut at {at}");
        }
        assert_eq!(secret_hash("vpn_link_é"), None);
    }
}
