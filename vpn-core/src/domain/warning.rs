//! What somebody has to look at before it keeps people out, or lets them in: about VPN hosts and what ends on them.

use std::time::Duration;

use super::{Contact, CrlRenewal, Expiry, HostFacts, Perishable, Server, ServerId, ServerName, ServerState, Stage};
use crate::clock::Timestamp;

/// A host that nobody has looked at for so long is not watched: the longest time between two looks is a day.
const UNWATCHED: Duration = Duration::from_hours(48);

/// What kind of warning it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WarningCode {
    /// The CRL in force ends soon.
    CrlEndsSoon,
    /// It has ended, or is not valid yet: OpenVPN refuses everybody.
    CrlEnded,
    /// Workers could not renew the CRL, when they last tried.
    CrlRenewalFailed,
    /// Workers do not renew the CRL: it is switched off.
    CrlRenewalOff,
    /// The CA's certificate ends soon.
    CaEndsSoon,
    /// It has ended: OpenVPN refuses everybody.
    CaEnded,
    /// The certificate of the OpenVPN server ends soon.
    ServerCertificateEndsSoon,
    /// It has ended: clients refuse the server.
    ServerCertificateEnded,
    /// Certificates of clients end soon.
    ClientCertificatesEndSoon,
    /// The host did not answer, or not well, when it was last looked at.
    HostSilent,
    /// Nobody looks at the host.
    HostUnwatched,
    /// Revocations were asked for and given up: their clients may still get in.
    RevocationsGivenUp,
}

impl WarningCode {
    /// Whether the platform as a whole is the worse for it. That certificates of clients end is everyday life
    /// where there are many, and that renewal is switched off was somebody's decision; that a CRL then really
    /// ends is not.
    #[must_use]
    pub const fn degrades(self) -> bool {
        !matches!(self, Self::ClientCertificatesEndSoon | Self::CrlRenewalOff)
    }

    const fn of(expiring: Perishable, stage: Stage) -> Option<Self> {
        Some(match (expiring, stage) {
            (Perishable::Crl, Stage::EndsSoon) => Self::CrlEndsSoon,
            (Perishable::Crl, Stage::Ended) => Self::CrlEnded,
            (Perishable::Ca, Stage::EndsSoon) => Self::CaEndsSoon,
            (Perishable::Ca, Stage::Ended) => Self::CaEnded,
            (Perishable::ServerCertificate, Stage::EndsSoon) => Self::ServerCertificateEndsSoon,
            (Perishable::ServerCertificate, Stage::Ended) => Self::ServerCertificateEnded,
            // Those of clients are counted, not told one by one.
            (Perishable::ClientCertificate, _) | (_, Stage::Fresh) => return None,
        })
    }
}

/// A warning about a VPN host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What kind.
    pub code: WarningCode,
    /// Which server.
    pub server_id: ServerId,
    /// Its name.
    pub server: ServerName,
    /// When what it is about ends; `None` when it is about no end.
    pub ends_at: Option<Timestamp>,
    /// What is wrong, where, and what would help.
    pub message: String,
}

/// When the certificates of a server's clients end. Those of revoked clients, and those that have ended, are
/// not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientEnds {
    /// The first of them.
    pub first: Timestamp,
    /// Those that end soon, if any do.
    pub soon: Option<EndingSoon>,
}

/// Certificates that end soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndingSoon {
    /// How many.
    pub count: u32,
    /// When the first of them ends.
    pub first: Timestamp,
}

/// Clients of a server whose revocation was asked for, is not done, and has no job any more that would do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// How many.
    pub count: u32,
    /// When the first of them was asked for.
    pub since: Timestamp,
}

impl Warning {
    /// What there is to warn of about a server, from what was last seen of it. Nothing about one that is
    /// retired, or that nobody has confirmed yet.
    #[must_use]
    pub fn about(server: &Server, contact: Option<&Contact>, clients: Option<EndingSoon>, now: Timestamp) -> Vec<Self> {
        if matches!(server.state, ServerState::Retired | ServerState::Unconfirmed) {
            return Vec::new();
        }
        let facts = contact.and_then(|contact| contact.facts.as_ref());
        let ends = facts.into_iter().flat_map(HostFacts::expiries).filter_map(|it| Self::end(server, &it, now));
        let clients = clients.map(|clients| Self::clients(server, clients));
        let renewal = contact.and_then(|contact| Self::renewal(server, contact.renewal.as_ref()?));
        ends.chain(renewal).chain(clients).chain(Self::contact(server, contact, now)).collect()
    }

