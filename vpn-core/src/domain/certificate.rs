//! Certificates as the platform knows them: serial, fingerprint, validity.

use std::{fmt, str::FromStr};

use super::Invalid;
use crate::clock::{Ambient, Timestamp};

/// A certificate's serial number: 128 random bits, chosen by the platform before the first attempt.
///
/// Text form: 32 upper-case hexadecimal digits, the first from 1 to 7, so that the number is
/// positive and has one length (RFC 5280 4.1.2.2). It is the identity of an issuance: a lost reply
/// is harmless, and a serial can be revoked before it exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Serial(String);

impl Serial {
    /// The lowest there can be.
    pub const LOWEST: &'static str = "10000000000000000000000000000000";

    /// A new one.
    #[must_use]
    pub fn generate(ambient: &Ambient) -> Self {
        loop {
            let hex = hex::encode_upper(ambient.random::<16>());
            // Nine of sixteen first digits do not fit: drawing again keeps the others uniform.
            if let Ok(serial) = hex.parse() {
                return serial;
            }
        }
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Serial {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
        if text.len() == 32 && digits && text.starts_with(|c| ('1'..='7').contains(&c)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("a serial has 32 upper-case hexadecimal digits and begins with 1 to 7"))
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the platform keeps of an issued certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of its DER encoding, 64 lower-case hexadecimal digits.
    pub sha256_fingerprint: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_serial_is_well_formed() {
        let ambient = Ambient::system();
        for _ in 0..100 {
            let serial = Serial::generate(&ambient);
            assert_eq!(serial.as_str().parse::<Serial>().as_ref(), Ok(&serial));
        }
    }

    #[test]
    fn odd_serials_are_refused() {
        for bad in ["", "0123", "8".repeat(32).as_str(), "1".repeat(31).as_str(), &"1a".repeat(16)] {
            assert!(bad.parse::<Serial>().is_err(), "{bad}");
        }
    }
}
