//! Latencies, and what they come to.

use std::{fmt, time::Duration};

/// Latencies.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |percent: usize| sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)));
        let millis = |duration: Option<&Duration>| duration.map_or(0.0, |latency| latency.as_secs_f64() * 1000.0);
        let [p50, p99, max] = [at(50), at(99), sorted.last()].map(millis);
        write!(f, "p50 {p50:.1} ms, p99 {p99:.1} ms, longest {max:.1} ms")
    }
}
