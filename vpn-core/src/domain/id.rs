//! Identifiers: UUID version 7 (RFC 9562) behind a prefix that names the kind, `cli_0193…`.
//!
//! They sort by the moment they were made, so a list ordered by id is ordered by creation.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use super::Invalid;
use crate::clock::Ambient;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What its text form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new one.
            #[must_use]
            pub fn generate(ambient: &Ambient) -> Self {
                Self(generate(ambient))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", Self::PREFIX, self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                parse(Self::PREFIX, text).map(Self)
            }
        }
    };
}

id!(
    /// A VPN host.
    ServerId, "srv"
);
id!(
    /// A client of a VPN server.
    ClientId, "cli"
);
id!(
    /// A job.
    JobId, "job"
);
id!(
    /// An access token (its public half; the secret is never an id).
    TokenId, "tok"
);
id!(
    /// Something that waits for a second person.
    ApprovalId, "apr"
);
id!(
    /// A link to a profile (the secret that opens it is never an id).
    LinkId, "lnk"
);
id!(
    /// One request of a caller, for finding its traces.
    RequestId, "req"
);

fn generate(ambient: &Ambient) -> Uuid {
    let millis = u64::try_from(ambient.now().micros() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &ambient.random()).into_uuid()
}

/// Only the form that `Display` makes: 32 lower-case hexadecimal digits, no hyphens.
fn parse(prefix: &str, text: &str) -> Result<Uuid, Invalid> {
    text.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .filter(|hex| hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        .and_then(|hex| Uuid::try_parse(hex).ok())
        .ok_or_else(|| Invalid::new(format!("an id of this kind looks like {prefix}_ and 32 hexadecimal digits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form() {
        let id = ClientId::generate(&Ambient::system());
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn another_kinds_id_is_refused() {
        let job = JobId::generate(&Ambient::system()).to_string();
        assert!(job.parse::<ClientId>().is_err());
        for odd in
            ["", "cli_", "cli_xyz", "CLI_00000000000000000000000000000000", "cli_0193a0b0-0000-7000-8000-000000000000"]
        {
            assert!(odd.parse::<ClientId>().is_err(), "{odd}");
        }
    }
}
