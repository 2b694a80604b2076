//! The boundaries between the steps of a job: where a crash has to change nothing in the end.
//!
//! `reach` stands at each of them. With the feature `crash-points`, and only in a build with debug
//! assertions, a variable makes the worker die, fail or stop there; in every other build it does
//! nothing and leaves nothing behind.
//!
//! ```text
//! VPN_TESTS_CRASH_AT=issued=die                  SIGKILL at the first pass
//! VPN_TESTS_CRASH_AT=claimed=fail,answered#2=die a transient error there, then SIGKILL at the second pass here
//! VPN_TESTS_CRASH_AT=claimed=stop                SIGSTOP: to be continued by whoever is watching
//! VPN_TESTS_CRASH_AT=issued=repeat               the call to the host before it is made twice
//! VPN_TESTS_PASSES=FILE                          the name of every boundary that is passed, a line each
//! VPN_TESTS_HURRY=1500                           leases of so many milliseconds, and the rest in proportion
//! ```

#[cfg(all(feature = "crash-points", debug_assertions))]
mod armed;

#[cfg(all(feature = "crash-points", debug_assertions))]
pub use armed::hurry;
#[cfg(all(feature = "crash-points", debug_assertions))]
pub(crate) use armed::{Struck, reach, repeats};
#[cfg(not(all(feature = "crash-points", debug_assertions)))]
#[cfg_attr(not(feature = "worker"), expect(unused_imports, reason = "only jobs have steps that are repeated"))]
pub(crate) use unarmed::{Struck, reach, repeats};

/// The one list: name in the code, name in the variable, what has just happened.
macro_rules! boundaries {
    ($($name:ident = $text:literal: $what:literal,)+) => {
        /// A boundary, named after what has just happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(not(feature = "worker"), expect(dead_code, reason = "most are steps of jobs"))]
        #[cfg_attr(not(feature = "crash-points"), expect(unreachable_pub, reason = "public where tests need it"))]
        pub enum Boundary {
            $(#[doc = $what] $name,)+
        }

        #[cfg(feature = "crash-points")]
        impl Boundary {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As the variable has it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

boundaries! {
    // In the server.
    Asked = "asked": "A job was committed, and nobody was rung for it.",
    // Every job.
    Loaded = "loaded": "A worker was rung and has looked at the job; it has no lock.",
    Locked = "locked": "The client's lock was taken; SQL does not know.",
    Claiming = "claiming": "Client and job are adopted, in a transaction that is not committed.",
    Claimed = "claimed": "The claim is committed; nothing was sent to the host.",
    RequestSending = "request-sending": "A channel to the host is open; the request was not sent.",
    RequestSent = "request-sent": "A request was sent to the host; no reply was read.",
    Releasing = "releasing": "The attempt is over; its lock is still held.",
    Released = "released": "The lock was given back.",
    Answered = "answered": "All is done; the queue does not know.",
    // Provision.
    Issued = "issued": "The host has issued; nothing is stored.",
    Sealing = "sealing": "The profile is sealed, in a transaction that is not committed.",
    Sealed = "sealed": "The sealed profile is stored; the host has the private key too.",
    Acknowledged = "acknowledged": "The host has forgotten the private key; the client is not active.",
    Activating = "activating": "The client is active, in a transaction that is not committed.",
    Activated = "activated": "The client is active and its job done.",
    // Revoke.
    Tombstoned = "tombstoned": "The host has published the CRL; SQL does not know.",
    Publishing = "publishing": "The step after that is noted, in a transaction that is not committed.",
    Published = "published": "SQL knows of the CRL; the sessions go on.",
    Killed = "killed": "The sessions were ended; SQL does not know.",
    Disconnecting = "disconnecting": "The step after that is noted, in a transaction that is not committed.",
    Disconnected = "disconnected": "SQL knows that the sessions were ended; the last look at them is to come.",
    Revoking = "revoking": "The client is revoked, in a transaction that is not committed.",
    Revoked = "revoked": "The client is revoked and the job done.",
    // Attempts that fail.
    Recording = "recording": "Why an attempt failed is written, in a transaction that is not committed.",
    Recorded = "recorded": "Why an attempt failed is committed; the lock is still held.",
    // The job that waited behind another one.
    NextTaken = "next-taken": "The ring for the job that waited is noted, and not yet sent.",
    NextRung = "next-rung": "The job that waited was rung for.",
    // The sweeper.
    Requeueing = "requeueing": "A job is taken from a lost worker, in a transaction that is not committed.",
    Requeued = "requeued": "A job was taken from a lost worker; nobody was rung for it.",
    RingTaken = "ring-taken": "The sweeper's ring is noted, and not yet sent.",
    RingSent = "ring-sent": "The sweeper has rung.",
}

#[cfg(not(all(feature = "crash-points", debug_assertions)))]
mod unarmed {
    use super::Boundary;

    /// Never made: nothing strikes here.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Struck {}

    #[expect(clippy::unnecessary_wraps, reason = "with crash points it can fail")]
    pub(crate) const fn reach(_: Boundary) -> Result<(), Struck> {
        Ok(())
    }

    #[cfg_attr(not(feature = "worker"), expect(dead_code, reason = "only jobs have steps that are repeated"))]
    pub(crate) const fn repeats(_: Boundary) -> bool {
        false
    }
}
