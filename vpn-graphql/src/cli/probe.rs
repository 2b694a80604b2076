//! `probe`: one request to `/readyz`, for health checks of containers that have no other program.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

#[derive(Debug, Args)]
pub(super) struct Probe {
    /// Where the server listens.
    #[arg(default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    server: SocketAddr,
}

impl Probe {
    pub(super) async fn run(self) -> Result<()> {
        let status =
            timeout(Duration::from_secs(5), status_line(self.server)).await.context("no answer within 5 s")??;
        ensure!(status.contains(" 200 "), "the server is not ready: {status}");
        Ok(())
    }
}

async fn status_line(server: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(server).await.with_context(|| format!("nobody listens on {server}"))?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}
