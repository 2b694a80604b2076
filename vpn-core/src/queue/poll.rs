//! When an idle worker looks: at once when it is woken, and every quarter of a second in any case.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use apalis::prelude::{PollSnapshot, PollStrategy};
use futures_util::{StreamExt as _, stream::BoxStream};
use tokio::time::{Interval, MissedTickBehavior};

/// The longest that a ring waits when its announcement was lost.
const EVERY: Duration = Duration::from_millis(250);

/// The library's own interval strategy can lose its only waker and stall for ever.
pub(super) struct WakeOrTick {
    wakes: BoxStream<'static, ()>,
    ticks: Option<Interval>,
}

impl WakeOrTick {
    pub(super) fn new(wakes: tokio::sync::watch::Receiver<u64>) -> Self {
        let wakes = futures_util::stream::unfold(wakes, |mut wakes| async move {
            wakes.changed().await.ok()?;
            Some(((), wakes))
        });
        Self { wakes: wakes.boxed(), ticks: None }
    }
}

impl std::fmt::Debug for WakeOrTick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WakeOrTick")
    }
}

impl PollStrategy for WakeOrTick {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let ticks = self.ticks.get_or_insert_with(|| {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        // Each source is polled until it is pending, so that a waker is always registered with both.
        let mut fired = false;
        while ticks.poll_tick(cx).is_ready() {
            fired = true;
        }
        while let Poll::Ready(Some(())) = self.wakes.as_mut().poll_next(cx) {
            fired = true;
        }
        if fired { Poll::Ready(Some(())) } else { Poll::Pending }
    }
}
