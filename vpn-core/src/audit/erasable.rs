//! What entries say of people. An entry holds commitments to it, no more; the values stand beside the log, each with
//! the salt without which nobody can guess it from its commitment, and can be erased there: no entry changes.

use std::fmt;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Action, Hash};
use crate::clock::Ambient;

/// An entry has `erasable:` and the commitment in 64 hexadecimal digits where it would have the value; no name of
/// anybody has a colon.
const MARK: &str = "erasable:";
/// What is shown in its place once the value is erased.
const ERASED: &str = "erased:";

/// What kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A principal's name. All entries have the same commitment for it, until it is erased: so entries can be looked
    /// for by who did it, and two deeds of one person still are two deeds of one person when the name is gone.
    Person,
    /// A client's name, words that somebody wrote, an address, the output of a program. Each entry has a commitment
    /// of its own for it.
    Text,
}

impl Kind {
    /// As SQL has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Text => "text",
        }
    }

    /// Of what entries of this action tell under this key, wherever in their detail; `None` for what says nothing
    /// of people.
    fn of(action: Action, key: &str) -> Option<Self> {
        match key {
            "requestedBy" | "approvedBy" | "linkCreatedBy" | "principal" => Some(Self::Person),
            // Name and address of a machine.
            "name" | "address" if matches!(action, Action::ServerRegistered) => None,
            "name" | "address" | "reason" | "csr" | "errorMessage" | "output" => Some(Self::Text),
            _ => None,
        }
    }
}

/// A value that can be erased, and the salt of its commitment.
#[derive(Clone, PartialEq, Eq)]
pub struct Erasable {
    /// 32 random bytes.
    pub salt: [u8; 32],
    /// The value.
    pub value: String,
}

impl Erasable {
    /// A new one.
    #[must_use]
    pub fn new(value: impl Into<String>, ambient: &Ambient) -> Self {
        Self { salt: ambient.random(), value: value.into() }
    }

    /// SHA-256 of the salt and the value behind it.
    #[must_use]
    pub fn commitment(&self) -> Hash {
        Sha256::new().chain_update(self.salt).chain_update(&self.value).finalize().into()
    }
}

/// The salt is as good as the value to somebody who guesses.
impl fmt::Debug for Erasable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Erasable").finish_non_exhaustive()
    }
}

/// As an entry, and the column beside it, has the value with this commitment.
#[must_use]
pub fn mark(commitment: &Hash) -> String {
    format!("{MARK}{}", hex::encode(commitment))
}

/// As it is shown once the value is erased.
pub(super) fn erased(commitment: &Hash) -> String {
    format!("{ERASED}{}", hex::encode(commitment))
}

/// How the column of an entry has what is shown as an erased name; `None` for any other name.
#[must_use]
pub fn mark_of_erased(shown: &str) -> Option<String> {
    shown.strip_prefix(ERASED).and_then(commitment).map(|commitment| mark(&commitment))
}

/// A commitment from 64 hexadecimal digits.
#[must_use]
pub fn commitment(digits: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    let is_lower = !digits.bytes().any(|b| b.is_ascii_uppercase());
    (is_lower && hex::decode_to_slice(digits, &mut hash).is_ok()).then_some(hash)
}

/// The commitment that this text stands for, if it stands for one.
pub(super) fn marked(text: &str) -> Option<Hash> {
    text.strip_prefix(MARK).and_then(commitment)
}

/// All commitments in a canonical form, each once. They are found without reading the JSON, because a quotation mark
/// cannot stand in a string, and `v` is the last key. Version 1 had none, only words that might look like one.
pub(super) fn commitments(canonical: &[u8]) -> Vec<Hash> {
    let mut found = Vec::new();
    let Ok(text) = std::str::from_utf8(canonical) else { return found };
    if text.ends_with("\"v\":1}") {
        return found;
    }
    for (at, _) in text.match_indices("\"erasable:") {
        let word = text.get(at + 1..).and_then(|rest| rest.split('"').next());
        if let Some(hash) = word.and_then(marked).filter(|hash| !found.contains(hash)) {
            found.push(hash);
        }
    }
    found
}

/// Whether this is the name of somebody, and not one of the platform's own.
pub(super) fn is_a_person(name: &str) -> bool {
    name != "anonymous" && !name.contains(':')
}

/// Goes through all that `detail` says of people, in entries of this action.
pub(super) fn visit(action: Action, detail: &mut Map<String, Value>, each: &mut impl FnMut(Kind, &mut String)) {
    for (key, value) in detail {
        visit_value(action, key, value, each);
    }
}

fn visit_value(action: Action, key: &str, value: &mut Value, each: &mut impl FnMut(Kind, &mut String)) {
    match value {
        Value::String(text) => {
            if let Some(kind) = Kind::of(action, key) {
                each(kind, text);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| visit_value(action, key, value, each)),
        Value::Object(map) => visit(action, map, each),
        _ => {}
    }
}

/// Puts what `shown` gives in the place of every commitment.
pub(super) fn reveal(value: &mut Value, shown: &impl Fn(&Hash) -> String) {
    match value {
        Value::String(text) => {
            if let Some(hash) = marked(text) {
                *text = shown(&hash);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| reveal(value, shown)),
        Value::Object(map) => map.values_mut().for_each(|value| reveal(value, shown)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn commitments_are_found_where_they_are_and_nowhere_else() {
        let (one, two) = ([1; 32], [2; 32]);
        let said =
            json!({ "actor": mark(&one), "detail": { "a": [mark(&two), mark(&one)], "b": "erasable:1" }, "v": 2 });
        assert_eq!(commitments(said.to_string().as_bytes()), [one, two]);
        let quoted = json!({ "detail": { "why": format!("\"{}\"", mark(&one)) }, "v": 2 });
        assert_eq!(commitments(quoted.to_string().as_bytes()), Vec::<Hash>::new());
        let first_version = json!({ "detail": { "reason": mark(&one) }, "v": 1 });
        assert_eq!(commitments(first_version.to_string().as_bytes()), Vec::<Hash>::new());
    }

    #[test]
    fn a_value_is_committed_to_with_its_salt() {
        let ambient = Ambient::system();
        let (one, other) = (Erasable::new("ada", &ambient), Erasable::new("ada", &ambient));
        assert_ne!(one.commitment(), other.commitment());
        let by_hand: Hash = Sha256::digest([&one.salt[..], b"ada"].concat()).into();
        assert_eq!(one.commitment(), by_hand);
        assert_eq!(mark_of_erased(&erased(&by_hand)), Some(mark(&by_hand)));
        assert!(!format!("{one:?}").contains("ada"));
    }
}
