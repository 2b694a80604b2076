//! What an attempt does: the steps of `jobs/`, `lock/` and the guarded writes of `store/`.

use crate::{
    Attempt, AttemptId, Breach, ClientStatus, Command, Error, Guard, JobId, JobKind, JobState, KeyState, Pc, Phase,
    Profile, Protocol, Reply, State, Verb,
};

impl Protocol {
    /// `jobs/mod.rs` consider: the rows as they are now.
    pub(crate) fn load(&self, s: &mut State, job: JobId) -> Option<()> {
        let fence = s.client.fence.max(s.job(job)?.fence);
        let floor = if self.has(Guard::FloorFromSql) { fence } else { 0 };
        s.job_mut(job)?.rung = false;
        let id = s.new_attempt_id();
        s.attempts.push(Attempt { id, job, pc: Pc::Acquire(floor), token: 0, unsealed: None, stalled: false });
        s.attempts.sort_by_key(|attempt| attempt.id);
        Some(())
    }

    /// `lock/acquire.lua`. Another has it: the ring was answered, and that is all.
    pub(crate) fn acquire(&self, s: &mut State, id: AttemptId) -> Option<()> {
        let Pc::Acquire(floor) = s.attempt(id)?.pc else { return None };
        if s.redis.owner.is_some() && self.has(Guard::LockHeld) {
            s.forget(id);
            return Some(());
        }
        s.redis.last = s.redis.last.max(floor) + 1;
        s.redis.owner = Some(id);
        let token = s.redis.last;
        let attempt = s.attempt_mut(id)?;
        attempt.token = token;
        attempt.pc = Pc::Claim;
        Some(())
    }

    /// `store/jobs.rs` `claim_job`; where it touches no row, `jobs/mod.rs` `cancel_if_overtaken`.
    pub(crate) fn claim(&self, s: &mut State, id: AttemptId) -> Option<()> {
        let (job_id, token) = s.attempt(id).map(|attempt| (attempt.job, attempt.token))?;
        let job = s.job(job_id)?;
        let provision = job.kind == JobKind::Provision;
        let newer = |fence| if self.has(Guard::StrictAdopt) { fence < token } else { fence <= token };
        let adopts = newer(s.client.fence)
            && s.client.status != ClientStatus::Revoked
            && !(provision && s.client.revocation && self.has(Guard::RevocationAtClaim))
            && !(provision && s.client.status != ClientStatus::Pending && self.has(Guard::PendingAtClaim));
        let claims = newer(job.fence)
            && (job.state == JobState::Queued || !self.has(Guard::QueuedAtClaim))
            && (job.attempts < self.bounds.max_attempts || !self.has(Guard::LimitAttempts));
        let overtaken = provision && s.client.revocation;
        if adopts && claims {
            s.client.fence = token;
            if overtaken {
                s.breaches.add(Breach::BegunAfterRequest);
            }
            let mut breaches = s.breaches;
            let counted = u8::from(self.has(Guard::CountAtClaim));
            let job = s.job_mut(job_id)?;
            job.becomes(JobState::Running, &mut breaches);
            job.attempts += counted;
            job.claims += 1;
            job.fence = token;
            job.holder = Some(id);
            s.breaches = breaches;
            let first = match (provision, self.has(Guard::CrlFirst)) {
                (true, _) => Verb::Issue,
                (false, true) => Verb::Revoke,
                (false, false) => Verb::Kill,
            };
            self.send(s, id, first)
        } else {
            let waits = s.job(job_id)?.state == JobState::Queued;
            if overtaken && waits && self.has(Guard::CancelOvertaken) {
                Self::job_becomes(s, job_id, JobState::Canceled)?;
            }
            Self::goes_to(s, id, Pc::Release)
        }
    }

