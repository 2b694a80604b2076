//! Serving until told to stop, and ending without cutting anybody off.

use std::{io, time::Duration};

use axum::{Router, serve::ListenerExt as _};
use tokio::{net::TcpListener, time::timeout};

use crate::server::Lifetime;

/// Serves `router` until `lifetime` ends; then takes no more connections, closes WebSockets with
/// 1001, and waits for what is under way, but not longer than `drain`.
pub async fn serve(listener: TcpListener, router: Router, lifetime: Lifetime, drain: Duration) -> io::Result<()> {
    // Small answers go out at once and do not wait for more (Nagle's algorithm).
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    let shutdown = lifetime.shutdown.clone();
    let stop = shutdown.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
    let ended = async {
        shutdown.cancelled().await;
        lifetime.sockets.close();
        lifetime.sockets.wait().await;
    };
    let finish = async { tokio::join!(serving.into_future(), ended).0 };
    tokio::pin!(finish);
    tokio::select! {
        outcome = &mut finish => return outcome,
        () = shutdown.cancelled() => {}
    }
    timeout(drain, finish).await.unwrap_or_else(|_| {
        tracing::warn!(drain_seconds = drain.as_secs(), "requests were still under way at the end of the drain time");
        Ok(())
    })
}
