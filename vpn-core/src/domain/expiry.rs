//! What ends by itself: CRLs and certificates. How long before its end somebody is told is said here, and in SQL in
//! `store/expiry.rs`, which a test holds against this; the CRL is also renewed from then on.

use std::time::Duration;

use crate::clock::Timestamp;

const DAY: Duration = Duration::from_hours(24);

/// What can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Perishable {
    /// The revocation list of a VPN host. OpenVPN refuses everybody once it has ended.
    Crl,
    /// The certificate of a VPN host's CA. OpenVPN refuses everybody once it has ended.
    Ca,
    /// The certificate of an OpenVPN server. Clients refuse the server once it has ended.
    ServerCertificate,
    /// A client's certificate. OpenVPN refuses that client once it has ended.
    ClientCertificate,
}

impl Perishable {
    /// The longest time before the end from which on somebody is told. Those of the CA and of the server are
    /// what `check` on the host goes by (vpn-scripts/libexec/lib/inspect.sh): a new CA means that every client
    /// moves to a new host, a new server certificate is a command.
    #[must_use]
    pub const fn notice(self) -> Duration {
        match self {
            Self::Crl => DAY.saturating_mul(10),
            Self::Ca => DAY.saturating_mul(365),
            Self::ServerCertificate | Self::ClientCertificate => DAY.saturating_mul(14),
        }
    }

    /// Whether the notice is a third of the validity, where that is shorter: what is made for a few days would
    /// be told of from its first moment on.
    const fn is_told_in_the_last_third(self) -> bool {
        matches!(self, Self::Crl | Self::ClientCertificate)
    }
}

/// When something ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// What.
    pub of: Perishable,
    /// Since when it has been valid; `None` when that is not known.
    pub made_at: Option<Timestamp>,
    /// When it ends. That of a list that is not valid yet is [`Expiry::NOT_VALID_YET`].
    pub ends_at: Timestamp,
}

/// How near the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Far away.
    Fresh,
    /// Near: somebody has to know.
    EndsSoon,
    /// It is over.
    Ended,
}

impl Expiry {
    /// What a host gives as the end of a list that was made while its clock was ahead, until the clock has come to
    /// it: OpenVPN refuses everybody, as if the list had ended.
    pub const NOT_VALID_YET: Timestamp = Timestamp::from_seconds(0);

    /// How near the end is.
    #[must_use]
    pub fn stage(&self, now: Timestamp) -> Stage {
        if now >= self.ends_at {
            Stage::Ended
        } else if self.ends_at.since(now) < self.notice() {
            Stage::EndsSoon
        } else {
            Stage::Fresh
        }
    }

    /// Whether the host calls a list not valid yet that has begun, by our clock: its own clock is behind, and a list
    /// that it made now would begin, and end, too early.
    #[must_use]
    pub fn is_by_a_late_clock(&self, now: Timestamp) -> bool {
        self.ends_at == Self::NOT_VALID_YET && self.made_at.is_some_and(|made_at| made_at <= now)
    }

    fn notice(&self) -> Duration {
        let longest = self.of.notice();
        match self.made_at {
            Some(made_at) if self.of.is_told_in_the_last_third() && made_at < self.ends_at => {
                longest.min(self.ends_at.since(made_at) / 3)
            }
            _ => longest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: i64) -> Timestamp {
        Timestamp::from_seconds(days * 86_400)
    }

    fn stages(of: Perishable, validity: i64, at: [i64; 4]) -> [Stage; 4] {
        let expiry = Expiry { of, made_at: Some(days(0)), ends_at: days(validity) };
        at.map(|at| expiry.stage(days(at)))
    }

    #[test]
    fn a_crl_is_told_of_in_the_last_third_of_its_validity_and_ten_days_at_most() {
        use Stage::{Ended, EndsSoon, Fresh};
        assert_eq!(stages(Perishable::Crl, 30, [0, 20, 21, 30]), [Fresh, Fresh, EndsSoon, Ended]);
        assert_eq!(stages(Perishable::Crl, 3, [0, 2, 3, 4]), [Fresh, Fresh, Ended, Ended]);
        assert_eq!(stages(Perishable::Crl, 3000, [0, 2990, 2991, 3000]), [Fresh, Fresh, EndsSoon, Ended]);
        let unknown = Expiry { of: Perishable::Crl, made_at: None, ends_at: days(30) };
        assert_eq!((unknown.stage(days(20)), unknown.stage(days(21))), (Fresh, EndsSoon));
    }

    #[test]
    fn a_list_that_has_begun_and_is_not_valid_yet_is_by_a_late_clock() {
        let begins = |day, ends_at| Expiry { of: Perishable::Crl, made_at: Some(days(day)), ends_at };
        let late = |expiry: Expiry| expiry.is_by_a_late_clock(days(20));
        assert!(late(begins(19, Expiry::NOT_VALID_YET)) && late(begins(20, Expiry::NOT_VALID_YET)));
        assert!(!late(begins(21, Expiry::NOT_VALID_YET)), "it was made by a clock that was ahead");
        assert!(!late(begins(19, days(49))));
    }

    #[test]
    fn certificates_are_told_of_by_days() {
        use Stage::{Ended, EndsSoon, Fresh};
        assert_eq!(stages(Perishable::Ca, 7300, [0, 6935, 6936, 7300]), [Fresh, Fresh, EndsSoon, Ended]);
        assert_eq!(stages(Perishable::ServerCertificate, 3650, [0, 3636, 3637, 3650]), [Fresh, Fresh, EndsSoon, Ended]);
        assert_eq!(stages(Perishable::ClientCertificate, 365, [0, 351, 352, 365]), [Fresh, Fresh, EndsSoon, Ended]);
        assert_eq!(stages(Perishable::ClientCertificate, 6, [0, 4, 5, 6]), [Fresh, Fresh, EndsSoon, Ended]);
    }
}
