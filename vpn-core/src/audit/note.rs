//! Signed notes, as [c2sp.org/signed-note](https://c2sp.org/signed-note) has them, with Ed25519.
//!
//! Keys are written as Go's `note` package does: `NAME+ID+KEY`, and the private one with
//! `PRIVATE+KEY+` in front; ID is eight hexadecimal digits, KEY is base64 of `0x01` and 32 bytes.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::clock::Ambient;

/// Marks Ed25519 in keys and key ids.
const ED25519_MARK: u8 = 1;
/// What a private key begins with.
const PRIVATE: &str = "PRIVATE+KEY+";
/// What a signature line begins with.
const DASH: &str = "— ";
/// Signatures on one note that are looked at, at most.
const MAX_SIGNATURES: usize = 64;

/// What is wrong with a key or a note.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// This is no key. The text is not repeated: it may be a secret.
    #[error("this is no {0}, as `vpn-graphql audit keygen` makes it")]
    Key(&'static str),
    /// This is no signed note.
    #[error("this is no signed note: {0}")]
    Form(&'static str),
    /// The signature was not made with the key that it names, or not for this text.
    #[error("the signature of {0} is forged, or the text was changed")]
    Forged(String),
    /// Somebody signed, but nobody that is trusted.
    #[error("none of the keys that were given has signed this")]
    Unsigned,
}

/// Whether names may be written into notes.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '+')
}

fn key_id(name: &str, key: &[u8; 32]) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', ED25519_MARK]).chain_update(key).finalize();
    let mut id = [0; 4];
    id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    id
}

/// Name, id and the bytes of a key.
type Parts<'t> = (&'t str, [u8; 4], Zeroizing<[u8; 32]>);

/// `NAME+ID+BASE64`, with the right mark; the id is the caller's to check.
fn parts(text: &str) -> Option<Parts<'_>> {
    let mut parts = text.splitn(3, '+');
    let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
    let mut bytes = [0; 4];
    hex::decode_to_slice(id, &mut bytes).ok()?;
    let key = Zeroizing::new(STANDARD.decode(key).ok()?);
    let (mark, key) = key.split_first()?;
    (*mark == ED25519_MARK && is_name(name)).then_some(())?;
    Some((name, bytes, Zeroizing::new(key.try_into().ok()?)))
}

/// Checks the signatures of one signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    id: [u8; 4],
    key: [u8; 32],
}

impl PublicKey {
    /// Whose it is: for a log's key, the log's origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for PublicKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, id, key) = parts(text.trim()).ok_or(NoteError::Key("public key"))?;
        if key_id(name, &key) != id {
            return Err(NoteError::Key("public key"));
        }
        Ok(Self { name: name.to_owned(), id, key: *key })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_MARK];
        key.extend(self.key);
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id), STANDARD.encode(key))
    }
}

/// Signs notes under a name.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public)
    }
}

impl SigningKey {
    /// A new key in its text form, which [`SigningKey::read`] takes.
    pub fn generate(name: &str, ambient: &Ambient) -> Result<SecretString, NoteError> {
        let seed = Zeroizing::new(ambient.random::<32>());
        let id = Self::from_seed(name, &seed)?.public.id;
        let mut marked = Zeroizing::new(vec![ED25519_MARK]);
        marked.extend(seed.iter());
        let key = Zeroizing::new(STANDARD.encode(&marked));
        Ok(SecretString::from(format!("{PRIVATE}{name}+{}+{}", hex::encode(id), *key)))
    }

    /// Keys, one a line: while a key is exchanged for another, both sign.
    pub fn read(text: &SecretString) -> Result<Vec<Self>, NoteError> {
        let lines = text.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Vec<Self> = lines.map(Self::read_one).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(NoteError::Key("private key")) } else { Ok(keys) }
    }

    fn read_one(line: &str) -> Result<Self, NoteError> {
        let bad = NoteError::Key("private key");
        let (name, id, seed) = line.strip_prefix(PRIVATE).and_then(parts).ok_or_else(|| bad.clone())?;
        let key = Self::from_seed(name, &seed)?;
        if key.public.id == id { Ok(key) } else { Err(bad) }
    }

    fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let bad = || NoteError::Key("private key");
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| bad())?;
        let key: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| bad())?;
        if !is_name(name) {
            return Err(bad());
        }
        Ok(Self { public: PublicKey { name: name.to_owned(), id: key_id(name, &key), key }, pair })
    }

    /// What others check its signatures with.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }
}

/// The text with a signature of each key. It ends with a newline.
#[must_use]
pub fn sign(text: &str, keys: &[SigningKey]) -> String {
    keys.iter().fold(format!("{text}\n"), |note, key| {
        let mut signature = key.public.id.to_vec();
        signature.extend(key.pair.sign(text.as_bytes()).as_ref());
        note + &format!("{DASH}{} {}\n", key.public.name, STANDARD.encode(signature))
    })
}

/// The text of a note that one of these keys has signed. Signatures of others are passed over; one of
/// these keys that is wrong spoils the note.
pub fn open<'n>(note: &'n str, keys: &[PublicKey]) -> Result<&'n str, NoteError> {
    let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Form("there is no signature"))?;
    let text = note.get(..=text.len()).ok_or(NoteError::Form("there is no text"))?;
    let mut signed = false;
    for line in signatures.lines().take(MAX_SIGNATURES) {
        let (name, signature) = signature(line)?;
        let Some((id, signature)) = signature.split_at_checked(4) else { return Err(NoteError::Form("a signature")) };
        for key in keys.iter().filter(|key| key.name == name && key.id == id) {
            UnparsedPublicKey::new(&ED25519, key.key)
                .verify(text.as_bytes(), signature)
                .map_err(|_| NoteError::Forged(key.to_string()))?;
            signed = true;
        }
    }
    if signed { Ok(text) } else { Err(NoteError::Unsigned) }
}