    fn end(server: &Server, expiry: &Expiry, now: Timestamp) -> Option<Self> {
        let stage = expiry.stage(now);
        let code = WarningCode::of(expiry.of, stage)?;
        let (name, at) = (&server.name, minute(expiry.ends_at));
        let ends = if stage == Stage::Ended { "ended" } else { "ends" };
        let message = match expiry.of {
            Perishable::Crl if expiry.is_by_a_late_clock(now) => format!(
                "the clock of `{name}` is behind: it calls its CRL not valid yet, and OpenVPN refuses everybody until the \
                 clock is right: see to it"
            ),
            Perishable::Crl if expiry.ends_at == Expiry::NOT_VALID_YET => format!(
                "the CRL of `{name}` was made while the clock there was ahead and is not valid yet, and OpenVPN refuses \
                 everybody: see to the clock, then start vpn-host-crl.service there"
            ),
            Perishable::Crl => format!(
                "the CRL of `{name}` {ends} at {at}, and OpenVPN refuses everybody from then on: start vpn-host-crl.service \
                 there, and see why its timer and the workers did not renew the list"
            ),
            Perishable::Ca => format!(
                "the CA of `{name}` {ends} at {at}, and OpenVPN refuses everybody from then on: set up another host and \
                 move the clients there"
            ),
            Perishable::ServerCertificate => format!(
                "the OpenVPN server's certificate on `{name}` {ends} at {at}, and clients refuse the server from then on: \
                 remove server/server.crt from its state directory and run install.sh there"
            ),
            Perishable::ClientCertificate => return None,
        };
        let ends_at = Some(expiry.ends_at).filter(|at| *at != Expiry::NOT_VALID_YET);
        Some(Self::new(server, code, ends_at, message))
    }

    fn renewal(server: &Server, renewal: &CrlRenewal) -> Option<Self> {
        let name = &server.name;
        let (code, message) = match renewal {
            CrlRenewal::On => return None,
            CrlRenewal::Off => (
                WarningCode::CrlRenewalOff,
                format!(
                    "workers do not renew the CRL of `{name}`, so only its own timer does: set `crl_renewal` to true, \
                     unless that is what you want"
                ),
            ),
            CrlRenewal::Failed(failure) => (
                WarningCode::CrlRenewalFailed,
                format!("the CRL of `{name}` ends soon, and a worker could not renew it: {}", failure.message),
            ),
        };
        Some(Self::new(server, code, None, message))
    }

    fn clients(server: &Server, soon: EndingSoon) -> Self {
        let (name, first) = (&server.name, minute(soon.first));
        let what = match soon.count {
            1 => format!("the certificate of a client of `{name}` ends at {first}"),
            count => format!("the certificates of {count} clients of `{name}` end soon, the first at {first}"),
        };
        let message = format!("{what}: a certificate is not renewed, so make a new client and revoke the old one");
        Self::new(server, WarningCode::ClientCertificatesEndSoon, Some(soon.first), message)
    }

    /// That revocations were given up. It names no client: who may see warnings may not see all clients.
    #[must_use]
    pub fn given_up(server: &Server, given_up: GivenUp) -> Self {
        let (name, since) = (&server.name, minute(given_up.since));
        let what = match given_up.count {
            1 => {
                format!("a revocation on `{name}`, asked for at {since}, was given up, and its client may still get in")
            }
            count => format!(
                "{count} revocations on `{name}` were given up, the first asked for at {since}, and their clients may still get in"
            ),
        };
        let message = format!(
            "{what}: `vpn-worker reconcile --from-host {name} --apply` does them again; or retry the failed jobs \
             (`vpnctl job list --kind revoke --state failed`)"
        );
        Self::new(server, WarningCode::RevocationsGivenUp, None, message)
    }

    fn contact(server: &Server, contact: Option<&Contact>, now: Timestamp) -> Option<Self> {
        let last = contact.map_or(server.created_at, |contact| contact.looked_at);
        if now.since(last) > UNWATCHED {
            let message = format!(
                "no worker looks at `{}`, so nobody notices when its CRL ends: start vpn-worker, with `watch_seconds` above 0",
                server.name
            );
            return Some(Self::new(server, WarningCode::HostUnwatched, None, message));
        }
        let failure = contact?.failure.as_ref()?;
        Some(Self::new(server, WarningCode::HostSilent, None, failure.message.clone()))
    }

    fn new(server: &Server, code: WarningCode, ends_at: Option<Timestamp>, message: String) -> Self {
        Self { code, server_id: server.id, server: server.name.clone(), ends_at, message }
    }
}

