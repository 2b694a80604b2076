//! Profiles, sealed: XChaCha20-Poly1305 under a key from the configuration.
//!
//! A sealed profile is bound to its client and serial: moved to another row, it does not open.
//! Format: version (1 byte), key id (8), nonce (24), ciphertext and tag.

use std::fmt;

use chacha20poly1305::{
    Key, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::{clock::Ambient, domain::Client};

const VERSION: u8 = 1;
const KEY_ID: usize = 8;
const NONCE: usize = 24;

/// Seals and opens profiles.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
    key_id: [u8; KEY_ID],
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault(key {})", hex::encode(self.key_id))
    }
}

/// Why a profile cannot be sealed or opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The configured key has another form.
    #[error("the profile key is 64 hexadecimal digits (32 random bytes): make one with `openssl rand -hex 32`")]
    BadKey,
    /// It was sealed with another key.
    #[error(
        "the profile was sealed with the key {sealed_with}, configured is {configured}: configure the key it was sealed with"
    )]
    OtherKey {
        /// The id of the key it was sealed with.
        sealed_with: String,
        /// The id of the configured key.
        configured: String,
    },
    /// Its bytes were changed, or it belongs to another client.
    #[error("the sealed profile is damaged or belongs to another client")]
    Damaged,
}

impl Vault {
    /// From 64 hexadecimal digits.
    pub fn new(key: &SecretString) -> Result<Self, VaultError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(key.expose_secret().trim(), &mut bytes).map_err(|_| VaultError::BadKey)?;
        let mut key_id = [0; KEY_ID];
        let digest = Sha256::new_with_prefix(b"vpn profile key").chain_update(bytes).finalize();
        key_id.copy_from_slice(digest.get(..KEY_ID).ok_or(VaultError::BadKey)?);
        let cipher = XChaCha20Poly1305::new(&Key::from(bytes));
        zeroize::Zeroize::zeroize(&mut bytes);
        Ok(Self { cipher, key_id })
    }

    /// The public name of the key, by which a sealed profile tells what opens it.
    #[must_use]
    pub fn key_id(&self) -> String {
        hex::encode(self.key_id)
    }

    /// Seals the profile of a client.
    pub fn seal(&self, profile: &SecretString, client: &Client, ambient: &Ambient) -> Result<Vec<u8>, VaultError> {
        let nonce = ambient.random::<NONCE>();
        let payload = Payload { msg: profile.expose_secret().as_bytes(), aad: &bound_to(client) };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Damaged)?;
        Ok([&[VERSION][..], &self.key_id, &nonce, &sealed].concat())
    }

    /// Opens the profile of a client.
    pub fn open(&self, sealed: &[u8], client: &Client) -> Result<SecretString, VaultError> {
        let (&version, rest) = sealed.split_first().ok_or(VaultError::Damaged)?;
        let (key_id, rest) = rest.split_at_checked(KEY_ID).ok_or(VaultError::Damaged)?;
        let (nonce, text) = rest.split_at_checked(NONCE).ok_or(VaultError::Damaged)?;
        if version != VERSION {
            return Err(VaultError::Damaged);
        }
        if key_id != self.key_id {
            return Err(VaultError::OtherKey {
                sealed_with: hex::encode(key_id),
                configured: hex::encode(self.key_id),
            });
        }
        let nonce = <[u8; NONCE]>::try_from(nonce).map_err(|_| VaultError::Damaged)?;
        let payload = Payload { msg: text, aad: &bound_to(client) };
        let opened = self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Damaged)?;
        String::from_utf8(opened).map(SecretString::from).map_err(|_| VaultError::Damaged)
    }
}

fn bound_to(client: &Client) -> Vec<u8> {
    format!("vpn profile {} {}", client.id, client.serial).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        domain::{ClientId, ClientState, FencingToken, Serial, ServerId},
    };

    fn client() -> Client {
        let ambient = Ambient::system();
        Client {
            id: ClientId::generate(&ambient),
            server_id: ServerId::generate(&ambient),
            name: "alice".parse().expect("a name"),
            serial: Serial::generate(&ambient),
            state: ClientState::Pending,
            revocation: None,
            fence: FencingToken::ZERO,
            created_by: "test".into(),
            created_at: Timestamp::from_micros(0),
        }
    }

    fn vault(digit: &str) -> Vault {
        Vault::new(&SecretString::from(digit.repeat(64))).expect("a key")
    }

    #[test]
    fn a_sealed_profile_opens_for_its_client_only() {
        let (one, other, ambient) = (client(), client(), Ambient::system());
        let sealed = vault("a").seal(&SecretString::from("secret"), &one, &ambient).expect("sealed");
        assert_eq!(vault("a").open(&sealed, &one).expect("opened").expose_secret(), "secret");
        assert_eq!(vault("a").open(&sealed, &other).err(), Some(VaultError::Damaged));
        assert!(matches!(vault("b").open(&sealed, &one), Err(VaultError::OtherKey { .. })));
        let mut changed = sealed.clone();
        *changed.last_mut().expect("bytes") ^= 1;
        assert_eq!(vault("a").open(&changed, &one).err(), Some(VaultError::Damaged));
        assert_eq!(vault("a").open(&sealed[..20], &one).err(), Some(VaultError::Damaged));
    }

    #[test]
    fn a_short_key_is_refused_with_the_cure() {
        let error = Vault::new(&SecretString::from("abc")).expect_err("too short");
        assert!(error.to_string().contains("openssl rand -hex 32"));
    }
}
