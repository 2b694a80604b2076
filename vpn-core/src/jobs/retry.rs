//! When a failed attempt is repeated.

use std::time::Duration;

use crate::clock::Ambient;

/// Exponential backoff with jitter, bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Before the second attempt, at most.
    pub base: Duration,
    /// Before any attempt, at most.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { base: Duration::from_secs(2), cap: Duration::from_mins(5) }
    }
}

impl RetryPolicy {
    /// How long to wait after the attempt with this number (1, 2, …): the base, doubled for each
    /// attempt before it, up to the cap; and of that between a half and the whole, at random, so that
    /// jobs that failed together do not come back together.
    #[must_use]
    pub fn delay_after(&self, attempt: i32, ambient: &Ambient) -> Duration {
        let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(31);
        let whole = self.base.saturating_mul(1 << doublings).min(self.cap);
        let [random] = ambient.random::<1>();
        whole / 2 + whole / 2 * u32::from(random) / u32::from(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_differ() {
        let (policy, ambient) = (RetryPolicy::default(), Ambient::system());
        for (attempt, whole) in [(1, 2), (2, 4), (5, 32), (9, 300), (1000, 300)] {
            let delay = policy.delay_after(attempt, &ambient);
            assert!(
                (Duration::from_secs(whole) / 2..=Duration::from_secs(whole)).contains(&delay),
                "{attempt}: {delay:?}"
            );
        }
        let delays: std::collections::HashSet<_> = (0..64).map(|_| policy.delay_after(5, &ambient)).collect();
        assert!(delays.len() > 8);
    }
}
