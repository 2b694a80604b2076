//! Token buckets: so many at once, and after that one in some time. Memory is bounded: who comes when
//! there is no room for another bucket shares one with all others who did.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// Buckets at most. One has about 100 bytes.
pub(super) const ROOM: usize = 10_000;

/// How much may be had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// At once.
    pub(super) burst: u32,
    /// And after that, one in this time.
    pub(super) every: Duration,
}

/// What is left of a rate.
#[derive(Debug)]
pub(super) struct Bucket {
    left: u32,
    since: Instant,
}

impl Bucket {
    pub(super) const fn full(rate: Rate, now: Instant) -> Self {
        Self { left: rate.burst, since: now }
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        let earned = u32::try_from(passed.as_millis() / rate.every.as_millis().max(1)).unwrap_or(rate.burst);
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(rate.burst);
            self.since += rate.every * earned.min(rate.burst);
        }
        if self.left == rate.burst {
            self.since = now;
        }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        let had = self.left > 0;
        self.left = self.left.saturating_sub(1);
        had
    }

    /// How long it is until there is one; `None` when there is one now.
    fn wait(&mut self, rate: Rate, now: Instant) -> Option<Duration> {
        self.refill(rate, now);
        (self.left == 0).then(|| rate.every.saturating_sub(now.saturating_duration_since(self.since)))
    }

    fn is_full(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.left == rate.burst
    }
}

/// A bucket for each key.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    rate: Rate,
    each: HashMap<K, Bucket>,
    /// Of all for whom there is no room.
    rest: Bucket,
}

impl<K: Eq + Hash> Buckets<K> {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, each: HashMap::new(), rest: Bucket::full(rate, Instant::now()) }
    }

    /// How long it is until there is one for this key; `None` when there is one now.
    pub(super) fn wait(&mut self, key: &K, now: Instant) -> Option<Duration> {
        let full = self.each.len() >= ROOM;
        match self.each.get_mut(key) {
            Some(bucket) => bucket.wait(self.rate, now),
            None if full => self.rest.wait(self.rate, now),
            None => None,
        }
    }

    /// Takes one of this key's, if there is one.
    pub(super) fn take(&mut self, key: K, now: Instant) -> bool {
        let rate = self.rate;
        if self.each.len() >= ROOM && !self.each.contains_key(&key) {
            self.each.retain(|_, bucket| !bucket.is_full(rate, now));
            if self.each.len() >= ROOM {
                return self.rest.take(rate, now);
            }
        }
        self.each.entry(key).or_insert_with(|| Bucket::full(rate, now)).take(rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, every: Duration::from_secs(2) };

    #[test]
    fn a_burst_is_let_through_and_then_one_at_a_time() {
        let (mut buckets, now) = (Buckets::new(RATE), Instant::now());
        assert_eq!((0..10).filter(|_| buckets.take("a", now)).count(), 3);
        assert_eq!(buckets.wait(&"a", now), Some(RATE.every));
        assert_eq!(buckets.wait(&"b", now), None, "another key is not concerned");
        let later = now + Duration::from_secs(5);
        assert_eq!((0..10).filter(|_| buckets.take("a", later)).count(), 2);
        assert_eq!(buckets.wait(&"a", later), Some(Duration::from_secs(1)));
        let much_later = now + Duration::from_hours(1);
        assert_eq!((0..10).filter(|_| buckets.take("a", much_later)).count(), 3);
    }

    #[test]
    fn who_comes_when_it_is_full_shares_one_bucket() {
        let (mut buckets, now) = (Buckets::new(RATE), Instant::now());
        assert!((0..ROOM).all(|key| buckets.take(key, now)));
        assert_eq!((ROOM..2 * ROOM).filter(|key| buckets.take(*key, now)).count(), 3);
        assert_eq!(buckets.each.len(), ROOM);
        assert!(buckets.wait(&(2 * ROOM), now).is_some());
        // Those that are full again make room.
        let later = now + RATE.every;
        assert!((ROOM..2 * ROOM).all(|key| buckets.take(key, later)));
    }
}
