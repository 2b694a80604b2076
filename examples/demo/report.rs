//! One readable line for each step, with the time since the beginning.

use std::{fmt::Display, io::Write as _, time::Instant};

pub(crate) struct Report {
    begun: Instant,
}

impl Report {
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now() }
    }

    pub(crate) fn step(&self, what: &str, told: impl Display) {
        let at = self.begun.elapsed().as_secs_f64();
        // A reader that has gone (`make demo | head`) does not end the demo.
        let _gone = writeln!(std::io::stdout(), "{at:7.2} s  {what:<12} {told}");
    }

    /// A line that belongs to the step above it.
    #[expect(clippy::unused_self, reason = "lines are written through the report only")]
    pub(crate) fn detail(&self, told: impl Display) {
        let _gone = writeln!(std::io::stdout(), "{:24}{told}", "");
    }

    pub(crate) fn failed(&self, error: &anyhow::Error) {
        self.step("FAILED", format!("{error:#}"));
    }

    pub(crate) fn done(&self) {
        self.step("done", "the revoked client is out, and everything is on record");
    }
}
