//! Who may do what next.

use crate::{
    Action, AttemptId, ClientStatus, Guard, JobKind, JobState, Outcome, Pc, Phase, Protocol, Reply, Session, State,
    Verb,
};

impl Protocol {
    /// Whether a person may ask for this now, and gets a job.
    pub(crate) fn may_ask(&self, s: &State, kind: JobKind) -> bool {
        let open = s.jobs.iter().any(|job| job.kind == kind && !job.state.is_final());
        let again = s.left.asked_again > 0 && !(open && self.has(Guard::UniqueOpenJob));
        match kind {
            JobKind::Provision => again && s.client.status == ClientStatus::Pending && !s.client.revocation,
            JobKind::Revoke => !s.client.revocation || again && s.client.status != ClientStatus::Revoked,
        }
    }

    /// What the attempts may do.
    pub(crate) fn of_attempts(&self, s: &State, actions: &mut Vec<Action>) {
        for attempt in &s.attempts {
            let id = attempt.id;
            match attempt.pc {
                Pc::Acquire(_) => actions.push(Action::Acquire(id)),
                Pc::Claim => actions.push(Action::Claim(id, Outcome::Known)),
                Pc::Await(verb) => {
                    actions.extend(s.reply(id).map(|reply| self.answer(id, verb, reply)));
                    if s.left.given_up > 0 {
                        actions.push(Action::GiveUp(id));
                    }
                }
                Pc::Fail(_) => actions.push(Action::Fail(id, Outcome::Known)),
                Pc::Release => {}
            }
            if s.left.lost_commits > 0 {
                let lost = actions.last().and_then(|action| match *action {
                    Action::Claim(id, _) => Some(Action::Claim(id, Outcome::Lost)),
                    Action::Seal(id, _) => Some(Action::Seal(id, Outcome::Lost)),
                    Action::Advance(id, _) => Some(Action::Advance(id, Outcome::Lost)),
                    Action::Commit(id, _) => Some(Action::Commit(id, Outcome::Lost)),
                    Action::Fail(id, _) => Some(Action::Fail(id, Outcome::Lost)),
                    _ => None,
                });
                actions.extend(lost);
            }
            if s.left.stalls > 0 && !attempt.stalled {
                actions.push(Action::Stall(id));
            }
            if s.left.crashes > 0 {
                actions.push(Action::Crash(id));
            }
        }
    }

    /// What an attempt does with the reply that it waited for.
    fn answer(&self, id: AttemptId, verb: Verb, reply: Reply) -> Action {
        let proven = reply != Reply::SessionsUnproven || !self.has(Guard::SessionsProven);
        match verb {
            _ if reply == Reply::Refused || !proven => Action::Fail(id, Outcome::Known),
            Verb::Issue => Action::Seal(id, Outcome::Known),
            Verb::Ack => Action::Commit(id, Outcome::Known),
            Verb::Revoke | Verb::Kill | Verb::KillAgain => match self.after(verb) {
                Some(_) => Action::Advance(id, Outcome::Known),
                None => Action::Commit(id, Outcome::Known),
            },
        }
    }

    /// What the host, OpenVPN and the client may do.
    pub(crate) fn of_host(&self, s: &State, actions: &mut Vec<Action>) {
        for command in s.commands.iter().filter(|command| self.may_run(s, command)) {
            let id = command.attempt;
            match command.phase {
                Phase::Sent if !self.has(Guard::Flock) => actions.push(Action::Check(id)),
                Phase::Sent | Phase::Checked => {
                    actions.push(Action::Run(id));
                    if s.left.deaf > 0 && matches!(command.verb, Verb::Kill | Verb::KillAgain) {
                        actions.push(Action::RunDeaf(id));
                    }
                }
                Phase::Replied(_) => {}
            }
        }
        match s.session {
            Session::None if self.bounds.sessions && s.host.live > 0 => actions.push(Action::Connect),
            Session::Handshake => actions.push(Action::Connected),
            _ => {}
        }
    }

    /// What comes of the queue: rings, sweeps, and the loss of everything.
    pub(crate) fn of_queue(&self, s: &State, actions: &mut Vec<Action>) {
        let room = s.attempts.len() < usize::from(self.bounds.workers);
        for (id, job) in s.job_ids() {
            if job.state == JobState::Queued && job.rung && room {
                actions.push(Action::Load(id));
            }
            if job.state == JobState::Queued && !job.rung && self.has(Guard::SweeperRings) {
                actions.push(Action::Ring(id));
            }
            if s.left.doubled > 0 && !job.rung && s.is_loaded(id) {
                actions.push(Action::Double(id));
            }
            if s.has_lapsed(job) && self.has(Guard::SweeperReleases) {
                // What was seen is looked at again, so nothing comes of seeing it early: one step.
                let sees = if self.has(Guard::SweeperRechecks) { Action::Sweep(id) } else { Action::Note(id) };
                actions.push(sees);
            }
        }
        actions.extend(s.noted.map(Action::Sweep));
        if s.left.wipes > 0 {
            actions.push(Action::Wipe);
        }
    }
}
