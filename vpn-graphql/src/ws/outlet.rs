//! The sending half of a socket.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::{SinkExt as _, stream::SplitSink};
use tokio::time::timeout;

use super::message::{Close, Outgoing};

/// The sending half of a socket, with a limit on the peer's patience.
pub(super) struct Outlet {
    sink: SplitSink<WebSocket, Message>,
    wait: Duration,
}

/// Nothing more can be said.
pub(super) enum Blocked {
    /// The peer is gone.
    Gone,
    /// The peer does not read. What waits for it is not kept any longer.
    TooSlow,
}

impl Outlet {
    pub(super) fn new(sink: SplitSink<WebSocket, Message>, wait: Duration) -> Self {
        Self { sink, wait }
    }

    pub(super) async fn say(&mut self, message: &Outgoing<'_>) -> Result<(), Blocked> {
        match timeout(self.wait, self.sink.send(message.to_message())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Blocked::Gone),
            Err(_) => Err(Blocked::TooSlow),
        }
    }

    /// Says why the socket ends, behind what still waits for the peer. Whether it hears that is its own affair.
    pub(super) async fn close(&mut self, why: Close) {
        let _ = timeout(self.wait, self.sink.send(why.to_message())).await;
    }
}
