//! The protocol as a model: how it begins, and what each action does.

use stateright::{Model, Property};

use crate::{
    Action, AttemptId, Bounds, Breaches, Client, ClientStatus, Guard, Guards, Host, Issued, Job, JobId, JobKind,
    JobState, KeyState, Outcome, Pc, Profile, Redis, Session, Start, State, property, tidy::renumber,
};

/// The protocol: with these guards, looked at within these bounds.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// What is checked.
    pub guards: Guards,
    /// How far to look.
    pub bounds: Bounds,
}

impl Protocol {
    /// As it is in the code.
    #[must_use]
    pub const fn whole(bounds: Bounds) -> Self {
        Self { guards: Guards::all(), bounds }
    }

    /// As it would be without these guards.
    #[must_use]
    pub fn without(guards: &[Guard], bounds: Bounds) -> Self {
        Self { guards: Guards::without(guards), bounds }
    }

    pub(crate) const fn has(&self, guard: Guard) -> bool {
        self.guards.has(guard)
    }

    pub(crate) fn step(&self, s: &mut State, action: Action) -> Option<()> {
        self.take(s, action)?;
        self.tidy(s);
        Some(())
    }

    /// The next state, in which attempts keep their numbers.
    pub(crate) fn follow(&self, s: &State, action: Action) -> Option<State> {
        let mut next = s.clone();
        self.step(&mut next, action)?;
        Some(next)
    }

