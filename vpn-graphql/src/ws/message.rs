//! The messages of graphql-transport-ws, and the codes with which it closes.
//!
//! <https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md>

use async_graphql::ServerError;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::http::Params;

/// The subprotocol's name.
pub(super) const PROTOCOL: &str = "graphql-transport-ws";

/// What a peer says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Incoming {
    ConnectionInit {
        #[serde(default)]
        payload: Option<Map<String, Value>>,
    },
    Subscribe {
        id: String,
        payload: Box<Params>,
    },
    Complete {
        id: String,
    },
    Ping {
        #[serde(default)]
        payload: Option<Map<String, Value>>,
    },
    Pong {},
}

/// What we say.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Outgoing<'a> {
    ConnectionAck,
    Next {
        id: &'a str,
        payload: &'a RawValue,
    },
    Error {
        id: &'a str,
        payload: &'a [ServerError],
    },
    Complete {
        id: &'a str,
    },
    Ping,
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Map<String, Value>>,
    },
}

impl Outgoing<'_> {
    pub(super) fn to_message(&self) -> Message {
        // Nothing in it can fail to become JSON.
        Message::Text(serde_json::to_string(self).unwrap_or_default().into())
    }
}

/// Why a socket is closed. The 44… codes are the subprotocol's, the others RFC 6455's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// 1001: the server ends.
    GoingAway,
    /// 1011: a fault of ours.
    Internal,
    /// 1013: a part of the service is out of reach.
    TryAgain,
    /// 1013: the peer reads too slowly. It may come back with its last cursor.
    TooSlow,
    /// 4400: no message of the protocol, or one that is too large.
    BadMessage,
    /// 4401: an operation before `connection_ack`.
    Unauthorized,
    /// 4403: the token is wrong, or has ended.
    Forbidden,
    /// 4406: another subprotocol.
    Subprotocol,
    /// 4408: no `connection_init` in time.
    InitTimeout,
    /// 4408: no answer to a ping.
    Silent,
    /// 4409: an operation's id is in use.
    DuplicateId,
    /// 4429: a second `connection_init`.
    SecondInit,
    /// 4429: too many attempts to sign in failed.
    TooManyAttempts,
}

impl Close {
    /// Code and reason; a reason has at most 123 bytes.
    pub(super) const fn code_and_reason(self) -> (u16, &'static str) {
        match self {
            Self::GoingAway => (1001, "The server is shutting down"),
            Self::Internal => (1011, "Internal error"),
            Self::TryAgain => (1013, "Service unavailable"),
            Self::TooSlow => (1013, "Messages are read too slowly"),
            Self::BadMessage => (4400, "Invalid message"),
            Self::Unauthorized => (4401, "Unauthorized"),
            Self::Forbidden => (4403, "Forbidden"),
            Self::Subprotocol => (4406, "Subprotocol not acceptable"),
            Self::InitTimeout => (4408, "Connection initialisation timeout"),
            Self::Silent => (4408, "Ping timeout"),
            Self::DuplicateId => (4409, "Subscriber already exists"),
            Self::SecondInit => (4429, "Too many initialisation requests"),
            Self::TooManyAttempts => (4429, "Too many attempts to sign in"),
        }
    }

    pub(super) fn to_message(self) -> Message {
        let (code, reason) = self.code_and_reason();
        Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) }))
    }
}
