//! GraphQL over WebSocket, on the wire.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};
use vpn_graphql::{Lifetime, routes, serve};

use crate::support::{TinyApi, options};

struct Running {
    url: String,
    api: Arc<TinyApi>,
    lifetime: Lifetime,
    serving: JoinHandle<std::io::Result<()>>,
}

async fn start() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/graphql/ws", listener.local_addr().expect("an address"));
    let (api, lifetime) = (TinyApi::new(), Lifetime::default());
    let router = routes(api.clone(), options(), lifetime.clone());
    let serving = tokio::spawn(serve(listener, router, lifetime.clone(), Duration::from_secs(5)));
    Running { url, api, lifetime, serving }
}

struct Peer(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Peer {
    /// Connects, with these headers beside the usual ones.
    async fn connect(url: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        connect_async(request).await.map(|(socket, _)| Self(socket))
    }

    async fn new(server: &Running) -> Self {
        Self::connect(&server.url, &[PROTOCOL]).await.expect("a socket")
    }

    /// One whose `connection_init` was acknowledged.
    async fn known(server: &Running) -> Self {
        let mut peer = Self::new(server).await;
        peer.say(json!({ "type": "connection_init", "payload": { "authorization": "Bearer good" } })).await;
        assert_eq!(peer.hear().await, json!({ "type": "connection_ack" }));
        peer
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.expect("sent");
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({ "type": "subscribe", "id": id, "payload": { "query": query } })).await;
    }

    /// The next message that is no ping; a close is `{"close": code}`.
    async fn hear(&mut self) -> Value {
        loop {
            match timeout(Duration::from_secs(5), self.0.next()).await.expect("a message") {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).expect("JSON");
                    if message["type"] == "ping" {
                        self.say(json!({ "type": "pong" })).await;
                    } else {
                        return message;
                    }
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    assert!(frame.reason.len() <= 123 && !frame.reason.is_empty());
                    return json!({ "close": u16::from(frame.code) });
                }
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return json!({ "close": 1006 }),
            }
        }
    }
}

const PROTOCOL: (&str, &str) = ("sec-websocket-protocol", "graphql-transport-ws");

fn next(id: &str, data: &Value) -> Value {
    json!({ "type": "next", "id": id, "payload": { "data": data } })
}

#[tokio::test]
async fn operations_of_all_kinds_run_side_by_side() {
    let server = start().await;
    let mut peer = Peer::known(&server).await;
    peer.subscribe("a", "subscription { count(to: 2) }").await;
    for message in
        [next("a", &json!({ "count": 1 })), next("a", &json!({ "count": 2 })), json!({ "type": "complete", "id": "a" })]
    {
        assert_eq!(peer.hear().await, message);
    }
    // The id may be used again at once.
    peer.subscribe("a", "{ who }").await;
    assert_eq!(peer.hear().await, next("a", &json!({ "who": "ada" })));
    assert_eq!(peer.hear().await, json!({ "type": "complete", "id": "a" }));
    peer.subscribe("b", "mutation { step(number: 7) { number } }").await;
    assert_eq!(peer.hear().await, next("b", &json!({ "step": { "number": 7 } })));
}

#[tokio::test]
async fn an_operation_can_be_ended_and_its_id_used_again() {
    let server = start().await;
    let mut peer = Peer::known(&server).await;
    peer.subscribe("a", "subscription { count(to: 1000, everyMs: 20) }").await;
    assert_eq!(peer.hear().await, next("a", &json!({ "count": 1 })));
    peer.say(json!({ "type": "complete", "id": "a" })).await;
    peer.subscribe("a", "{ hello }").await;
    loop {
        let message = peer.hear().await;
        if message == next("a", &json!({ "hello": "hello world" })) {
            break;
        }
        // What was under way may still arrive; nothing of it may follow the new operation's answer.
        assert!(message["payload"]["data"]["count"].is_number(), "{message}");
    }
    assert_eq!(peer.hear().await, json!({ "type": "complete", "id": "a" }));
}