fn minute(at: Timestamp) -> impl std::fmt::Display {
    at.to_utc().format("%Y-%m-%d %H:%M UTC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Ambient,
        domain::{JobFailure, ServerAddress},
    };

    const DAY: i64 = 86_400;

    fn server() -> Server {
        Server {
            id: ServerId::generate(&Ambient::system()),
            name: "vpn1".parse().expect("a name"),
            address: ServerAddress::new("vpn.example.org", 22, "vpn-host").expect("an address"),
            host_key: None,
            state: ServerState::Active,
            created_by: "ada".to_owned(),
            created_at: Timestamp::from_seconds(0),
        }
    }

    fn seen(at: i64) -> Contact {
        let facts = HostFacts {
            crl_number: 0,
            crl_next_update: 30 * DAY,
            ca_not_after: Some(7300 * DAY),
            server_not_after: Some(3650 * DAY),
            ..HostFacts::default()
        };
        let looked_at = Timestamp::from_seconds(at);
        Contact {
            looked_at,
            answered_at: Some(looked_at),
            failure: None,
            presented_key: None,
            facts: Some(facts),
            sessions: None,
            renewal: None,
        }
    }

    fn codes(server: &Server, contact: Option<&Contact>, at: i64) -> Vec<WarningCode> {
        let warnings = Warning::about(server, contact, None, Timestamp::from_seconds(at));
        assert!(warnings.iter().all(|warning| warning.message.contains("`vpn1`")), "{warnings:?}");
        warnings.into_iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn what_ends_is_told_before_and_after() {
        use WarningCode as W;
        for (day, told) in [
            (1, vec![]),
            (25, vec![W::CrlEndsSoon]),
            (31, vec![W::CrlEnded]),
            (3640, vec![W::CrlEnded, W::ServerCertificateEndsSoon]),
            (7000, vec![W::CrlEnded, W::CaEndsSoon, W::ServerCertificateEnded]),
            (7300, vec![W::CrlEnded, W::CaEnded, W::ServerCertificateEnded]),
        ] {
            assert_eq!(codes(&server(), Some(&seen(day * DAY)), day * DAY), told, "day {day}");
        }
    }

    #[test]
    fn a_crl_that_is_not_valid_yet_is_told_as_one_that_has_ended() {
        let mut contact = seen(DAY);
        for (begins, why) in [(2 * DAY, "clock there was ahead"), (DAY / 2, "the clock of `vpn1` is behind")] {
            contact.facts =
                contact.facts.map(|facts| HostFacts { crl_number: begins.unsigned_abs(), crl_next_update: 0, ..facts });
            let told = Warning::about(&server(), Some(&contact), None, Timestamp::from_seconds(DAY));
            assert_eq!((told.len(), told[0].code, told[0].ends_at), (1, WarningCode::CrlEnded, None));
            assert!(told[0].message.contains("not valid yet") && told[0].message.contains(why), "{}", told[0].message);
        }
    }

    #[test]
    fn a_host_that_nobody_looks_at_is_told_of() {
        assert_eq!(codes(&server(), None, DAY), []);
        assert_eq!(codes(&server(), None, 3 * DAY), [WarningCode::HostUnwatched]);
        assert_eq!(codes(&server(), Some(&seen(0)), 3 * DAY), [WarningCode::HostUnwatched]);
    }

    #[test]
    fn what_a_host_that_is_away_has_said_still_counts() {
        let failure = JobFailure { code: "HOST_UNREACHABLE".into(), message: "VPN host `vpn1`: away".into() };
        let away = Contact { failure: Some(failure), ..seen(25 * DAY) };
        assert_eq!(codes(&server(), Some(&away), 25 * DAY), [WarningCode::CrlEndsSoon, WarningCode::HostSilent]);
    }

    #[test]
    fn a_renewal_that_is_off_or_failed_is_told_of() {
        let failure = JobFailure { code: "HOST_TROUBLE".into(), message: "the disk of `vpn1` is full".into() };
        for (renewal, told) in [
            (CrlRenewal::On, vec![]),
            (CrlRenewal::Off, vec![WarningCode::CrlRenewalOff]),
            (CrlRenewal::Failed(failure), vec![WarningCode::CrlRenewalFailed]),
        ] {
            assert_eq!(codes(&server(), Some(&Contact { renewal: Some(renewal), ..seen(DAY) }), DAY), told);
        }
    }

    #[test]
    fn nothing_is_told_of_a_retired_or_unconfirmed_server() {
        for state in [ServerState::Retired, ServerState::Unconfirmed] {
            assert_eq!(codes(&Server { state, ..server() }, Some(&seen(0)), 40 * DAY), []);
        }
        assert_eq!(
            codes(&Server { state: ServerState::Disabled, ..server() }, None, 40 * DAY),
            [WarningCode::HostUnwatched]
        );
    }
}
