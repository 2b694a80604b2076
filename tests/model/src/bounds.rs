//! How far to look.

/// What may go wrong, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A worker sleeps past its leases and wakes up later.
    pub stalls: u8,
    /// Redis loses everything: locks, counters, rings.
    pub wipes: u8,
    /// A worker dies.
    pub crashes: u8,
    /// A worker gives SSH up while its command goes on.
    pub given_up: u8,
    /// SQL commits, and the worker does not learn of it.
    pub lost_commits: u8,
    /// The OpenVPN server does not answer.
    pub deaf: u8,
    /// The queue delivers a ring twice.
    pub doubled: u8,
    /// A person asks for a job again: one that failed, or one that is under way.
    pub asked_again: u8,
}

/// Where a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The client is pending, and was just asked to be provisioned.
    Pending,
    /// The client is active and may connect.
    Active,
}

/// How far to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Where it begins.
    pub start: Start,
    /// Jobs at once, by all workers together.
    pub workers: u8,
    /// How often each job may be claimed.
    pub max_attempts: u8,
    /// Whether the client connects.
    pub sessions: bool,
    /// What may go wrong.
    pub faults: Faults,
}

impl Bounds {
    /// The whole life of a client: 2 workers, 4 attempts (2 at either job), and one each of a lost lease, a Redis
    /// that forgot, a crash, SSH given up, and a ring that comes twice.
    pub const LIFE: Self = Self {
        start: Start::Pending,
        workers: 2,
        max_attempts: 2,
        sessions: false,
        faults: Faults {
            stalls: 1,
            wipes: 1,
            crashes: 1,
            given_up: 1,
            doubled: 1,
            lost_commits: 0,
            deaf: 0,
            asked_again: 0,
        },
    };

    /// The end of a client that connects while it is being shut out.
    pub const END: Self = Self {
        start: Start::Active,
        sessions: true,
        max_attempts: 4,
        faults: Faults { deaf: 1, doubled: 0, ..Self::LIFE.faults },
        ..Self::LIFE
    };

    /// A life with fewer faults of the usual kinds, in which commits are lost and persons ask again.
    pub const ASKED_AGAIN: Self = Self {
        faults: Faults {
            stalls: 1,
            wipes: 0,
            crashes: 0,
            given_up: 1,
            lost_commits: 1,
            deaf: 0,
            doubled: 1,
            asked_again: 1,
        },
        ..Self::LIFE
    };

    /// More than a build waits for.
    pub const DEEP: &[(&str, Self)] = &[
        ("life, 6 attempts", Self { max_attempts: 3, ..Self::LIFE }),
        ("life, 3 workers", Self { workers: 3, faults: Faults { doubled: 0, ..Self::LIFE.faults }, ..Self::LIFE }),
        ("life, two crashes", Self { faults: Faults { crashes: 2, ..Self::LIFE.faults }, ..Self::LIFE }),
        ("life, a lost commit", Self { faults: Faults { lost_commits: 1, ..Self::LIFE.faults }, ..Self::LIFE }),
        ("asked again, Redis wiped", Self { faults: Faults { wipes: 1, ..Self::ASKED_AGAIN.faults }, ..Self::LIFE }),
        ("end, a lost commit", Self { faults: Faults { lost_commits: 1, ..Self::END.faults }, ..Self::END }),
    ];
}
