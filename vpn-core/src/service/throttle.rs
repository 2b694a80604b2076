//! Whoever fails to sign in again and again has to wait, by address and by the token that is tried.
//!
//! Only failures count. A credential that was good a while ago is looked at all the same, so nobody can
//! lock others out who share an address with them (behind one proxy, all may), or whose token's id they
//! know. A process counts for itself, and forgets when it ends: our secrets have 256 bits, and this is
//! not what keeps them from being guessed. It keeps those who try from costing us anything.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::bucket::{Buckets, Rate};
use crate::domain::TokenId;

/// Failures from one address.
const BY_ADDRESS: Rate = Rate { burst: 30, every: Duration::from_secs(2) };
/// Failures with one token's id.
const BY_TOKEN: Rate = Rate { burst: 10, every: Duration::from_secs(6) };
/// How long a credential that was good is looked at whatever else comes from its address.
const TRUSTED: Duration = Duration::from_mins(15);
/// How many of those are remembered.
const REMEMBERED: usize = 4096;

/// Names a credential without holding it: its SHA-256.
pub(super) type Fingerprint = [u8; 32];

/// Who has failed how often, and who has not.
#[derive(Debug)]
pub(super) struct Throttle(Mutex<State>);

#[derive(Debug)]
struct State {
    addresses: Buckets<IpAddr>,
    tokens: Buckets<TokenId>,
    good: HashMap<Fingerprint, Instant>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self(Mutex::new(State {
            addresses: Buckets::new(BY_ADDRESS),
            tokens: Buckets::new(BY_TOKEN),
            good: HashMap::new(),
        }))
    }
}

/// One attempt to sign in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) address: Option<IpAddr>,
    pub(super) token: Option<TokenId>,
    pub(super) fingerprint: Option<Fingerprint>,
}

impl Throttle {
    /// How long this attempt has to wait; `None` when it is to be looked at.
    pub(super) fn wait(&self, attempt: &Attempt, now: Instant) -> Option<Duration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = attempt.fingerprint.and_then(|it| state.good.get(&it));
        if good.is_some_and(|at| now.saturating_duration_since(*at) < TRUSTED) {
            return None;
        }
        let address = attempt.address.and_then(|it| state.addresses.wait(&neighbourhood(it), now));
        let token = attempt.token.and_then(|it| state.tokens.wait(&it, now));
        address.max(token)
    }

    pub(super) fn failed(&self, attempt: &Attempt, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = attempt.address {
            state.addresses.take(neighbourhood(address), now);
        }
        if let Some(token) = attempt.token {
            state.tokens.take(token, now);
        }
        if let Some(fingerprint) = attempt.fingerprint {
            state.good.remove(&fingerprint);
        }
    }

    pub(super) fn succeeded(&self, attempt: &Attempt, now: Instant) {
        let Some(fingerprint) = attempt.fingerprint else { return };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |at: &Instant| now.saturating_duration_since(*at) < TRUSTED;
        if state.good.len() >= REMEMBERED && !state.good.contains_key(&fingerprint) {
            state.good.retain(|_, at| fresh(at));
            if state.good.len() >= REMEMBERED {
                return;
            }
        }
        state.good.insert(fingerprint, now);
    }
}

/// An IPv4 address, or the 64 bits of an IPv6 address that its holder cannot choose.
pub(super) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Ambient;

    fn attempt(address: &str, secret: u8) -> Attempt {
        let address = Some(address.parse().expect("an address"));
        Attempt { address, token: None, fingerprint: Some([secret; 32]) }
    }

    #[test]
    fn who_fails_often_has_to_wait_and_others_do_not() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let bad = attempt("192.0.2.1", 1);
        for _ in 0..BY_ADDRESS.burst {
            assert_eq!(throttle.wait(&bad, now), None);
            throttle.failed(&bad, now);
        }
        assert_eq!(throttle.wait(&bad, now), Some(BY_ADDRESS.every));
        assert_eq!(throttle.wait(&attempt("::ffff:192.0.2.1", 2), now), Some(BY_ADDRESS.every), "the same address");
        assert_eq!(throttle.wait(&attempt("192.0.2.2", 1), now), None);
        assert_eq!(throttle.wait(&bad, now + BY_ADDRESS.every), None);
    }

    #[test]
    fn a_whole_ipv6_network_is_one_neighbour() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for host in 0..BY_ADDRESS.burst {
            throttle.failed(&attempt(&format!("2001:db8::{host:x}"), 1), now);
        }
        assert!(throttle.wait(&attempt("2001:db8::ffff", 1), now).is_some());
        assert_eq!(throttle.wait(&attempt("2001:db8:0:1::1", 1), now), None);
    }

    #[test]
    fn a_token_is_not_tried_from_many_addresses_and_its_owner_is_not_locked_out() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let token = Some(TokenId::generate(&Ambient::system()));
        let from = |host: u32, secret: u8| Attempt { token, ..attempt(&format!("198.51.100.{host}"), secret) };
        throttle.succeeded(&from(250, 7), now);
        for host in 0..BY_TOKEN.burst {
            throttle.failed(&from(host, 1), now);
        }
        assert!(throttle.wait(&from(100, 2), now).is_some());
        assert_eq!(throttle.wait(&from(251, 7), now), None, "good a moment ago");
        assert!(throttle.wait(&from(251, 7), now + TRUSTED / 2).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for number in 0..2 * u64::try_from(REMEMBERED).expect("small") {
            let mut fingerprint = [0; 32];
            fingerprint[..8].copy_from_slice(&number.to_be_bytes());
            throttle.succeeded(&Attempt { address: None, token: None, fingerprint: Some(fingerprint) }, now);
        }
        assert_eq!(throttle.0.lock().expect("no panic").good.len(), REMEMBERED);
    }
}
