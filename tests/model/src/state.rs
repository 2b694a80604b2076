//! What is where: rows in SQL, keys in Redis, files on the host, attempts in workers, commands under way.

/// A fencing token.
pub type Token = u8;

/// A job, by its place in [`State::jobs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u8);

/// An acquisition of the lock. A number is given again once nothing refers to it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(pub u8);

impl AttemptId {
    /// Of one that is over and that nothing can come from any more.
    pub const GONE: Self = Self(0);
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in vpn-core")]
pub enum JobKind {
    Provision,
    Revoke,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in vpn-core")]
pub enum JobState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Canceled,
}

impl JobState {
    /// Whether nothing can change it any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }

    const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Queued, Self::Running | Self::Canceled)
                | (Self::Running, Self::Succeeded | Self::Failed | Self::Queued)
        )
    }
}

/// A row of `jobs`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// What it does.
    pub kind: JobKind,
    /// Where it is.
    pub state: JobState,
    /// Whether a ring for it is in the queue. Rings for jobs that are not queued do nothing, and are not kept here.
    pub rung: bool,
    /// How often it was claimed, by its own count.
    pub attempts: u8,
    /// How often it was claimed in truth.
    pub claims: u8,
    /// The token of the last claim.
    pub fence: Token,
    /// The attempt of the last claim, while it runs.
    pub holder: Option<AttemptId>,
}

impl Job {
    pub(crate) const fn new(kind: JobKind) -> Self {
        Self { kind, state: JobState::Queued, rung: true, attempts: 0, claims: 0, fence: 0, holder: None }
    }

    pub(crate) fn becomes(&mut self, next: JobState, breaches: &mut Breaches) {
        if self.state.is_final() {
            breaches.add(Breach::FinishedJobChanged);
        } else if !self.state.may_become(next) {
            breaches.add(Breach::IllegalTransition);
        }
        self.state = next;
        self.rung = false;
        if next != JobState::Running {
            self.holder = None;
        }
    }
}

/// `pending → active → revoked`, or `pending → revoked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in vpn-core")]
pub enum ClientStatus {
    Pending,
    Active,
    Revoked,
}

/// A row of `profiles`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// There is none.
    None,
    /// It holds this certificate and its key, sealed.
    Sealed(u8),
    /// It was handed out: its owner has it.
    Delivered,
    /// The client is on its way out.
    Destroyed,
}

/// A row of `clients`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// Where it is in its life.
    pub status: ClientStatus,
    /// `revoke_requested_at` is set.
    pub revocation: bool,
    /// The highest token that was adopted.
    pub fence: Token,
    /// Its profile.
    pub profile: Profile,
}

/// The keys of the client's lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Redis {
    /// Who has the lock.
    pub owner: Option<AttemptId>,
    /// The last token that was handed out.
    pub last: Token,
}

/// Where the private key of a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in vpn-core")]
pub enum KeyState {
    Present,
    Forgotten,
}

/// `issued/SERIAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Issued {
    /// Which certificate: 1 for the first that was ever made for the client.
    pub certificate: u8,
    /// Whether the file still holds the key.
    pub key: KeyState,
}

/// The VPN host's state directory, as far as the client goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// `fence/SERIAL`: the token.
    pub fence: Token,
    /// `fence/SERIAL`: whose it is.
    pub fence_by: Option<AttemptId>,
    /// `issued/SERIAL`.
    pub issued: Option<Issued>,
    /// `revoked/SERIAL`.
    pub tombstone: bool,
    /// How many certificates were ever made.
    pub made: u8,
    /// How many of them the CRL does not list.
    pub live: u8,
}

/// The client's connection to the VPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Session {
    /// There is none.
    None,
    /// OpenVPN has loaded the CRL for it, and has not seen the certificate yet.
    Handshake,
    /// Traffic flows.
    Open,
}

/// What the host is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the verbs of the contract")]
pub enum Verb {
    Issue,
    Ack,
    Revoke,
    Kill,
    /// Kill, after the time to settle.
    KillAgain,
}

/// What the host answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Done.
    Done,
    /// Here is the profile.
    Profile(Issued),
    /// The OpenVPN server did not answer.
    SessionsUnproven,
    /// Exit 76, 66 or 65: the same request will not go through later.
    Refused,
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// On its way, or waiting for the lock of the host.
    Sent,
    /// Without flock: has looked, and has not acted yet.
    Checked,
    /// Its reply is on its way.
    Replied(Reply),
}

/// A command that was sent to the host. Outlives the attempt that sent it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Command {
    /// By whom.
    pub attempt: AttemptId,
    /// What.
    pub verb: Verb,
    /// Under which token.
    pub token: Token,
    /// How far it has come.
    pub phase: Phase,
}

