//! One socket, from its first message to its close.

use std::{collections::HashMap, net::IpAddr, pin::Pin, time::Duration};

use axum::{
    Error,
    extract::ws::{Message, WebSocket},
};
use futures_util::{StreamExt as _, stream::SplitStream};
use serde_json::{Map, Value};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep, timeout},
};
use vpn_core::secrecy::{ExposeSecret, SecretString};

use super::{
    message::{Close, Incoming, Outgoing, PROTOCOL},
    operation::{News, Operation, Report, close_for},
    outlet::{Blocked, Outlet},
};
use crate::{answer, auth, error::refusal, http::Params, server::Server};

/// How many answers wait for a peer that is busy reading.
const WAITING: usize = 16;

/// How a connection ends.
enum End {
    /// By our decision.
    Close(Close),
    /// By the peer's.
    Gone,
}

impl From<Close> for End {
    fn from(why: Close) -> Self {
        Self::Close(why)
    }
}

impl From<Blocked> for End {
    fn from(blocked: Blocked) -> Self {
        match blocked {
            Blocked::Gone => Self::Gone,
            Blocked::TooSlow => Self::Close(Close::TooSlow),
        }
    }
}

/// Serves a socket until it ends.
pub(super) async fn serve(socket: WebSocket, server: Server, address: Option<IpAddr>) {
    let spoken = socket.protocol().is_some_and(|protocol| protocol.as_bytes() == PROTOCOL.as_bytes());
    let (sink, mut incoming) = socket.split();
    let outlet = Outlet::new(sink, server.options.limits.write_wait);
    let mut connection = Connection::new(server, outlet, address);
    let end = if spoken { connection.run(&mut incoming).await } else { End::Close(Close::Subprotocol) };
    let Connection { mut outlet, running, .. } = connection;
    drop(running);
    if let End::Close(why) = end {
        outlet.close(why).await;
        // Until the peer has answered, or it would see 1006 instead of our code.
        let _ = timeout(Duration::from_secs(1), async { while let Some(Ok(_)) = incoming.next().await {} }).await;
    }
}

/// Who is at the other end.
enum Peer {
    /// Not known yet; it has until then to say.
    Unknown(Pin<Box<Sleep>>),
    /// Known by this token.
    Known(Option<SecretString>),
}

struct Connection {
    server: Server,
    /// Where it comes from.
    address: Option<IpAddr>,
    outlet: Outlet,
    peer: Peer,
    /// Whether anything was heard since the last ping.
    heard: bool,
    /// Running operations: their number, and how to stop them.
    operations: HashMap<String, (u64, AbortHandle)>,
    count: u64,
    running: JoinSet<()>,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
}

impl Connection {
    fn new(server: Server, outlet: Outlet, address: Option<IpAddr>) -> Self {
        Self {
            peer: Peer::Unknown(Box::pin(sleep(server.options.limits.init_wait))),
            server,
            outlet,
            address,
            heard: true,
            operations: HashMap::new(),
            count: 0,
            running: JoinSet::new(),
            reports: mpsc::channel(WAITING),
        }
    }