    /// `jobs/provision.rs` seal: stores the profile, unless an attempt before this one has.
    pub(crate) fn seal(&self, s: &mut State, id: AttemptId) -> Option<()> {
        let Reply::Profile(issued) = Self::take_reply(s, id)? else { return None };
        let stored = matches!(s.client.profile, Profile::Sealed(_));
        if issued.key == KeyState::Forgotten && !stored && self.has(Guard::KeyLost) {
            return Self::goes_to(s, id, Pc::Fail(Error::Final));
        }
        let fresh = (issued.key == KeyState::Present).then_some(issued.certificate);
        if !self.has(Guard::SealFirst) {
            s.attempt_mut(id)?.unsealed = fresh;
            return self.send(s, id, Verb::Ack);
        }
        let overtaken = s.client.revocation;
        if !self.writes(s, id)? || (overtaken && self.has(Guard::RevocationAtAdvance)) || !self.stores(s, id, fresh)? {
            return Self::goes_to(s, id, Pc::Fail(Error::Fenced));
        }
        self.wrote(s, id)?;
        if self.has(Guard::Acknowledge) { self.send(s, id, Verb::Ack) } else { self.commit(s, id) }
    }

    /// `store/profiles.rs` `store_profile`, as part of a transaction.
    fn stores(&self, s: &mut State, id: AttemptId, fresh: Option<u8>) -> Option<bool> {
        let Some(certificate) = fresh else { return Some(true) };
        let ours = s.client.fence == s.attempt(id)?.token || !self.has(Guard::FenceAtCommit);
        if !ours || matches!(s.client.profile, Profile::Destroyed | Profile::Delivered) {
            return Some(false);
        }
        if s.client.revocation {
            s.breaches.add(Breach::StoredAfterRequest);
        }
        s.client.profile = Profile::Sealed(certificate);
        Some(true)
    }

    /// `jobs/revoke.rs`: what the host did is recorded, and the next command is sent.
    pub(crate) fn advance(&self, s: &mut State, id: AttemptId) -> Option<()> {
        let Pc::Await(verb) = s.attempt(id)?.pc else { return None };
        Self::take_reply(s, id)?;
        if !self.writes(s, id)? {
            return Self::goes_to(s, id, Pc::Fail(Error::Fenced));
        }
        self.wrote(s, id)?;
        let next = self.after(verb)?;
        self.send(s, id, next)
    }

    /// The command of a revocation that follows this one.
    pub(crate) fn after(&self, verb: Verb) -> Option<Verb> {
        let settles = self.bounds.sessions && self.has(Guard::Settle);
        let (last, first_is_crl) = (if settles { Verb::KillAgain } else { Verb::Kill }, self.has(Guard::CrlFirst));
        match verb {
            Verb::Revoke if first_is_crl => Some(Verb::Kill),
            Verb::Kill if settles => Some(Verb::KillAgain),
            verb if verb == last && !first_is_crl => Some(Verb::Revoke),
            _ => None,
        }
    }

    /// `jobs/attempt.rs` succeed: the job ends, and the client becomes what it was worked for.
    pub(crate) fn commit(&self, s: &mut State, id: AttemptId) -> Option<()> {
        let (job_id, token) = s.attempt(id).map(|attempt| (attempt.job, attempt.token))?;
        Self::take_reply(s, id);
        let ours = s.client.fence == token || !self.has(Guard::FenceAtCommit);
        let touches = match s.job(job_id)?.kind {
            JobKind::Provision => {
                let unsealed = s.attempt(id)?.unsealed;
                ours && (s.client.status == ClientStatus::Pending || !self.has(Guard::PendingAtActivate))
                    && !(s.client.revocation && self.has(Guard::RevocationAtActivate))
                    && self.writes(s, id)?
                    && self.stores(s, id, unsealed)?
            }
            JobKind::Revoke => {
                ours && s.client.revocation && s.client.status != ClientStatus::Revoked && self.writes(s, id)?
            }
        };
        if !touches {
            return Self::goes_to(s, id, Pc::Fail(Error::Fenced));
        }
        self.wrote(s, id)?;
        match (s.job(job_id)?.kind, s.client.status) {
            (JobKind::Revoke, _) => {
                s.client.status = ClientStatus::Revoked;
                s.client.profile = Profile::Destroyed;
            }
            (JobKind::Provision, status) => {
                match status {
                    ClientStatus::Pending => {}
                    ClientStatus::Active => s.breaches.add(Breach::ActivatedTwice),
                    ClientStatus::Revoked => s.breaches.add(Breach::RevokedClientChanged),
                }
                if s.client.revocation {
                    s.breaches.add(Breach::ActivatedAfterRequest);
                }
                s.client.status = ClientStatus::Active;
            }
        }
        Self::job_becomes(s, job_id, JobState::Succeeded)?;
        Self::goes_to(s, id, Pc::Release)
    }