/// Why an attempt fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Error {
    /// Another attempt may succeed.
    Retryable,
    /// No other attempt will.
    Final,
    /// A guarded write touched no row.
    Fenced,
}

/// What an attempt does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pc {
    /// It has read the row, with this floor, and asks Redis for the lock.
    Acquire(Token),
    /// It has the lock and claims the job.
    Claim,
    /// It waits for this command.
    Await(Verb),
    /// It records why it failed.
    Fail(Error),
    /// It gives the lock back.
    Release,
}

/// An attempt at a job, in some worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Which.
    pub id: AttemptId,
    /// At what.
    pub job: JobId,
    /// What it does next.
    pub pc: Pc,
    /// Its token, once it has the lock.
    pub token: Token,
    /// The certificate in a profile that it holds and has not stored.
    pub unsealed: Option<u8>,
    /// It has slept past its leases, in Redis and in SQL, and may wake up any time.
    pub stalled: bool,
}

/// Something that never may happen, and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is a property, which says what it means")]
pub enum Breach {
    ActivatedTwice,
    BegunAfterRequest,
    StoredAfterRequest,
    ActivatedAfterRequest,
    RevokedClientChanged,
    FinishedJobChanged,
    IllegalTransition,
    OvertakenWrote,
    FailedForNothing,
    FencedWithoutFault,
}

/// The breaches that happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Breaches(u16);

impl Breaches {
    pub(crate) const fn add(&mut self, breach: Breach) {
        self.0 |= 1 << breach as u16;
    }

    /// Whether this one happened.
    #[must_use]
    pub const fn has(self, breach: Breach) -> bool {
        self.0 & (1 << breach as u16) != 0
    }
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// SQL: the client.
    pub client: Client,
    /// SQL: its jobs.
    pub jobs: Vec<Job>,
    /// Redis.
    pub redis: Redis,
    /// The host.
    pub host: Host,
    /// The VPN.
    pub session: Session,
    /// Attempts under way, by their numbers.
    pub attempts: Vec<Attempt>,
    /// Commands under way, by their attempts.
    pub commands: Vec<Command>,
    /// The job that the sweeper has seen lapsed, and is about to release.
    pub noted: Option<JobId>,
    /// What may still go wrong.
    pub left: crate::Faults,
    /// What never may happen, and did.
    pub breaches: Breaches,
}

impl State {
    pub(crate) fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(usize::from(id.0))
    }

    pub(crate) fn job_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.jobs.get_mut(usize::from(id.0))
    }

    pub(crate) fn job_ids(&self) -> impl Iterator<Item = (JobId, &Job)> {
        (0..).map(JobId).zip(&self.jobs)
    }

    pub(crate) fn attempt(&self, id: AttemptId) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.id == id)
    }

    pub(crate) fn attempt_mut(&mut self, id: AttemptId) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.id == id)
    }

    pub(crate) fn command(&self, id: AttemptId) -> Option<&Command> {
        self.commands.iter().find(|command| command.attempt == id)
    }

    /// The reply that the attempt waits for, if it is there.
    pub(crate) fn reply(&self, id: AttemptId) -> Option<Reply> {
        match self.command(id)?.phase {
            Phase::Replied(reply) => Some(reply),
            _ => None,
        }
    }

    /// The attempt is over: whatever it has sent goes on, and nobody waits for the reply.
    pub(crate) fn forget(&mut self, id: AttemptId) {
        self.attempts.retain(|attempt| attempt.id != id);
        self.orphan(id);
    }

    pub(crate) fn orphan(&mut self, id: AttemptId) {
        self.commands.retain(|command| command.attempt != id || !matches!(command.phase, Phase::Replied(_)));
    }

    /// The lowest number that nothing refers to.
    pub(crate) fn new_attempt_id(&self) -> AttemptId {
        let used = |id: AttemptId| self.attempt(id).is_some() || self.command(id).is_some();
        (1..=u8::MAX).map(AttemptId).find(|id| !used(*id)).unwrap_or(AttemptId(u8::MAX))
    }

    /// Whether an attempt at this job is on its way to claim it, awake.
    pub(crate) fn is_loaded(&self, id: JobId) -> bool {
        let claims = |pc| matches!(pc, Pc::Acquire(_) | Pc::Claim);
        self.attempts.iter().any(|attempt| attempt.job == id && !attempt.stalled && claims(attempt.pc))
    }

    /// In SQL, the claim on the job has run out: nobody has renewed it.
    pub(crate) fn has_lapsed(&self, job: &Job) -> bool {
        let alive = job.holder.and_then(|id| self.attempt(id)).is_some_and(|attempt| !attempt.stalled);
        job.state == JobState::Running && !alive
    }
}