#[tokio::test]
async fn what_is_refused_before_it_runs_is_an_error_message() {
    let server = start().await;
    let mut peer = Peer::known(&server).await;
    let tower = format!("{{ hello(name: {}", "[".repeat(2_000));
    for (query, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { refused }", "TEST_FAILED"),
        (tower.as_str(), "DOCUMENT_TOO_DEEP"),
        ("{ slow(ms: 5000) }", "TIMEOUT"),
    ] {
        peer.subscribe("a", query).await;
        let message = peer.hear().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("a")), "{query}: {message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{query}");
        assert!(message["payload"][0]["extensions"]["requestId"].is_string(), "{query}");
    }
}

#[tokio::test]
async fn an_error_of_execution_is_part_of_an_answer() {
    let server = start().await;
    let mut peer = Peer::known(&server).await;
    peer.subscribe("a", "{ thing { maybe } }").await;
    let message = peer.hear().await;
    assert_eq!(
        (&message["type"], &message["payload"]["data"]),
        (&json!("next"), &json!({ "thing": { "maybe": null } }))
    );
    assert_eq!(peer.hear().await, json!({ "type": "complete", "id": "a" }));
}

#[tokio::test]
async fn every_breach_of_the_protocol_has_its_close_code() {
    let server = start().await;
    let init = json!({ "type": "connection_init", "payload": { "Authorization": "Bearer good" } });
    let op = json!({ "type": "subscribe", "id": "a", "payload": { "query": "subscription { count(to: 9, everyMs: 100) }" } });
    for (messages, code) in [
        (vec![json!("x")], 4400),
        (vec![json!({ "type": "nonsense" })], 4400),
        (vec![json!({ "id": "a" })], 4400),
        (vec![json!({ "type": "connection_init", "payload": [] })], 4400),
        (vec![init.clone(), json!({ "type": "subscribe", "payload": { "query": "{ hello }" } })], 4400),
        (vec![init.clone(), json!({ "type": "subscribe", "id": "a", "payload": {} })], 4400),
        (
            vec![init.clone(), json!({ "type": "subscribe", "id": "a", "payload": { "query": "x".repeat(70_000) } })],
            4400,
        ),
        (vec![op.clone()], 4401),
        (vec![json!({ "type": "connection_init" })], 4403),
        (vec![json!({ "type": "connection_init", "payload": { "authorization": "Bearer bad" } })], 4403),
        (vec![json!({ "type": "connection_init", "payload": { "authorization": "Bearer down" } })], 1013),
        (vec![init.clone(), op.clone(), op.clone()], 4409),
        (vec![init.clone(), init.clone()], 4429),
    ] {
        let mut peer = Peer::new(&server).await;
        for message in &messages {
            peer.say(message.clone()).await;
        }
        let last = loop {
            let message = peer.hear().await;
            if message.get("close").is_some() {
                break message;
            }
        };
        assert_eq!(last["close"], code, "{messages:?}");
    }
}

#[tokio::test]
async fn a_binary_message_is_a_breach() {
    let server = start().await;
    let mut peer = Peer::new(&server).await;
    peer.0.send(Message::binary(b"{}".to_vec())).await.expect("sent");
    assert_eq!(peer.hear().await["close"], 4400);
}

#[tokio::test]
async fn another_subprotocol_or_none_is_not_spoken() {
    let server = start().await;
    let mut peer = Peer::connect(&server.url, &[]).await.expect("a socket");
    assert_eq!(peer.hear().await["close"], 4406);
    // The client library refuses an answer without the subprotocol it asked for.
    let refused = Peer::connect(&server.url, &[("sec-websocket-protocol", "graphql-ws")]).await;
    assert!(matches!(refused, Err(Error::Protocol(_))));
}

#[tokio::test]
async fn who_says_nothing_is_closed() {
    let server = start().await;
    let mut peer = Peer::new(&server).await;
    assert_eq!(peer.hear().await["close"], 4408);
}

#[tokio::test]
async fn who_does_not_answer_a_ping_is_closed() {
    let server = start().await;
    let mut peer = Peer::known(&server).await;
    let closed = timeout(Duration::from_mins(1), async {
        while let Some(Ok(message)) = peer.0.next().await {
            if let Message::Close(Some(frame)) = message {
                return Some(u16::from(frame.code));
            }
        }
        None
    });
    assert_eq!(closed.await, Ok(Some(4408)));
}

