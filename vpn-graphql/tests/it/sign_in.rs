//! Whoever fails to sign in again and again has to wait, over HTTP and over WebSockets; whoever signed in does not.

use std::net::SocketAddr;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use vpn_core::domain::Role;

use crate::server::Server;

/// The whole answer to one request on a connection of its own.
async fn asked(address: SocketAddr, bearer: &str) -> String {
    let body = json!({ "query": "{ viewer { principal } }" }).to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         authorization: {bearer}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer.to_ascii_lowercase()
}

#[tokio::test]
async fn failures_from_one_address_have_to_wait_and_who_is_known_does_not() {
    let server = Server::start().await;
    let known = server.as_(Role::Viewer).await;
    let address = server.listen().await;
    assert!(asked(address, known.bearer()).await.starts_with("http/1.1 200"));
    let mut answers = Vec::new();
    for _ in 0..100 {
        let answer = asked(address, "Bearer vpn_pat_guessed").await;
        let waits = answer.starts_with("http/1.1 429");
        answers.push(answer);
        if waits {
            break;
        }
    }
    let last = answers.pop().expect("an answer");
    assert!(answers.len() >= 10 && answers.iter().all(|answer| answer.starts_with("http/1.1 401")), "{answers:?}");
    assert!(last.starts_with("http/1.1 429") && last.contains("\r\nretry-after: "), "{last}");
    // Every two seconds one more may be tried: on a slow machine, this one. Then the next has to wait.
    let mut closed = server.refused_socket(address, "Bearer vpn_pat_guessed").await;
    for _ in 0..10 {
        if closed == 4403 {
            closed = server.refused_socket(address, "Bearer vpn_pat_guessed").await;
        }
    }
    assert_eq!(closed, 4429);
    assert!(asked(address, known.bearer()).await.starts_with("http/1.1 200"), "who was known a moment ago");
}
