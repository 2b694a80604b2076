//! Refused logins are on record, but whoever has no token must not be able to keep the audit log busy:
//! beyond a rate they are counted, and the next one that is recorded tells how many were not.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Recorded at once.
const BURST: u32 = 100;
/// And after that, one in this time.
const EVERY: Duration = Duration::from_millis(100);

/// How many may be recorded just now, and how many were not.
#[derive(Debug)]
pub(super) struct Refusals {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: u32,
    since: Instant,
    untold: u64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { state: Mutex::new(State { left: BURST, since: Instant::now(), untold: 0 }) }
    }
}

impl Refusals {
    /// Whether this refusal, at `now`, is to be recorded: then, how many were not since the last one that
    /// was.
    pub(super) fn next(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(state.since);
        let earned = u32::try_from(passed.as_millis() / EVERY.as_millis()).unwrap_or(BURST);
        if earned > 0 {
            state.left = state.left.saturating_add(earned).min(BURST);
            state.since += EVERY * earned.min(BURST);
            if state.left == BURST {
                state.since = now;
            }
        }
        if state.left == 0 {
            state.untold += 1;
            return None;
        }
        state.left -= 1;
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_of_later() {
        let (refusals, begun) = (Refusals::default(), Instant::now());
        let recorded = |now| (0..1000).filter(|_| refusals.next(now).is_some()).count();
        assert_eq!(recorded(begun), 100);
        let soon = begun + Duration::from_millis(250);
        assert_eq!(refusals.next(soon), Some(900));
        assert_eq!(refusals.next(soon), Some(0));
        assert_eq!(refusals.next(soon), None);
        let later = begun + Duration::from_hours(1);
        assert_eq!(refusals.next(later), Some(1));
        assert_eq!(recorded(later), 99);
    }
}
