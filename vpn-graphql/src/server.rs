//! What every handler shares, and the end of the server.

use std::{ops::Deref, sync::Arc};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{api::Api, health::ReadinessCache, live::Live, options::HttpOptions};

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Server(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) api: Arc<dyn Api>,
    pub(crate) options: HttpOptions,
    pub(crate) lifetime: Lifetime,
    pub(crate) readiness: ReadinessCache,
    pub(crate) live: Live,
}

impl Server {
    pub(crate) fn new(api: Arc<dyn Api>, options: HttpOptions, lifetime: Lifetime) -> Self {
        let live = Live::new(&options.limits);
        Self(Arc::new(Shared { api, options, lifetime, readiness: ReadinessCache::default(), live }))
    }
}

impl Deref for Server {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The end of the server, as its parts see it: who is told, and whom it waits for.
#[derive(Clone, Debug, Default)]
pub struct Lifetime {
    /// Cancelled when the server is to end.
    pub shutdown: CancellationToken,
    /// Open connections, and open WebSockets, which outlive the connections that they began as.
    pub(crate) open: TaskTracker,
}

impl Lifetime {
    /// It ends when `shutdown` is cancelled.
    #[must_use]
    pub fn until(shutdown: CancellationToken) -> Self {
        Self { shutdown, open: TaskTracker::new() }
    }
}