fn signature(line: &str) -> Result<(&str, Vec<u8>), NoteError> {
    let bad = NoteError::Form("a signature line is `— NAME BASE64`");
    let (name, signature) = line.strip_prefix(DASH).and_then(|line| line.split_once(' ')).ok_or_else(|| bad.clone())?;
    Ok((name, STANDARD.decode(signature).map_err(|_| bad)?))
}

/// The notes in a file to which one after the other was appended.
pub fn several(text: &str) -> Result<Vec<&str>, NoteError> {
    let (mut notes, mut start, mut end, mut signed) = (Vec::new(), 0, 0, false);
    for line in text.split_inclusive('\n') {
        let signature = line.starts_with(DASH);
        if signed && !signature {
            notes.extend(text.get(start..end));
            // A blank line between two is no part of either.
            start = if line == "\n" { end + 1 } else { end };
            signed = line == "\n" && text.get(start..).is_none_or(str::is_empty);
        }
        signed |= signature;
        end += line.len();
    }
    if !text.get(start..).is_none_or(str::is_empty) {
        if !signed || !text.ends_with('\n') {
            return Err(NoteError::Form("the last one is not whole"));
        }
        notes.extend(text.get(start..));
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use signed_note::{Note, StandardSigner, StandardVerifier, VerifierList};

    use super::*;

    const NAME: &str = "log.example/1";
    const TEXT: &str = "log.example/1\n5\nAAAA\n";

    fn key(name: &str) -> SigningKey {
        let text = SigningKey::generate(name, &Ambient::system()).expect("a key");
        SigningKey::read(&text).expect("the same key").remove(0)
    }

    #[test]
    fn our_notes_are_taken_by_another_implementation() {
        let text = SigningKey::generate(NAME, &Ambient::system()).expect("a key");
        let keys = SigningKey::read(&text).expect("the same key");
        let note = sign(TEXT, &keys);
        let theirs = Note::from_bytes(note.as_bytes()).expect("a note");
        let verifier = StandardVerifier::new(&keys[0].public().to_string()).expect("a public key");
        let (known, unknown) = theirs.verify(&VerifierList::new(vec![Box::new(verifier)])).expect("signed");
        assert_eq!((known.len(), unknown.len()), (1, 0));

        let mut made = Note::new(TEXT.as_bytes(), &[]).expect("a note");
        let signer = StandardSigner::new(text.expose_secret()).expect("a private key");
        made.add_sigs(&[&signer]).expect("signed");
        let made = String::from_utf8(made.to_bytes()).expect("text");
        assert_eq!(made, note, "Ed25519 is deterministic");
        assert_eq!(open(&made, &[keys[0].public().clone()]), Ok(TEXT));
    }

    #[test]
    fn forged_signatures_and_strangers_are_refused() {
        let (ours, stranger) = (key(NAME), key(NAME));
        let trusted = [ours.public().clone()];
        let note = sign(TEXT, &[ours]);
        assert_eq!(open(&note.replace("\n5\n", "\n6\n"), &trusted), Err(NoteError::Forged(trusted[0].to_string())));
        assert_eq!(open(&note, &[stranger.public().clone()]), Err(NoteError::Unsigned));
        assert_eq!(open(TEXT, &trusted), Err(NoteError::Form("there is no signature")));
        assert!(matches!(open(&note.replace("— ", "- "), &trusted), Err(NoteError::Form(_))));
    }

    #[test]
    fn while_keys_change_both_sign_and_either_is_enough() {
        let (old, new) = (key(NAME), key(NAME));
        let (knows_old, knows_new) = ([old.public().clone()], [new.public().clone()]);
        let note = sign(TEXT, &[old, new]);
        assert_eq!(open(&note, &knows_old), Ok(TEXT));
        assert_eq!(open(&note, &knows_new), Ok(TEXT));
    }

    #[test]
    fn notes_that_were_appended_come_apart_again() {
        let keys = [key(NAME), key(NAME)];
        let (one, two) = (sign(TEXT, &keys), sign("log.example/1\n6\nAAAB\n", &keys));
        for between in ["", "\n"] {
            let file = format!("{one}{between}{two}{between}");
            assert_eq!(several(&file), Ok(vec![one.as_str(), two.as_str()]), "{file}");
        }
        assert_eq!(several(""), Ok(vec![]));
        assert!(several(&format!("{one}log.example/1\n7\n")).is_err());
        assert!(several(one.trim_end()).is_err());
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        let secret = SigningKey::generate(NAME, &Ambient::system()).expect("a key");
        let public = SigningKey::read(&secret).expect("a key")[0].public().to_string();
        assert_eq!(public.parse::<PublicKey>().map(|key| key.to_string()), Ok(public.clone()));
        for bad in ["", "x", "a b+00000000+AQ==", &public.replace("log.", "lag."), secret.expose_secret()] {
            assert_eq!(bad.parse::<PublicKey>(), Err(NoteError::Key("public key")), "{bad}");
        }
        let error = SigningKey::read(&SecretString::from(public)).map(drop).expect_err("no private key");
        assert_eq!(error, NoteError::Key("private key"));
        assert!(!format!("{:?}", SigningKey::read(&secret)).contains("PRIVATE"));
        assert!(SigningKey::generate("with space", &Ambient::system()).is_err());
    }
}
