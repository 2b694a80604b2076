//! Looking ahead: when nothing goes wrong any more, does everything end that was asked for?

use stateright::Model as _;

use crate::{Action, Faults, JobId, Outcome, Protocol, State};

/// More steps than any quiet end takes.
const STEPS: usize = 100;

impl Protocol {
    /// Whether every job ends from here on without faults, each at the next ring for it.
    ///
    /// Asked where no attempt is under way; from anywhere else, attempts come to their ends by themselves.
    /// Commands that are still under way on the host are taken as never run: where they run, that is a
    /// state of its own, and this is asked there too.
    #[must_use]
    pub fn ends_quietly(&self, state: &State) -> bool {
        if !state.attempts.is_empty() {
            return true;
        }
        let mut s = state.clone();
        s.commands.clear();
        s.left = Faults::default();
        let mut answered = 0;
        let mut actions = Vec::new();
        for _ in 0..STEPS {
            if s.jobs.iter().all(|job| job.state.is_final()) {
                return true;
            }
            actions.clear();
            self.actions(&s, &mut actions);
            let next = actions.iter().filter(|action| goes_on(**action, answered)).min_by_key(|action| order(**action));
            let Some(&next) = next else { return false };
            if let Action::Load(job) = next {
                answered |= bit(job);
            }
            if self.step(&mut s, next).is_none() {
                return false;
            }
        }
        false
    }
}

const fn goes_on(action: Action, answered: u32) -> bool {
    match action {
        Action::Ask(_) | Action::Connect => false,
        Action::Load(job) => answered & bit(job) == 0,
        _ => true,
    }
}

const fn bit(job: JobId) -> u32 {
    1 << job.0
}

/// First what is under way is brought to its end.
const fn order(action: Action) -> u8 {
    match action {
        Action::Connected => 0,
        Action::Acquire(_)
        | Action::Claim(_, Outcome::Known)
        | Action::Seal(_, Outcome::Known)
        | Action::Advance(_, Outcome::Known)
        | Action::Commit(_, Outcome::Known)
        | Action::Fail(_, Outcome::Known) => 1,
        Action::Check(_) | Action::Run(_) => 2,
        Action::Note(_) | Action::Sweep(_) => 4,
        Action::Ring(_) => 5,
        _ => 6,
    }
}
