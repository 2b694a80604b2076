//! Certificates as the platform knows them: serial, fingerprint, validity.

use std::{fmt, str::FromStr};

use super::Invalid;
use crate::clock::{Ambient, Timestamp};

/// A certificate's serial number: 128 random bits, chosen by the platform before the first attempt. Or the one that
/// another CA gave to a certificate which was taken over: any number from 1 on, of up to 128 bits.
///
/// Text form: 32 upper-case hexadecimal digits. The first is from 1 to 7 in what the platform chooses, so that the
/// number is positive and has one length (RFC 5280 4.1.2.2). It is the identity of an issuance: a lost reply
/// is harmless, and a serial can be revoked before it exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Serial(String);

impl Serial {
    /// Where a list of all there can be begins.
    pub const LOWEST: &'static str = "00000000000000000000000000000000";
    /// Where a list of those begins that the platform has chosen.
    pub const LOWEST_CHOSEN: &'static str = "10000000000000000000000000000000";

    /// A new one.
    #[must_use]
    pub fn generate(ambient: &Ambient) -> Self {
        loop {
            let hex = hex::encode_upper(ambient.random::<16>());
            // Nine of sixteen first digits do not fit: drawing again keeps the others uniform.
            if hex.starts_with(|c| ('1'..='7').contains(&c)) {
                return Self(hex);
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
        if text.len() == 32 && digits && text != Self::LOWEST {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("a serial has 32 upper-case hexadecimal digits, and is not 0"))
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
            assert!(serial.as_str() >= Serial::LOWEST_CHOSEN && serial.as_str() < "8", "{serial}");
        }
    }

    #[test]
    fn odd_serials_are_refused() {
        for bad in ["", "0123", "0".repeat(32).as_str(), "1".repeat(31).as_str(), &"1a".repeat(16)] {
            assert!(bad.parse::<Serial>().is_err(), "{bad}");
        }
    }
}
