//! A transport that fails on demand, in front of a real one: for tests of what is done about it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Boxed, HostErrorKind, Output, Request, Transport};
use crate::domain::Server;

/// How the next call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing reaches the host.
    Unreachable,
    /// The host does it, and the reply is lost.
    ReplyLost,
    /// The host does it, and the reply comes after [`FaultyTransport::release`].
    ReplyHeld,
}

/// The transport.
pub struct FaultyTransport {
    inner: Arc<dyn Transport>,
    planned: Mutex<VecDeque<(&'static str, Fault)>>,
    calls: Mutex<Vec<&'static str>>,
    released: tokio::sync::Semaphore,
}

impl FaultyTransport {
    /// In front of this transport. Without a plan it changes nothing.
    #[must_use]
    pub fn before(inner: Arc<dyn Transport>) -> Self {
        Self { inner, planned: Mutex::default(), calls: Mutex::default(), released: tokio::sync::Semaphore::new(0) }
    }

    /// The next call of this verb that has no fault before it in the plan fails like this.
    pub fn plan(&self, verb: &'static str, fault: Fault) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).push_back((verb, fault));
    }

    /// Lets one held reply go.
    pub fn release(&self) {
        self.released.add_permits(1);
    }

    /// The verbs that were called so far, failed ones included.
    #[must_use]
    pub fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next_fault(&self, verb: &'static str) -> Option<Fault> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(verb);
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let at = planned.iter().position(|(of, _)| *of == verb)?;
        planned.remove(at).map(|(_, fault)| fault)
    }
}

impl Transport for FaultyTransport {
    fn run<'a>(&'a self, server: &'a Server, request: &'a Request) -> Boxed<'a, Result<Output, HostErrorKind>> {
        Box::pin(async move {
            let fault = self.next_fault(request.verb());
            if fault == Some(Fault::Unreachable) {
                return Err(HostErrorKind::Unreachable("as planned by a test".to_owned()));
            }
            let output = self.inner.run(server, request).await?;
            match fault {
                Some(Fault::ReplyHeld) => {
                    let closed = |_| HostErrorKind::Interrupted("the transport is gone".to_owned());
                    self.released.acquire().await.map_err(closed)?.forget();
                    Ok(output)
                }
                Some(_) => Err(HostErrorKind::Interrupted("as planned by a test".to_owned())),
                None => Ok(output),
            }
        })
    }
}