    fn take(&self, s: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Ask(kind) => self.ask(s, kind),
            Action::Load(job) => self.load(s, job),
            Action::Acquire(id) => self.acquire(s, id),
            Action::Claim(id, outcome) => {
                self.claim(s, id)?;
                Self::learns(s, id, outcome, Pc::Release)
            }
            Action::Seal(id, outcome) => {
                self.seal(s, id)?;
                Self::learns(s, id, outcome, Pc::Fail(crate::Error::Retryable))
            }
            Action::Advance(id, outcome) => {
                self.advance(s, id)?;
                Self::learns(s, id, outcome, Pc::Fail(crate::Error::Retryable))
            }
            Action::Commit(id, outcome) => {
                self.commit(s, id)?;
                Self::learns(s, id, outcome, Pc::Fail(crate::Error::Retryable))
            }
            Action::Fail(id, outcome) => {
                self.fail(s, id)?;
                Self::learns(s, id, outcome, Pc::Release)
            }
            Action::Run(id) => self.run(s, id, false),
            Action::RunDeaf(id) => {
                s.left.deaf -= 1;
                self.run(s, id, true)
            }
            Action::Check(id) => self.check(s, id),
            Action::Note(job) => {
                s.noted = Some(job);
                Some(())
            }
            Action::Sweep(job) => self.sweep(s, job),
            Action::Ring(job) => {
                s.job_mut(job)?.rung = true;
                Some(())
            }
            Action::Connect => {
                s.session = Session::Handshake;
                Some(())
            }
            Action::Connected => {
                s.session = Session::Open;
                Some(())
            }
            Action::Stall(id) => {
                s.left.stalls -= 1;
                if s.redis.owner == Some(id) {
                    s.redis.owner = None;
                }
                s.attempt_mut(id)?.stalled = true;
                Some(())
            }
            Action::Double(job) => {
                s.left.doubled -= 1;
                s.job_mut(job)?.rung = true;
                Some(())
            }
            Action::Wipe => {
                s.left.wipes -= 1;
                s.redis = Redis { owner: None, last: 0 };
                s.jobs.iter_mut().for_each(|job| job.rung = false);
                Some(())
            }
            Action::Crash(id) => {
                s.left.crashes -= 1;
                s.forget(id);
                Some(())
            }
            Action::GiveUp(id) => {
                s.left.given_up -= 1;
                s.orphan(id);
                s.attempt_mut(id)?.pc = Pc::Fail(crate::Error::Retryable);
                Some(())
            }
        }
    }

    /// A worker that does not learn of its commit has sent nothing after it.
    fn learns(s: &mut State, id: AttemptId, outcome: Outcome, instead: Pc) -> Option<()> {
        if outcome == Outcome::Lost {
            s.left.lost_commits -= 1;
            s.commands.retain(|command| command.attempt != id);
            s.attempt_mut(id)?.pc = instead;
        }
        Some(())
    }

    /// `service/work.rs`.
    fn ask(&self, s: &mut State, kind: JobKind) -> Option<()> {
        let first = kind == JobKind::Revoke && !s.client.revocation;
        if first {
            s.client.revocation = true;
            if matches!(s.client.profile, Profile::Sealed(_)) {
                s.client.profile = Profile::Destroyed;
            }
            let waits = |job: &Job| job.kind == JobKind::Provision && job.state == JobState::Queued;
            let waiting = s.job_ids().find(|(_, job)| waits(job)).map(|(id, _)| id);
            if let Some(waiting) = waiting.filter(|_| self.has(Guard::CancelWaiting)) {
                Self::job_becomes(s, waiting, JobState::Canceled)?;
            }
        } else {
            s.left.asked_again -= 1;
        }
        s.jobs.push(Job::new(kind));
        Some(())
    }

    /// `jobs/sweeper.rs` release, with `store/jobs.rs` `release_lapsed_job`.
    fn sweep(&self, s: &mut State, id: JobId) -> Option<()> {
        s.noted = None;
        let job = s.job(id)?;
        if self.has(Guard::SweeperRechecks) && !s.has_lapsed(job) {
            return Some(());
        }
        let spent = job.attempts >= self.bounds.max_attempts && self.has(Guard::LimitAttempts);
        let overtaken = job.kind == JobKind::Provision && s.client.revocation && self.has(Guard::OvertakenEnds);
        Self::job_becomes(s, id, if spent { JobState::Failed } else { JobState::Queued })?;
        if overtaken && !spent {
            Self::job_becomes(s, id, JobState::Canceled)?;
        }
        Some(())
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State {
            client: Client { status: ClientStatus::Pending, revocation: false, fence: 0, profile: Profile::None },
            jobs: vec![Job::new(JobKind::Provision)],
            redis: Redis { owner: None, last: 0 },
            host: Host { fence: 0, fence_by: None, issued: None, tombstone: false, made: 0, live: 0 },
            session: Session::None,
            attempts: Vec::new(),
            commands: Vec::new(),
            noted: None,
            left: self.bounds.faults,
            breaches: Breaches::default(),
        };
        if self.bounds.start == Start::Active {
            state.client =
                Client { status: ClientStatus::Active, fence: 1, profile: Profile::Delivered, ..state.client };
            let issued = Issued { certificate: 1, key: KeyState::Forgotten };
            state.host = Host { fence: 1, issued: Some(issued), made: 1, live: 1, ..state.host };
            state.redis.last = 1;
            let (attempts, claims) = (1, 1);
            let done = JobState::Succeeded;
            state.jobs =
                vec![Job { state: done, rung: false, attempts, claims, fence: 1, ..Job::new(JobKind::Provision) }];
        }
        vec![state]
    }

    fn actions(&self, s: &State, actions: &mut Vec<Action>) {
        for kind in [JobKind::Provision, JobKind::Revoke] {
            if self.may_ask(s, kind) {
                actions.push(Action::Ask(kind));
            }
        }
        self.of_queue(s, actions);
        self.of_attempts(s, actions);
        self.of_host(s, actions);
    }

    fn next_state(&self, s: &State, action: Action) -> Option<State> {
        let mut next = self.follow(s, action)?;
        renumber(&mut next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        property::all()
    }

    /// Without a guard, tokens and claims may grow for ever.
    fn within_boundary(&self, s: &State) -> bool {
        let most = self.bounds.max_attempts + 2;
        s.redis.last <= 12 && s.host.made <= most && s.jobs.iter().all(|job| job.claims <= most)
    }
}