    /// `jobs/attempt.rs` `try_failed`: for good, or until the next attempt.
    pub(crate) fn fail(&self, s: &mut State, id: AttemptId) -> Option<()> {
        let attempt = s.attempt(id)?;
        let (job_id, error) = match attempt.pc {
            Pc::Fail(error) => (attempt.job, error),
            _ => (attempt.job, if s.reply(id)? == Reply::SessionsUnproven { Error::Retryable } else { Error::Final }),
        };
        Self::take_reply(s, id);
        let over = s.job(job_id)?.kind == JobKind::Provision && s.client.revocation;
        let error = if over && self.has(Guard::OvertakenEnds) { Error::Final } else { error };
        if error == Error::Fenced || !self.writes(s, id)? {
            // `fenced`: an entry in the audit log, and no change.
            return Self::goes_to(s, id, Pc::Release);
        }
        self.wrote(s, id)?;
        let counted = u8::from(!self.has(Guard::CountAtClaim));
        let job = s.job_mut(job_id)?;
        job.attempts += counted;
        let spent = job.attempts >= self.bounds.max_attempts && self.has(Guard::LimitAttempts);
        if error == Error::Retryable && !spent {
            Self::job_becomes(s, job_id, JobState::Queued)?;
        } else {
            if error == Error::Final && !over {
                s.breaches.add(Breach::FailedForNothing);
            }
            Self::job_becomes(s, job_id, JobState::Failed)?;
        }
        Self::goes_to(s, id, Pc::Release)
    }

    /// `lock/release.lua`, then `jobs/mod.rs` `ring_next`.
    #[expect(clippy::unused_self, reason = "like its sisters")]
    pub(crate) fn release(&self, s: &mut State, id: AttemptId) {
        let done = s.attempt(id).map(|attempt| attempt.job);
        if s.redis.owner == Some(id) {
            s.redis.owner = None;
        }
        s.forget(id);
        for (at, job) in (0..).map(JobId).zip(&mut s.jobs) {
            job.rung |= Some(at) != done && job.state == JobState::Queued;
        }
    }

    /// Whether a write that is guarded by the job's row touches it.
    fn writes(&self, s: &State, id: AttemptId) -> Option<bool> {
        let attempt = s.attempt(id)?;
        let job = s.job(attempt.job)?;
        Some(
            (job.fence == attempt.token || !self.has(Guard::FenceAtCommit))
                && (job.state == JobState::Running || !self.has(Guard::RunningAtCommit)),
        )
    }

    /// A guarded write went through.
    #[expect(clippy::unused_self, reason = "like its sisters")]
    fn wrote(&self, s: &mut State, id: AttemptId) -> Option<()> {
        let holder = s.job(s.attempt(id)?.job)?.holder;
        if holder.is_some_and(|holder| holder != id) {
            s.breaches.add(Breach::OvertakenWrote);
        }
        Some(())
    }

    pub(crate) fn job_becomes(s: &mut State, id: JobId, next: JobState) -> Option<()> {
        let mut breaches = s.breaches;
        s.job_mut(id)?.becomes(next, &mut breaches);
        s.breaches = breaches;
        Some(())
    }

    fn goes_to(s: &mut State, id: AttemptId, pc: Pc) -> Option<()> {
        s.orphan(id);
        s.attempt_mut(id)?.pc = pc;
        Some(())
    }

    #[expect(clippy::unused_self, reason = "like its sisters")]
    fn send(&self, s: &mut State, id: AttemptId, verb: Verb) -> Option<()> {
        let attempt = s.attempt_mut(id)?;
        attempt.pc = Pc::Await(verb);
        let token = attempt.token;
        s.commands.push(Command { attempt: id, verb, token, phase: Phase::Sent });
        s.commands.sort_by_key(|command| command.attempt);
        Some(())
    }

    fn take_reply(s: &mut State, id: AttemptId) -> Option<Reply> {
        let reply = s.reply(id)?;
        s.commands.retain(|command| command.attempt != id);
        Some(reply)
    }
}
