//! A lease: what the holder of a lock has in hand, and until when.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::domain::Fence;

/// Time since boot, counting the time in which the machine was suspended (`Instant` stops there, and
/// a lease would look fresh after a night in a bag).
#[expect(clippy::cast_sign_loss, reason = "time since boot is not negative")]
pub(super) fn boottime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::from_secs(now.tv_sec as u64) + Duration::from_nanos(now.tv_nsec as u64)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// When a lease ends; shared by its holder and its renewer.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    /// Milliseconds since boot; 0 once it was ended.
    until: Arc<AtomicU64>,
    /// No renewal goes beyond this.
    last: u64,
}

impl Deadline {
    pub(super) fn new(until: Duration, last: Duration) -> Self {
        let last = millis(last);
        Self { until: Arc::new(AtomicU64::new(millis(until).min(last))), last }
    }

    fn remaining(&self) -> Duration {
        Duration::from_millis(self.until.load(Ordering::SeqCst)).saturating_sub(boottime())
    }

    /// Never brings back a lease that has run out here: its holder may have been told so.
    pub(super) fn extend(&self, until: Duration) {
        let (until, now) = (millis(until).min(self.last), millis(boottime()));
        let renewed = |current: u64| (current > now).then(|| until.max(current));
        // An error means that the lease had run out, and then it stays so.
        let _lapsed = self.until.fetch_update(Ordering::SeqCst, Ordering::SeqCst, renewed);
    }

    pub(super) fn end(&self) {
        self.until.store(0, Ordering::SeqCst);
    }

    /// Waits until the lease has ended. Looks again at least every 50 ms: a suspended machine wakes
    /// up with timers that slept too.
    pub(super) async fn passed(self) {
        loop {
            match self.remaining() {
                Duration::ZERO => return,
                left => tokio::time::sleep(left.min(Duration::from_millis(50))).await,
            }
        }
    }
}

/// The lease has ended, or ends before the next step would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease ends before this step could")]
pub struct LeaseLost;

/// A lock in hand.
#[derive(Clone, Debug)]
pub struct Lease {
    fence: Arc<Fence>,
    deadline: Deadline,
}

impl Lease {
    pub(super) fn new(fence: Fence, deadline: Deadline) -> Self {
        Self { fence: Arc::new(fence), deadline }
    }

    /// How long it lasts, unless it is renewed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.remaining()
    }

    /// To be called directly before every irreversible step, with the time that the step needs.
    pub fn ensure(&self, needed: Duration) -> Result<&Fence, LeaseLost> {
        if self.remaining() > needed { Ok(&self.fence) } else { Err(LeaseLost) }
    }

    /// The proof of ownership, for what is checked elsewhere.
    #[must_use]
    pub fn fence(&self) -> &Fence {
        &self.fence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deadline(lease: u64, max: u64) -> Deadline {
        let now = boottime();
        Deadline::new(now + Duration::from_secs(lease), now + Duration::from_secs(max))
    }

    #[test]
    fn a_lapsed_lease_is_not_brought_back() {
        let deadline = deadline(20, 600);
        deadline.end();
        deadline.extend(boottime() + Duration::from_secs(20));
        assert_eq!(deadline.remaining(), Duration::ZERO);
    }

    #[test]
    fn renewals_stop_at_the_longest_hold() {
        let deadline = deadline(20, 30);
        deadline.extend(boottime() + Duration::from_hours(1));
        assert!(deadline.remaining() <= Duration::from_secs(30));
    }

    #[test]
    fn a_late_renewal_does_not_shorten_the_lease() {
        let deadline = deadline(20, 600);
        deadline.extend(boottime() + Duration::from_secs(5));
        assert!(deadline.remaining() > Duration::from_secs(15));
    }
}
