//! What can happen next.

use std::fmt;

use crate::{AttemptId, JobId, JobKind};

/// Whether the worker learns what became of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It does.
    Known,
    /// SQL commits, and the connection breaks before the worker hears of it.
    Lost,
}

/// One step of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// `service/work.rs`: a person asks for a job.
    Ask(JobKind),

    /// `jobs/mod.rs` load: a worker answers a ring and reads the rows.
    Load(JobId),
    /// `lock/acquire.lua`.
    Acquire(AttemptId),
    /// `jobs/mod.rs` claim: adopts client and job; then the first command is sent.
    Claim(AttemptId, Outcome),
    /// `jobs/provision.rs` seal: stores the profile; then the next command is sent.
    Seal(AttemptId, Outcome),
    /// `jobs/revoke.rs`: the job has come to its next step; then the next command is sent.
    Advance(AttemptId, Outcome),
    /// `jobs/attempt.rs` succeed, with what it changes of the client.
    Commit(AttemptId, Outcome),
    /// `jobs/attempt.rs` `try_failed`.
    Fail(AttemptId, Outcome),

    /// `vpn-host`: the command runs, from taking the lock to its commit point.
    Run(AttemptId),
    /// The same, and the OpenVPN server does not answer.
    RunDeaf(AttemptId),
    /// Without flock: the command looks.
    Check(AttemptId),

    /// `jobs/sweeper.rs` sweep: sees a job whose lease ran out.
    Note(JobId),
    /// `jobs/sweeper.rs` release.
    Sweep(JobId),
    /// `jobs/sweeper.rs` ring.
    Ring(JobId),

    /// The client's first packet reaches the OpenVPN server, which loads the CRL.
    Connect,
    /// The server sees the certificate: it is good by the CRL that was loaded.
    Connected,

    /// A fault: a worker sleeps past its leases.
    Stall(AttemptId),
    /// A fault: the queue delivers a ring that was answered once more.
    Double(JobId),
    /// A fault: FLUSHALL.
    Wipe,
    /// A fault: a worker dies, or drops its work because its lease has ended.
    Crash(AttemptId),
    /// A fault: SSH is given up; the command goes on.
    GiveUp(AttemptId),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = |outcome: &Outcome| if *outcome == Outcome::Lost { "; the reply to its COMMIT is lost" } else { "" };
        match self {
            Self::Ask(JobKind::Provision) => write!(f, "a person asks for the provision"),
            Self::Ask(JobKind::Revoke) => write!(f, "a person asks for the revocation"),
            Self::Load(job) => write!(f, "a worker answers the ring for {job}"),
            Self::Acquire(id) => write!(f, "{id} asks for the lock"),
            Self::Claim(id, outcome) => write!(f, "{id} claims its job{}", lost(outcome)),
            Self::Seal(id, outcome) => write!(f, "{id} takes the profile and stores it{}", lost(outcome)),
            Self::Advance(id, outcome) => write!(f, "{id} records the step{}", lost(outcome)),
            Self::Commit(id, outcome) => write!(f, "{id} records its success{}", lost(outcome)),
            Self::Fail(id, outcome) => write!(f, "{id} records its failure{}", lost(outcome)),
            Self::Run(id) => write!(f, "the host runs the command of {id}"),
            Self::RunDeaf(id) => write!(f, "FAULT: OpenVPN does not answer the host's command of {id}"),
            Self::Check(id) => write!(f, "the host checks the command of {id}"),
            Self::Note(job) => write!(f, "the sweeper sees that the claim on {job} has lapsed"),
            Self::Sweep(job) => write!(f, "the sweeper takes {job} from its worker"),
            Self::Ring(job) => write!(f, "the sweeper rings for {job}"),
            Self::Connect => write!(f, "the client begins a handshake"),
            Self::Connected => write!(f, "the handshake ends well: a session is open"),
            Self::Stall(id) => write!(f, "FAULT: {id} sleeps past its leases"),
            Self::Double(job) => write!(f, "FAULT: the ring for {job} is delivered twice"),
            Self::Wipe => write!(f, "FAULT: Redis loses everything"),
            Self::Crash(id) => write!(f, "FAULT: the worker of {id} dies"),
            Self::GiveUp(id) => write!(f, "FAULT: {id} gives SSH up; its command goes on"),
        }
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {}", self.0)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {}", self.0 + 1)
    }
}
