//! Names that people choose, and their limits.

use std::{fmt, str::FromStr};

use super::Invalid;

/// The common name of a client's certificate: `^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`.
///
/// Never `DEFAULT` (OpenVPN's fallback file for client configurations), `UNDEF` (what it calls who has
/// not shown a certificate yet) nor `server`, in any letter case. OpenVPN's management interface splits on
/// `:`, file names on `/`: neither can be in a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommonName(String);

impl CommonName {
    /// The longest name, in bytes: X.520's bound for a common name.
    pub const MAX_LEN: usize = 64;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommonName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if !well_formed(text, Self::MAX_LEN) {
            return Err(Invalid::new(
                "a name has 1 to 64 letters, digits, `-` or `_` (ASCII only), and begins with a letter or digit",
            ));
        }
        if ["default", "undef", "server"].iter().any(|reserved| text.eq_ignore_ascii_case(reserved)) {
            return Err(Invalid::new(format!("the name `{text}` is reserved: choose another")));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CommonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What people call a VPN server: the same alphabet as [`CommonName`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerName(String);

impl ServerName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if well_formed(text, 64) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(
                "a server's name has 1 to 64 letters, digits, `-` or `_` (ASCII only), and begins with a letter or digit",
            ))
        }
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a person revokes a client: 1 to 500 characters, none of which controls a line or its direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > 500 || text.chars().any(misleads) {
            return Err(Invalid::new("a reason has 1 to 500 characters, no line breaks and no marks of direction"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether it makes a line, read in a log, look like another: control characters, line and paragraph
/// separators, and what Unicode's bidirectional algorithm calls explicit formatting characters.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn well_formed(text: &str, max: usize) -> bool {
    let mut bytes = text.bytes();
    text.len() <= max
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_host_can_hold_are_taken() {
        for good in ["a", "alice", "Alice-2", "0_0", &"x".repeat(64)] {
            assert!(good.parse::<CommonName>().is_ok(), "{good}");
        }
    }

    #[test]
    fn every_other_name_is_refused() {
        let long = "x".repeat(65);
        for bad in [
            "", " ", "-a", "_a", "a b", "a/b", "../a", "a:b", "a.b", "a\n", "a\0", "älice", "a;b", "$(a)", &long,
            "DEFAULT", "default", "Server", "SERVER", "UNDEF", "undef", "Undef",
        ] {
            assert!(bad.parse::<CommonName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_reason_is_one_line() {
        assert!("laptop stolen".parse::<Reason>().is_ok());
        assert!("a\nb".parse::<Reason>().is_err());
        assert!("   ".parse::<Reason>().is_err());
        assert!("ноутбук украден, 盗まれた, نُهب".parse::<Reason>().is_ok());
        for c in ['\u{202e}', '\u{2066}', '\u{200f}', '\u{2028}', '\u{61c}', '\u{85}', '\0'] {
            assert!(format!("a{c}b").parse::<Reason>().is_err(), "{c:?}");
        }
    }
}