#[tokio::test]
async fn pings_are_answered_with_their_payload() {
    let server = start().await;
    let mut peer = Peer::new(&server).await;
    peer.say(json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(peer.hear().await, json!({ "type": "pong", "payload": { "n": 1 } }));
    peer.say(json!({ "type": "ping" })).await;
    assert_eq!(peer.hear().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn one_operation_too_many_is_refused_and_the_others_go_on() {
    let server = start().await;
    let mut peer = Peer::known(&server).await;
    for id in ["a", "b", "c", "d"] {
        peer.subscribe(id, "subscription { count(to: 2, everyMs: 2000) }").await;
    }
    let message = peer.hear().await;
    assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("d")));
    assert_eq!(message["payload"][0]["extensions"]["code"], "TOO_MANY_OPERATIONS");
    assert_eq!(peer.hear().await["type"], "next");
}

#[tokio::test]
async fn one_socket_too_many_is_refused() {
    let server = start().await;
    let mut peers = Vec::new();
    for _ in 0..5 {
        peers.push(Peer::known(&server).await);
    }
    let refused = Peer::connect(&server.url, &[PROTOCOL]).await;
    let Err(Error::Http(response)) = refused.map(drop) else { panic!("taken") };
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].as_bytes()), (503, &b"5"[..]));
}

#[tokio::test]
async fn pages_of_other_origins_may_not_connect() {
    let server = start().await;
    let own = server.url.replace("ws://", "http://").replace("/graphql/ws", "");
    for (origin, allowed) in [
        (own.as_str(), true),
        ("https://console.example.org", true),
        ("https://evil.example.org", false),
        ("https://console.example.org.evil.example", false),
        ("null", false),
    ] {
        let outcome = Peer::connect(&server.url, &[PROTOCOL, ("origin", origin)]).await;
        assert_eq!(outcome.is_ok(), allowed, "{origin}");
    }
}

#[tokio::test]
async fn a_token_that_ends_closes_the_socket_behind_the_last_answer() {
    let server = start().await;
    let mut peer = Peer::known(&server).await;
    peer.subscribe("a", "subscription { untilTokenEnds }").await;
    assert_eq!(peer.hear().await, next("a", &json!({ "untilTokenEnds": 1 })));
    assert_eq!(peer.hear().await["payload"]["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    assert_eq!(peer.hear().await["close"], 4403);
}

#[tokio::test]
async fn a_token_that_has_ended_starts_nothing_on_an_open_socket() {
    let server = start().await;
    let mut peer = Peer::known(&server).await;
    server.api.token_holds.store(false, Ordering::SeqCst);
    peer.subscribe("a", "{ hello }").await;
    assert_eq!(peer.hear().await["close"], 4403);
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_and_told_why_and_holds_no_memory() {
    let server = start().await;
    let mut peer = Peer::known(&server).await;
    peer.subscribe("a", "subscription { flood }").await;
    timeout(Duration::from_mins(1), server.api.ebb.notified()).await.expect("it is cut off");
    let mut read = 0_usize;
    let close = loop {
        match timeout(Duration::from_mins(1), peer.0.next()).await.expect("an end") {
            Some(Ok(Message::Close(Some(frame)))) => break u16::from(frame.code),
            Some(Ok(message)) => read += message.len(),
            None | Some(Err(_)) => break 1006,
        }
    };
    assert_eq!(close, 1013);
    // What the sockets of the system held, and a handful of messages.
    assert!(read < 32 * 1024 * 1024, "{read} bytes");
}

#[tokio::test]
async fn a_server_that_ends_says_goodbye_and_waits() {
    let server = start().await;
    let mut peer = Peer::known(&server).await;
    peer.subscribe("a", "subscription { count(to: 1000, everyMs: 50) }").await;
    assert_eq!(peer.hear().await["type"], "next");
    server.lifetime.shutdown.cancel();
    loop {
        let message = peer.hear().await;
        if message.get("close").is_some() {
            assert_eq!(message["close"], 1001);
            break;
        }
    }
    let ended = timeout(Duration::from_secs(3), server.serving).await.expect("in time");
    assert!(ended.expect("no panic").is_ok());
}
