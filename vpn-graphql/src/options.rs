//! What can be chosen about the HTTP server, and the limits it keeps.

use std::time::Duration;

use vpn_core::config::Network;

use crate::{guard::DocumentLimits, operations::Operations};

/// What can be chosen about the HTTP server.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Whether the page at `/graphiql` is served. It is of no use without a token.
    pub graphiql: bool,
    /// Origins (`https://console.example.org`) whose pages may open WebSockets, beside our own.
    pub allowed_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// When given, no other operations are run.
    pub operations: Option<Operations>,
    /// Limits.
    pub limits: Limits,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            graphiql: true,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            operations: None,
            limits: Limits::default(),
        }
    }
}

/// A limit on everything that a caller could make long, large or many.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A document.
    pub document: DocumentLimits,
    /// The body of an HTTP request, in bytes.
    pub body_bytes: usize,
    /// How long the body may take to arrive.
    pub body_wait: Duration,
    /// How long a query or a mutation may run.
    pub operation: Duration,
    /// WebSockets and streams of events at a time.
    pub sockets: usize,
    /// Subscriptions at a time of one principal, on all connections together.
    pub principal_subscriptions: usize,
    /// Operations at a time on one WebSocket.
    pub socket_operations: usize,
    /// One message on a WebSocket, in bytes.
    pub message_bytes: usize,
    /// How long a WebSocket may stay open without a `connection_init`.
    pub init_wait: Duration,
    /// How often a WebSocket's peer is pinged; it is given up when it was silent for so long. A stream
    /// of events has a comment as often.
    pub ping_every: Duration,
    /// How long a WebSocket's peer may take to read one message.
    pub write_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document: DocumentLimits::default(),
            body_bytes: 256 * 1024,
            body_wait: Duration::from_secs(10),
            operation: Duration::from_secs(10),
            sockets: 4_096,
            principal_subscriptions: 256,
            socket_operations: 32,
            message_bytes: 64 * 1024,
            init_wait: Duration::from_secs(5),
            ping_every: Duration::from_secs(15),
            write_wait: Duration::from_secs(10),
        }
    }
}