    async fn run(&mut self, incoming: &mut SplitStream<WebSocket>) -> End {
        let mut pings = pings(self.server.options.limits.ping_every);
        let shutdown = self.server.lifetime.shutdown.clone();
        loop {
            let outcome = tokio::select! {
                () = shutdown.cancelled() => Err(Close::GoingAway.into()),
                () = init_deadline(&mut self.peer) => Err(Close::InitTimeout.into()),
                _ = pings.tick() => self.ping().await,
                Some(report) = self.reports.1.recv() => self.tell(report).await,
                Some(_) = self.running.join_next() => Ok(()),
                message = incoming.next() => self.hear(message).await,
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        if !std::mem::take(&mut self.heard) {
            return Err(Close::Silent.into());
        }
        Ok(self.outlet.say(&Outgoing::Ping).await?)
    }

    async fn hear(&mut self, message: Option<Result<Message, Error>>) -> Result<(), End> {
        self.heard = true;
        let text = match message {
            None => return Err(End::Gone),
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_)) | Err(_)) => return Err(Close::BadMessage.into()),
            // The library answers pings; behind a close, the next read ends the stream.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => return Ok(()),
        };
        match serde_json::from_str(&text).map_err(|_| Close::BadMessage)? {
            Incoming::ConnectionInit { payload } => self.init(payload.unwrap_or_default()).await,
            Incoming::Subscribe { id, payload } => self.start(id, *payload).await,
            Incoming::Complete { id } => {
                if let Some((_, handle)) = self.operations.remove(&id) {
                    handle.abort();
                }
                Ok(())
            }
            Incoming::Ping { payload } => Ok(self.outlet.say(&Outgoing::Pong { payload }).await?),
            Incoming::Pong {} => Ok(()),
        }
    }

    async fn init(&mut self, payload: Map<String, Value>) -> Result<(), End> {
        if matches!(self.peer, Peer::Known(_)) {
            return Err(Close::SecondInit.into());
        }
        let bearer = auth::of_payload(&payload).map(SecretString::from);
        let api = &self.server.api;
        let asked = api.authenticate(bearer.as_ref().map(ExposeSecret::expose_secret), self.address, api.request_id());
        match timeout(self.server.options.limits.operation, asked).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(close_for(&error).into()),
            Err(_) => return Err(Close::TryAgain.into()),
        }
        self.peer = Peer::Known(bearer);
        Ok(self.outlet.say(&Outgoing::ConnectionAck).await?)
    }

    async fn start(&mut self, id: String, params: Params) -> Result<(), End> {
        let Peer::Known(bearer) = &self.peer else {
            return Err(Close::Unauthorized.into());
        };
        if self.operations.contains_key(&id) {
            return Err(Close::DuplicateId.into());
        }
        if self.operations.len() >= self.server.options.limits.socket_operations {
            return self.turn_away(&id).await;
        }
        self.count += 1;
        let operation = Operation {
            server: self.server.clone(),
            bearer: bearer.clone(),
            address: self.address,
            id: id.clone(),
            number: self.count,
            reports: self.reports.0.clone(),
        };
        let handle = self.running.spawn(operation.run(params));
        self.operations.insert(id, (self.count, handle));
        Ok(())
    }

    /// Only this operation is refused; those that run are not at fault.
    async fn turn_away(&mut self, id: &str) -> Result<(), End> {
        let mut error = refusal("TOO_MANY_OPERATIONS", "this connection runs too many operations already");
        answer::label_error(&mut error, "TOO_MANY_OPERATIONS", self.server.api.request_id());
        Ok(self.outlet.say(&Outgoing::Error { id, payload: &[error] }).await?)
    }

    /// Passes on what an operation reports, unless the peer has ended that operation.
    async fn tell(&mut self, Report { id, number, news }: Report) -> Result<(), End> {
        if self.operations.get(&id).is_none_or(|(running, _)| *running != number) {
            return Ok(());
        }
        // Removed before it is told: from then on the peer may use the id again.
        if !matches!(news, News::Next(_)) {
            self.operations.remove(&id);
        }
        let message = match &news {
            News::Next(payload) => Outgoing::Next { id: &id, payload },
            News::Refused(errors) => Outgoing::Error { id: &id, payload: errors },
            News::Complete => Outgoing::Complete { id: &id },
            News::Close(why) => return Err((*why).into()),
        };
        Ok(self.outlet.say(&message).await?)
    }
}

/// Ends when a peer that is not known yet has had its time; never for one that is.
async fn init_deadline(peer: &mut Peer) {
    match peer {
        Peer::Unknown(deadline) => deadline.as_mut().await,
        Peer::Known(_) => std::future::pending().await,
    }
}

fn pings(every: Duration) -> Interval {
    let mut pings = interval_at(Instant::now() + every, every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings
}
