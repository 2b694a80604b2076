//! GraphQL over Server-Sent Events, distinct connections mode: one request, one operation, one stream.
//!
//! <https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverSSE.md>
//!
//! Nothing is collected for a peer that reads slowly: the stream is asked for its next event when there
//! is room for it, and [`serve`](crate::serve) gives a connection up on which nothing moves.

use std::convert::Infallible;

use async_graphql::{Request, Response as Answer, parser::types::OperationType};
use axum::{
    body::{Body, Bytes},
    http::Response,
};
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tracing::Instrument as _;
use vpn_core::domain::{Caller, RequestId};

use super::{refusal::Refusal, reply};
use crate::{
    answer,
    error::{self, UNAUTHENTICATED, refusal},
    live::{Connection, Seat},
    server::Server,
};

/// A comment: the peer learns at once that it is heard, and later that the connection lives.
const ALIVE: &[u8] = b":\n\n";
const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";

/// Runs the operation; its answers are the events.
pub(super) fn serve(
    server: &Server,
    id: RequestId,
    request: Request,
    caller: Caller,
    kind: OperationType,
) -> Result<Response<Body>, Refusal> {
    let connection = server.live.connection().map_err(Refusal::too_many)?;
    let seat = server.live.seat(kind, &caller).map_err(Refusal::too_many)?;
    let answers = server.api.subscribe(request, caller);
    let operation = Operation { server: server.clone(), id, answers, endless: kind == OperationType::Subscription };
    Ok(reply::events(Body::from_stream(operation.events((connection, seat)))))
}

struct Operation {
    server: Server,
    id: RequestId,
    answers: BoxStream<'static, Answer>,
    /// Whether it may take as long as it likes.
    endless: bool,
}

impl Operation {
    /// Ends with `complete`, but not when the server ends: the peer is to come back with its last cursor.
    fn events(mut self, held: (Connection, Option<Seat>)) -> impl Stream<Item = Result<Bytes, Infallible>> {
        let limits = self.server.options.limits;
        let mut beats = interval_at(Instant::now() + limits.ping_every, limits.ping_every);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (deadline, shutdown) = (Instant::now() + limits.operation, self.server.lifetime.shutdown.clone());
        // What is logged on the way belongs to the request.
        let span = tracing::Span::current();
        async_stream::stream! {
            let _held = held;
            yield Ok(Bytes::from_static(ALIVE));
            loop {
                let answer = tokio::select! {
                    () = shutdown.cancelled() => return,
                    answer = self.answers.next().instrument(span.clone()) => answer,
                    _ = beats.tick() => {
                        yield Ok(Bytes::from_static(ALIVE));
                        continue;
                    }
                    () = sleep_until(deadline), if !self.endless => Some(too_slow()),
                };
                let Some(answer) = answer else { break };
                let last = is_last(&answer);
                yield Ok(self.next(answer));
                if last {
                    break;
                }
            }
            yield Ok(Bytes::from_static(COMPLETE));
        }
    }

    /// The event that an answer is. JSON has no line breaks of its own.
    fn next(&self, mut answer: Answer) -> Bytes {
        answer::label(&mut answer, self.id);
        let mut event = b"event: next\ndata: ".to_vec();
        event.extend(answer::encode(&answer));
        event.extend(b"\n\n");
        event.into()
    }
}

/// Whether nothing can follow: the token has ended, or the operation was given up.
fn is_last(answer: &Answer) -> bool {
    answer.errors.iter().any(|error| matches!(error::code(error), Some(UNAUTHENTICATED | "TIMEOUT")))
}

fn too_slow() -> Answer {
    Answer::from_errors(vec![refusal("TIMEOUT", "the operation took too long")])
}
