//! What the code checks, one by one, so that each can be taken out.

use std::fmt;

macro_rules! guards {
    ($($(#[doc = $doc:literal])+ $name:ident, $slug:literal, $place:literal;)+) => {
        /// A condition of the protocol that keeps something from going wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Guard {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Guard {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As on the command line.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug),+ }
            }

            /// Where it is in the code.
            #[must_use]
            pub const fn place(self) -> &'static str {
                match self { $(Self::$name => $place),+ }
            }

            /// What it says.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+)),+ }
            }
        }
    };
}

guards! {
    /// Redis gives a lock to one attempt at a time.
    LockHeld, "lock-held", "lock/acquire.lua: `{0, PTTL}`";
    /// A new token is above the fence that SQL has seen.
    FloorFromSql, "floor-from-sql", "lock/acquire.lua: `math.max(1, floor + 1 - last)`";

    /// Client and job are adopted under a strictly newer token.
    StrictAdopt, "strict-adopt", "store/clients.rs adopt_client, store/jobs.rs claim_job: `fence < :token`";
    /// A claim takes a job that is queued, and no other.
    QueuedAtClaim, "queued-at-claim", "store/jobs.rs claim_job: `state = 'queued'`";
    /// No provision is claimed once the revocation was asked for.
    RevocationAtClaim, "revocation-at-claim", "store/clients.rs adopt_client: `revoke_requested_at IS NULL`";
    /// No provision is claimed unless the client is pending.
    PendingAtClaim, "pending-at-claim", "store/clients.rs adopt_client: `status = 'pending'`";
    /// Attempts are counted by the claim, not by its outcome.
    CountAtClaim, "count-at-claim", "store/jobs.rs claim_job: `attempts = attempts + 1`";
    /// A job whose attempts are spent is not queued again.
    LimitAttempts, "limit-attempts", "jobs/attempt.rs try_failed, store/jobs.rs claim_job and release_lapsed_job: `attempts < max_attempts`";

    /// What is written later is written under the token that adopted.
    FenceAtCommit, "fence-at-commit", "store/{jobs,clients,profiles}.rs: `fence = :token`";
    /// What is written later is written while the job runs.
    RunningAtCommit, "running-at-commit", "store/jobs.rs: `state = 'running'`";
    /// A provision goes no step further once the revocation was asked for.
    RevocationAtAdvance, "revocation-at-advance", "store/jobs.rs advance_job: `revoke_requested_at IS NULL`";
    /// No client is activated once its revocation was asked for.
    RevocationAtActivate, "revocation-at-activate", "store/clients.rs activate_client: `revoke_requested_at IS NULL`";
    /// Only a pending client is activated.
    PendingAtActivate, "pending-at-activate", "store/clients.rs activate_client: `status = 'pending'`";

    /// A client has one unfinished job of a kind.
    UniqueOpenJob, "unique-open-job", "migrations: index `jobs_open`; service/work.rs no_open_job";
    /// A revocation cancels the provision that waits.
    CancelWaiting, "cancel-waiting", "service/work.rs cancel_waiting";
    /// A provision that was overtaken is not queued again.
    OvertakenEnds, "overtaken-ends", "jobs/attempt.rs try_failed; jobs/sweeper.rs release";
    /// A provision that cannot be claimed because it was overtaken is canceled.
    CancelOvertaken, "cancel-overtaken", "jobs/mod.rs cancel_if_overtaken";

    /// The sweeper takes a job only if it still runs, under the same fence, and its lease is out.
    SweeperRechecks, "sweeper-rechecks", "store/jobs.rs release_lapsed_job: `state = 'running' AND fence = … AND lease_until_at < …`";
    /// The sweeper takes jobs from lost workers.
    SweeperReleases, "sweeper-releases", "jobs/sweeper.rs release";
    /// The sweeper rings for jobs whose ring was lost.
    SweeperRings, "sweeper-rings", "jobs/sweeper.rs ring_due";

    /// The host runs one request at a time: what it checked is so until it has acted.
    Flock, "flock", "lib/state.sh state_lock";
    /// The host refuses a token below the one it has stored.
    HostFence, "host-fence", "lib/fence.sh: `[ \"$fence\" -lt \"$fence_token\" ]`";
    /// The host takes an equal token from the same attempt only.
    HostSameAttempt, "host-same-attempt", "lib/fence.sh: `[ \"$attempt\" = \"$fence_attempt\" ]`";
    /// Nothing is issued for a serial that is revoked.
    Tombstone, "tombstone", "lib/issue.sh verb_issue: `[ ! -e \"revoked/$serial\" ]`";
    /// A certificate that was issued is given again, not made again.
    Replay, "replay", "lib/issue.sh verb_issue: issue_replay";
    /// The serial is chosen and stored before the first attempt, one for a client's life.
    SerialFirst, "serial-first", "service/clients.rs; store/clients.rs insert_client";

    /// The profile is stored before the host is told to forget the key.
    SealFirst, "seal-first", "jobs/provision.rs run: seal, then acknowledge";
    /// The host is told to forget the key.
    Acknowledge, "acknowledge", "jobs/provision.rs run: acknowledge";
    /// A provision ends when the host has forgotten a key that the platform does not have.
    KeyLost, "key-lost", "jobs/provision.rs seal: `StepError::KeyLost`";

    /// The CRL is published before sessions are ended.
    CrlFirst, "crl-first", "jobs/revoke.rs run: revoke, then end_sessions";
    /// Sessions are ended once more, for a handshake that was under way.
    Settle, "settle", "jobs/revoke.rs run: the second end_sessions";
    /// The second time is late enough: handshakes that began under the old CRL have ended by then.
    SettleOutlasts, "settle-outlasts", "vpn-scripts sessions began_before: kill ends handshakes of the old CRL";
    /// Sessions count as ended when the OpenVPN server said so.
    SessionsProven, "sessions-proven", "host/mod.rs proves_no_session";
}

impl Guard {
    /// By its [`slug`](Self::slug).
    #[must_use]
    pub fn by_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|guard| guard.slug() == slug)
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

/// The guards that are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards(u64);

impl Guards {
    /// Every guard: the protocol as it is.
    #[must_use]
    pub const fn all() -> Self {
        Self(u64::MAX)
    }

    /// The protocol without these.
    #[must_use]
    pub fn without(guards: &[Guard]) -> Self {
        guards.iter().fold(Self::all(), |left, guard| Self(left.0 & !(1 << *guard as u64)))
    }

    /// Whether this one is in force.
    #[must_use]
    pub const fn has(self, guard: Guard) -> bool {
        self.0 & (1 << guard as u64) != 0
    }
}
