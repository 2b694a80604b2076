//! How a worker divides what it does at once among the VPN hosts, so that one which is slow or dead
//! delays no other.
//!
//! A job that finds its host's share taken is not begun, and loses nothing by it: it stays queued, and is
//! rung for again when a job on its host has ended here. Where no such end comes (the job was another
//! worker's, or nothing was done because a lock was held), the sweeper rings.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::domain::ServerId;

/// The shares of one worker.
#[derive(Clone, Debug)]
pub struct Shares {
    /// Jobs at once on one host, where there are others: half of all.
    per_host: usize,
    /// Jobs at once on all hosts together that did not answer when they were last asked: a quarter of all.
    silent: usize,
    hosts: Arc<Mutex<HashMap<ServerId, Host>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Host {
    busy: usize,
    silent: bool,
    turned_away: bool,
}

/// A job's share, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    shares: Shares,
    server: ServerId,
}

impl Shares {
    /// Of a worker that runs so many jobs at once.
    #[must_use]
    pub fn of(concurrency: usize) -> Self {
        Self { per_host: concurrency.div_ceil(2), silent: (concurrency / 4).max(1), hosts: Arc::default() }
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<ServerId, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A share for a job on this host; `None` when it has to wait. A host that is `alone` disturbs nobody.
    pub(super) fn take(&self, server: ServerId, alone: bool) -> Option<Share> {
        let mut hosts = self.hosts();
        let free = alone || self.is_free(&hosts, server);
        let host = hosts.entry(server).or_default();
        host.turned_away |= !free;
        host.busy += usize::from(free);
        free.then(|| Share { shares: self.clone(), server })
    }

    fn is_free(&self, hosts: &HashMap<ServerId, Host>, server: ServerId) -> bool {
        let host = hosts.get(&server).copied().unwrap_or_default();
        let silent: usize = hosts.values().filter(|host| host.silent).map(|host| host.busy).sum();
        host.busy < self.per_host && (!host.silent || silent < self.silent)
    }

    /// Whether the host answered when it was asked.
    pub(super) fn note(&self, server: ServerId, answered: bool) {
        self.hosts().entry(server).or_default().silent = !answered;
    }

    /// A host on which jobs were turned away, and for one of which there is a share now.
    pub(super) fn next(&self) -> Option<ServerId> {
        let hosts = self.hosts();
        let mut waiting = hosts.iter().filter(|(server, host)| host.turned_away && self.is_free(&hosts, **server));
        waiting.next().map(|(server, _)| *server)
    }

    /// Nothing waits there any more.
    pub(super) fn none_waits(&self, server: ServerId) {
        self.hosts().entry(server).or_default().turned_away = false;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(host) = self.shares.hosts().get_mut(&self.server) {
            host.busy -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Ambient;

    fn servers<const N: usize>() -> [ServerId; N] {
        let ambient = Ambient::system();
        std::array::from_fn(|_| ServerId::generate(&ambient))
    }

    #[test]
    fn a_host_takes_half_and_leaves_the_rest_to_others() {
        let (shares, [one, other]) = (Shares::of(8), servers());
        let taken: Vec<_> = (0..8).map_while(|_| shares.take(one, false)).collect();
        assert_eq!(taken.len(), 4);
        assert!(shares.take(other, false).is_some());
        assert_eq!(shares.next(), None, "its share is taken");
        drop(taken);
        let again = shares.take(one, false);
        assert_eq!(shares.next(), Some(one), "there may be more that wait");
        drop(again);
        shares.none_waits(one);
        assert_eq!(shares.next(), None);
    }

    #[test]
    fn hosts_that_do_not_answer_share_a_quarter() {
        let (shares, [one, other, well]) = (Shares::of(8), servers());
        for silent in [one, other] {
            shares.note(silent, false);
        }
        let taken = [shares.take(one, false), shares.take(other, false)];
        assert!(taken.iter().all(Option::is_some));
        assert!(shares.take(one, false).is_none() && shares.take(other, false).is_none());
        assert!(shares.take(well, false).is_some());
        shares.note(one, true);
        assert!(shares.take(one, false).is_some(), "it has answered");
        assert!(shares.take(other, false).is_some(), "and counts among the silent no more");
    }

    #[test]
    fn a_host_that_is_alone_takes_all_and_every_host_takes_one() {
        let (shares, [one]) = (Shares::of(8), servers());
        shares.note(one, false);
        assert_eq!((0..8).map_while(|_| shares.take(one, true)).collect::<Vec<_>>().len(), 8);
        assert!(Shares::of(1).take(one, false).is_some());
    }
}
