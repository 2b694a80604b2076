//! Refusals are on record, but whoever is refused must not be able to keep the audit log busy: beyond a
//! rate they are counted, and the next one that is recorded tells how many were not.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::bucket::{Buckets, Rate};

/// Of all who have not signed in, together.
const SIGN_INS: Rate = Rate { burst: 100, every: Duration::from_millis(100) };
/// Of each who has, and may not do what they ask for.
const PERMISSIONS: Rate = Rate { burst: 100, every: Duration::from_secs(10) };

/// How many may be recorded just now, and how many were not.
#[derive(Debug)]
pub(super) struct Refusals(Mutex<State>);

#[derive(Debug)]
struct State {
    sign_ins: Buckets<()>,
    permissions: Buckets<String>,
    /// By name; the empty one is of those who have not signed in. Only names with something untold are
    /// here, and such a name has an empty bucket, so these are not more than those.
    untold: HashMap<String, u64>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Mutex::new(State {
            sign_ins: Buckets::new(SIGN_INS),
            permissions: Buckets::new(PERMISSIONS),
            untold: HashMap::new(),
        }))
    }
}

impl Refusals {
    /// Whether this refused sign-in is to be recorded: then, how many were not since the last one that was.
    pub(super) fn of_sign_in(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = state.sign_ins.take((), now);
        state.told(recorded, "")
    }

    /// The same for somebody known who lacks a permission.
    pub(super) fn of_permission(&self, principal: &str, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = state.permissions.take(principal.to_owned(), now);
        state.told(recorded, principal)
    }
}

impl State {
    fn told(&mut self, recorded: bool, name: &str) -> Option<u64> {
        if recorded {
            return Some(self.untold.remove(name).unwrap_or_default());
        }
        *self.untold.entry(name.to_owned()).or_default() += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_of_later() {
        let (refusals, begun) = (Refusals::default(), Instant::now());
        let recorded = |now| (0..1000).filter(|_| refusals.of_sign_in(now).is_some()).count();
        assert_eq!(recorded(begun), 100);
        let soon = begun + Duration::from_millis(250);
        assert_eq!(refusals.of_sign_in(soon), Some(900));
        assert_eq!(refusals.of_sign_in(soon), Some(0));
        assert_eq!(refusals.of_sign_in(soon), None);
        let later = begun + Duration::from_hours(1);
        assert_eq!(refusals.of_sign_in(later), Some(1));
        assert_eq!(recorded(later), 99);
    }

    #[test]
    fn one_persons_flood_hides_nobody_elses_refusal() {
        let (refusals, begun) = (Refusals::default(), Instant::now());
        assert_eq!((0..1000).filter(|_| refusals.of_permission("vera", begun).is_some()).count(), 100);
        assert_eq!(refusals.of_permission("oscar", begun), Some(0));
        assert_eq!(refusals.of_permission("vera", begun + Duration::from_secs(10)), Some(900));
    }
}
