//! One operation on a socket, in a task of its own.

use std::net::IpAddr;

use async_graphql::{Response, ServerError, parser::types::OperationType};
use futures_util::StreamExt as _;
use serde_json::value::RawValue;
use tokio::{
    sync::mpsc,
    time::{error::Elapsed, timeout},
};
use tracing::Instrument as _;
use vpn_core::domain::{Caller, RequestId};
use vpn_core::secrecy::{ExposeSecret, SecretString};

use super::message::Close;
use crate::{
    answer,
    error::{self, GRAPHQL_VALIDATION_FAILED, SERVICE_UNAVAILABLE, TOO_MANY_ATTEMPTS, UNAUTHENTICATED, refusal},
    guard,
    http::Params,
    server::Server,
};

/// What an operation has to say to its socket.
pub(super) enum News {
    /// One answer.
    Next(Box<RawValue>),
    /// It was refused, and is over.
    Refused(Vec<ServerError>),
    /// It is over.
    Complete,
    /// The socket has to end.
    Close(Close),
}

/// An operation's news, and whose they are.
pub(super) struct Report {
    /// The peer's id for it.
    pub(super) id: String,
    /// Tells it from an earlier operation with the same id.
    pub(super) number: u64,
    pub(super) news: News,
}

/// An operation that is about to run.
pub(super) struct Operation {
    pub(super) server: Server,
    /// The token is looked at again for each operation: it may have ended since the socket was opened.
    pub(super) bearer: Option<SecretString>,
    /// Where the socket comes from.
    pub(super) address: Option<IpAddr>,
    pub(super) id: String,
    pub(super) number: u64,
    /// Small: when the peer does not read, this is what the operation waits for, and not memory.
    pub(super) reports: mpsc::Sender<Report>,
}

/// The socket is gone, or the operation has said its last word.
struct Over;

impl Operation {
    pub(super) async fn run(self, params: Params) {
        let request_id = self.server.api.request_id();
        let span = tracing::info_span!("operation", request.id = %request_id);
        // Whether it went well or not, there is nobody left to tell.
        let _ = self.attempt(params, request_id).instrument(span).await;
    }

    async fn attempt(&self, params: Params, id: RequestId) -> Result<(), Over> {
        let limits = &self.server.options.limits;
        let caller = self.authenticate(id).await?;
        let mut request = match params.into_request(self.server.options.operations.as_ref()) {
            Ok(request) => request,
            Err(error) => return self.refuse(vec![error], id).await,
        };
        let kind = match guard::admit(&mut request, &limits.document) {
            Ok(kind) => kind,
            Err(error) => return self.refuse(vec![error], id).await,
        };
        let _seat = match self.server.live.seat(kind, &caller) {
            Ok(seat) => seat,
            Err(error) => return self.refuse(vec![error], id).await,
        };
        let mut answers = self.server.api.subscribe(request, caller);
        let mut first = true;
        loop {
            let next = answers.next();
            let answer = if kind == OperationType::Subscription {
                Ok(next.await)
            } else {
                timeout(limits.operation, next).await
            };
            match answer {
                Ok(Some(answer)) => self.forward(answer, first.then_some(kind), id).await?,
                Ok(None) => return self.report(News::Complete).await,
                Err(Elapsed { .. }) => {
                    return self.refuse(vec![refusal("TIMEOUT", "the operation took too long")], id).await;
                }
            }
            first = false;
        }
    }

    async fn authenticate(&self, id: RequestId) -> Result<Caller, Over> {
        let bearer = self.bearer.as_ref().map(ExposeSecret::expose_secret);
        match self.server.api.authenticate(bearer, self.address, id).await {
            Ok(caller) => Ok(caller),
            Err(error) if error::code(&error) == Some(UNAUTHENTICATED) => {
                self.report(News::Close(Close::Forbidden)).await?;
                Err(Over)
            }
            Err(error) => {
                self.refuse(vec![error], id).await?;
                Err(Over)
            }
        }
    }

    /// Passes an answer on; `kind` comes with the first one. An operation that did not begin is told
    /// as an `error`, which ends it. A token that has ended, ends the operation and the socket.
    async fn forward(&self, mut answer: Response, kind: Option<OperationType>, id: RequestId) -> Result<(), Over> {
        answer::label(&mut answer, id);
        let ended = answer.errors.iter().any(|error| error::code(error) == Some(UNAUTHENTICATED));
        let refused = match kind {
            Some(OperationType::Subscription) => answer::did_not_begin(&answer),
            Some(_) => answer::is_request_error(&answer),
            None => false,
        };
        if ended {
            self.next(&answer).await?;
            self.report(News::Close(Close::Forbidden)).await?;
        } else if refused {
            self.report(News::Refused(answer.errors)).await?;
        } else {
            return self.next(&answer).await;
        }
        Err(Over)
    }

    async fn next(&self, answer: &Response) -> Result<(), Over> {
        let text = String::from_utf8(answer::encode(answer)).unwrap_or_default();
        match RawValue::from_string(text) {
            Ok(payload) => self.report(News::Next(payload)).await,
            Err(_) => self.report(News::Close(Close::Internal)).await,
        }
    }

    async fn refuse(&self, mut errors: Vec<ServerError>, id: RequestId) -> Result<(), Over> {
        for error in &mut errors {
            answer::label_error(error, GRAPHQL_VALIDATION_FAILED, id);
        }
        self.report(News::Refused(errors)).await
    }

    async fn report(&self, news: News) -> Result<(), Over> {
        let report = Report { id: self.id.clone(), number: self.number, news };
        self.reports.send(report).await.map_err(|_| Over)
    }
}

/// How a socket ends whose token is not accepted.
pub(super) fn close_for(error: &ServerError) -> Close {
    match error::code(error) {
        Some(UNAUTHENTICATED) => Close::Forbidden,
        Some(TOO_MANY_ATTEMPTS) => Close::TooManyAttempts,
        Some(SERVICE_UNAVAILABLE) => Close::TryAgain,
        _ => Close::Internal,
    }
}
