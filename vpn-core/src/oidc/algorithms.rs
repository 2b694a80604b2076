//! Signatures that may be taken.

use std::str::FromStr;

use jsonwebtoken::Algorithm;

use crate::domain::Invalid;

/// Those that can be listed: asymmetric ones. With a shared secret (`HS256`) whoever checks could also
/// sign, and a public key could be passed off as the secret; `none` is no signature.
const KNOWN: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// A list of signature algorithms, in text with commas between them: `RS256,ES256,EdDSA`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithms(Vec<Algorithm>);

impl Algorithms {
    pub(super) fn contain(&self, algorithm: Algorithm) -> bool {
        self.0.contains(&algorithm)
    }
}

impl Default for Algorithms {
    fn default() -> Self {
        Self(vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA])
    }
}

impl FromStr for Algorithms {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let one = |word: &str| KNOWN.iter().find(|(name, _)| *name == word.trim()).map(|(_, algorithm)| *algorithm);
        let all: Option<Vec<Algorithm>> = text.split(',').map(one).collect();
        all.map(Self).ok_or_else(|| {
            let known: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
            Invalid::new(format!("signature algorithms are {}, with commas between them", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_asymmetric_signatures_can_be_listed() {
        assert_eq!("RS256, ES256,EdDSA".parse(), Ok(Algorithms::default()));
        for odd in ["", "none", "HS256", "RS256,HS512", "rs256", "RS256,"] {
            assert!(odd.parse::<Algorithms>().is_err(), "{odd}");
        }
    }
}
