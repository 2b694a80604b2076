//! A port on which nobody listens, for as long as a test needs it to be so.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::net::TcpSocket;

/// A port of 127.0.0.1 that is taken, so that nobody else gets it, and refuses every connection.
#[derive(Debug)]
pub struct Deserted(TcpSocket);

impl Deserted {
    /// Takes one.
    pub fn new() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self(socket))
    }

    /// Its number.
    pub fn port(&self) -> Result<u16> {
        Ok(self.0.local_addr()?.port())
    }
}
