//! Refusals are on record, but whoever is refused must not be able to keep the audit log busy: beyond a
//! rate they are counted, and the next one that is recorded tells how many were not.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::bucket::{Buckets, ROOM, Rate};

/// Of all who have not signed in, together.
const SIGN_INS: Rate = Rate { burst: 100, every: Duration::from_millis(100) };
/// Of all who try links that open nothing, together.
const LINKS: Rate = SIGN_INS;
/// Of each who has signed in, and may not do what they ask for.
const PERMISSIONS: Rate = Rate { burst: 100, every: Duration::from_secs(10) };

/// How many may be recorded just now, and how many were not.
#[derive(Debug)]
pub(super) struct Refusals {
    sign_ins: Mutex<Counted<()>>,
    links: Mutex<Counted<()>>,
    permissions: Mutex<Counted<String>>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            sign_ins: Mutex::new(Counted::new(SIGN_INS)),
            links: Mutex::new(Counted::new(LINKS)),
            permissions: Mutex::new(Counted::new(PERMISSIONS)),
        }
    }
}

impl Refusals {
    /// Whether this refused sign-in is to be recorded: then, how many were not since the last one that was.
    pub(super) fn of_sign_in(&self, now: Instant) -> Option<u64> {
        take(&self.sign_ins, (), now)
    }

    /// The same for a link that opened nothing.
    pub(super) fn of_link(&self, now: Instant) -> Option<u64> {
        take(&self.links, (), now)
    }

    /// The same for somebody known who lacks a permission.
    pub(super) fn of_permission(&self, principal: &str, now: Instant) -> Option<u64> {
        take(&self.permissions, principal.to_owned(), now)
    }
}

fn take<K: Clone + Eq + Hash>(counted: &Mutex<Counted<K>>, key: K, now: Instant) -> Option<u64> {
    counted.lock().unwrap_or_else(PoisonError::into_inner).take(key, now)
}

#[derive(Debug)]
struct Counted<K> {
    buckets: Buckets<K>,
    untold: HashMap<K, u64>,
    /// Of those for whom there is no room in `untold`: told with the next one of anybody.
    untold_rest: u64,
}

impl<K: Clone + Eq + Hash> Counted<K> {
    fn new(rate: Rate) -> Self {
        Self { buckets: Buckets::new(rate), untold: HashMap::new(), untold_rest: 0 }
    }

    fn take(&mut self, key: K, now: Instant) -> Option<u64> {
        if self.buckets.take(key.clone(), now) {
            return Some(self.untold.remove(&key).unwrap_or_default() + std::mem::take(&mut self.untold_rest));
        }
        if self.untold.len() < ROOM || self.untold.contains_key(&key) {
            *self.untold.entry(key).or_default() += 1;
        } else {
            self.untold_rest += 1;
        }
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
    fn memory_is_bounded_and_nothing_goes_uncounted() {
        let (refusals, begun) = (Refusals::default(), Instant::now());
        let names = (0..ROOM + 300).map(|name| name.to_string());
        let untold = names.flat_map(|name| (0..101).map(move |_| name.clone()));
        let untold = untold.filter(|name| refusals.of_permission(name, begun).is_none()).count();
        assert!(untold >= ROOM + 300);
        let permissions = refusals.permissions.lock().unwrap();
        assert_eq!(permissions.untold.len(), ROOM);
        let counted = permissions.untold.values().sum::<u64>() + permissions.untold_rest;
        assert_eq!(counted, u64::try_from(untold).unwrap());
    }

    #[test]
    fn one_persons_flood_hides_nobody_elses_refusal() {
        let (refusals, begun) = (Refusals::default(), Instant::now());
        assert_eq!((0..1000).filter(|_| refusals.of_permission("vera", begun).is_some()).count(), 100);
        assert_eq!(refusals.of_permission("oscar", begun), Some(0));
        assert_eq!(refusals.of_permission("vera", begun + Duration::from_secs(10)), Some(900));
    }
}
