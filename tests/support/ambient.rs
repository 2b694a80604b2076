//! A clock for identifiers that never shows the same time twice.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use vpn_core::clock::{Ambient, Clock, Entropy, Timestamp};

struct Stepping(AtomicI64);

impl Clock for Stepping {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1000, Ordering::SeqCst))
    }
}

struct System(Ambient);

impl Entropy for System {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(16) {
            let random = self.0.random::<16>();
            for (byte, random) in chunk.iter_mut().zip(random) {
                *byte = random;
            }
        }
    }
}

/// Real randomness, and a clock that goes on by a millisecond whenever it is asked: ids sort in the
/// order in which they were made, however fast that was.
#[must_use]
pub fn stepping() -> Ambient {
    let system = Ambient::system();
    let clock = Stepping(AtomicI64::new(system.now().micros()));
    Ambient::new(Arc::new(clock), Arc::new(System(system)))
}
