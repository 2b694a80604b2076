//! How much is followed live, so that nobody takes all the room.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_graphql::{ServerError, parser::types::OperationType};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vpn_core::domain::Caller;

use crate::{error::refusal, options::Limits};

/// An open WebSocket, or an open stream of events. Dropped, it makes room.
pub(crate) struct Connection {
    _permit: OwnedSemaphorePermit,
}

/// The room that is left.
pub(crate) struct Live {
    connections: Arc<Semaphore>,
    seats: Arc<Mutex<HashMap<String, usize>>>,
    seats_each: usize,
}

impl Live {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(limits.sockets)),
            seats: Arc::default(),
            seats_each: limits.principal_subscriptions,
        }
    }

    /// Room for one more connection that stays open.
    pub(crate) fn connection(&self) -> Result<Connection, ServerError> {
        let permit = Arc::clone(&self.connections).try_acquire_owned();
        let full = |_| refusal("TOO_MANY_CONNECTIONS", "too many connections are open: come back later");
        permit.map(|permit| Connection { _permit: permit }).map_err(full)
    }

    /// Room for one more subscription of this principal, over whichever connection and with whichever
    /// token. Operations of other kinds need none.
    pub(crate) fn seat(&self, kind: OperationType, caller: &Caller) -> Result<Option<Seat>, ServerError> {
        if kind != OperationType::Subscription {
            return Ok(None);
        }
        let principal = caller.principal.to_string();
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = seats.entry(principal.clone()).or_default();
        if *taken >= self.seats_each {
            let message = format!("`{principal}` follows {taken} things already: end some subscriptions first");
            return Err(refusal("TOO_MANY_SUBSCRIPTIONS", message));
        }
        *taken += 1;
        drop(seats);
        Ok(Some(Seat { principal, seats: Arc::clone(&self.seats) }))
    }
}

/// One subscription of a principal. Dropped, it makes room.
pub(crate) struct Seat {
    principal: String,
    seats: Arc<Mutex<HashMap<String, usize>>>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = seats.get_mut(&self.principal) {
            *taken -= 1;
            if *taken == 0 {
                seats.remove(&self.principal);
            }
        }
    }
}
