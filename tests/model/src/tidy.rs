//! Fewer states for the same protocol: what makes no difference any more is made equal.

use crate::{AttemptId, Guard, JobId, JobState, Pc, Phase, Protocol, State};

impl Protocol {
    /// After each step.
    ///
    /// - Numbers of attempts that are over are forgotten: they only ever meet numbers that differ.
    /// - A lock is given back, or expires, as soon as nobody works under it: kept any longer, it only keeps
    ///   others waiting.
    /// - A finished job is not written to: its token and counts are forgotten.
    /// - A command that nobody waits for, and that the host is bound to refuse, is taken as refused.
    /// - The sweeper rings at once: a job that is not rung for can do nothing that it could not do when rung
    ///   for. It does not ring while an attempt is on its way to claim the job; a ring that comes twice is
    ///   a fault of its own.
    pub(crate) fn tidy(&self, s: &mut State) {
        while let Some(id) = s.attempts.iter().find(|attempt| attempt.pc == Pc::Release).map(|attempt| attempt.id) {
            self.release(s, id);
        }
        if self.has(Guard::RunningAtCommit) {
            for job in s.jobs.iter_mut().filter(|job| job.state.is_final()) {
                (job.attempts, job.claims, job.fence) = (0, 0, 0);
            }
        }
        if self.has(Guard::HostFence) && self.has(Guard::Flock) && self.has(Guard::SerialFirst) {
            let (fence, attempts) = (s.host.fence, &s.attempts);
            let waits = |id| attempts.iter().any(|attempt| attempt.id == id && matches!(attempt.pc, Pc::Await(_)));
            s.commands
                .retain(|command| command.token >= fence || command.phase != Phase::Sent || waits(command.attempt));
        }
        s.redis.owner = s.redis.owner.filter(|id| s.attempt(*id).is_some());
        let known = |id: AttemptId| s.attempt(id).is_some() || s.command(id).is_some();
        s.host.fence_by = s.host.fence_by.map(|id| if known(id) { id } else { AttemptId::GONE });
        let mut jobs = std::mem::take(&mut s.jobs);
        for (at, job) in (0..).map(JobId).zip(&mut jobs) {
            job.rung |= job.state == JobState::Queued && self.has(Guard::SweeperRings) && !s.is_loaded(at);
            job.holder = job.holder.map(|id| if s.attempt(id).is_some() { id } else { AttemptId::GONE });
        }
        s.jobs = jobs;
    }
}

/// Workers are alike, so states that differ in the numbers of attempts only are one. Not for a way that
/// people read: there, an attempt keeps its number.
pub(crate) fn renumber(s: &mut State) {
    let mut attempts = std::mem::take(&mut s.attempts);
    attempts
        .sort_by_key(|attempt| (attempt.job, attempt.pc, attempt.token, attempt.stalled, attempt.unsealed, attempt.id));
    let strays =
        s.commands.iter().map(|command| command.attempt).filter(|id| attempts.iter().all(|attempt| attempt.id != *id));
    let mut strays: Vec<AttemptId> = strays.collect();
    strays.sort_by_key(|id| s.command(*id).map(|command| (command.token, command.verb)));
    let old: Vec<AttemptId> = attempts.iter().map(|attempt| attempt.id).chain(strays).collect();
    let new = |id: AttemptId| match old.iter().position(|old| *old == id) {
        Some(at) => (1..).map(AttemptId).nth(at).unwrap_or(id),
        None => AttemptId::GONE,
    };
    for attempt in &mut attempts {
        attempt.id = new(attempt.id);
    }
    for command in &mut s.commands {
        command.attempt = new(command.attempt);
    }
    s.commands.sort_by_key(|command| command.attempt);
    s.attempts = attempts;
    s.redis.owner = s.redis.owner.map(new);
    s.host.fence_by = s.host.fence_by.map(new);
    for job in &mut s.jobs {
        job.holder = job.holder.map(new);
    }
}
