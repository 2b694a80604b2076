//! Who has no secret guesses: after some that failed, no more are tried for a while. Those that succeed
//! cost nothing.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Failures that are let pass at once.
const BURST: u32 = 50;
/// And after that, one in this time.
const EVERY: Duration = Duration::from_millis(200);

/// How many may fail just now.
#[derive(Debug)]
pub(super) struct Tries(Mutex<State>);

#[derive(Debug)]
struct State {
    left: u32,
    since: Instant,
}

impl Default for Tries {
    fn default() -> Self {
        Self(Mutex::new(State { left: BURST, since: Instant::now() }))
    }
}

impl Tries {
    /// Whether another one may be tried.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(state.since);
        let earned = u32::try_from(passed.as_millis() / EVERY.as_millis()).unwrap_or(BURST).min(BURST);
        if state.left + earned >= BURST {
            (state.left, state.since) = (BURST, now);
        } else if earned > 0 {
            state.left += earned;
            state.since += EVERY * earned;
        }
        state.left > 0
    }

    /// It failed.
    pub(super) fn failed(&self, now: Instant) {
        let _earned = self.may_try(now);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.left = state.left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_failures_is_slowed_down_and_forgotten_later() {
        let (tries, begun) = (Tries::default(), Instant::now());
        let flood = |now| (0..1000).take_while(|_| tries.may_try(now)).inspect(|_| tries.failed(now)).count();
        assert_eq!(flood(begun), 50);
        assert_eq!(flood(begun + Duration::from_secs(1)), 5);
        assert!((0..1000).all(|_| tries.may_try(begun + Duration::from_secs(2))), "what succeeds costs nothing");
        assert_eq!(flood(begun + Duration::from_hours(1)), 50);
    }
}
