//! Serving until told to stop, and ending without cutting anybody off.

use std::{convert::Infallible, io, pin::pin, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
    serve::{Listener, ListenerExt as _},
};
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::timeout,
};

use crate::{address::Peer, patience::Patience, server::Lifetime};

/// How long a connection may be silent between requests, or take to send the head of one.
const HEAD_WAIT: Duration = Duration::from_secs(30);
/// How long a peer may take nothing of what is sent to it. Longer than a WebSocket waits before it says
/// why it closes.
const WRITE_WAIT: Duration = Duration::from_secs(20);

/// How long a peer may keep us waiting.
#[derive(Clone, Copy)]
struct Waits {
    head: Duration,
    write: Duration,
}

/// Serves `router` until `lifetime` ends; then takes no more connections, closes WebSockets with
/// 1001, and waits for what is under way, but not longer than `drain`.
pub async fn serve(listener: TcpListener, router: Router, lifetime: Lifetime, drain: Duration) -> io::Result<()> {
    // Small answers go out at once and do not wait for more (Nagle's algorithm).
    let mut listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    loop {
        tokio::select! {
            () = lifetime.shutdown.cancelled() => break,
            (connection, peer) = listener.accept() => {
                let service = WithPeer { peer: Peer(peer), routes: TowerToHyperService::new(router.clone()) };
                spawn(connection, service, &lifetime, Waits { head: HEAD_WAIT, write: WRITE_WAIT });
            }
        }
    }
    drop(listener);
    lifetime.open.close();
    if timeout(drain, lifetime.open.wait()).await.is_err() {
        tracing::warn!(drain_seconds = drain.as_secs(), "requests were still under way at the end of the drain time");
    }
    Ok(())
}

/// The routes, told who is at the other end of the connection.
#[derive(Clone)]
struct WithPeer {
    peer: Peer,
    routes: TowerToHyperService<Router>,
}

impl Service<Request<Incoming>> for WithPeer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.routes.call(request)
    }
}

/// Serves one connection. axum's own `serve` would do that without a limit on silence.
fn spawn<I>(connection: I, service: WithPeer, lifetime: &Lifetime, waits: Waits)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(waits.head)
        .serve_connection(TokioIo::new(Patience::new(connection, waits.write)), service)
        .with_upgrades();
    let shutdown = lifetime.shutdown.clone();
    lifetime.open.spawn(async move {
        let mut serving = pin!(serving);
        let outcome = tokio::select! {
            outcome = serving.as_mut() => outcome,
            () = shutdown.cancelled() => {
                // After the request that is under way, if one is.
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection broke off");
        }
    });
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const WAIT: Duration = Duration::from_millis(100);
    const WAITS: Waits = Waits { head: WAIT, write: WAIT };
    /// What is not closed by then never is.
    const PATIENCE: Duration = Duration::from_mins(1);

    fn served(router: Router) -> WithPeer {
        WithPeer { peer: Peer(([127, 0, 0, 1], 1).into()), routes: TowerToHyperService::new(router) }
    }

    /// What is answered to these bytes until the connection is closed.
    async fn answer(request: &[u8]) -> String {
        let (mut peer, ours) = duplex(4096);
        spawn(ours, served(Router::new().route("/", get(|| async { "here" }))), &Lifetime::default(), WAITS);
        peer.write_all(request).await.expect("sent");
        let mut heard = Vec::new();
        timeout(PATIENCE, peer.read_to_end(&mut heard)).await.expect("closed in time").expect("heard");
        String::from_utf8(heard).expect("text")
    }

    #[tokio::test]
    async fn a_connection_that_is_silent_or_slow_is_closed() {
        answer(b"").await;
        answer(b"GET / HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
        let answered = answer(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(answered.starts_with("HTTP/1.1 200 OK") && answered.ends_with("here"), "{answered}");
    }

    #[tokio::test]
    async fn who_asks_for_much_and_reads_nothing_is_cut_off() {
        let endless = || async { Body::from_stream(stream::repeat_with(|| Ok::<_, io::Error>(vec![b'x'; 10_000]))) };
        let (mut peer, ours) = duplex(4096);
        let lifetime = Lifetime::default();
        spawn(ours, served(Router::new().route("/", get(endless))), &lifetime, WAITS);
        peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
        // Nothing is left of it, though the peer is still there and the answer has no end.
        lifetime.open.close();
        timeout(PATIENCE, lifetime.open.wait()).await.expect("given up in time");
        let mut heard = Vec::new();
        peer.read_to_end(&mut heard).await.expect("heard");
        assert!(heard.len() <= 4096, "{} bytes", heard.len());
    }
}
