//! Where a request comes from.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use axum::{
    extract::FromRequestParts,
    http::{Extensions, HeaderMap, request::Parts},
};
use vpn_core::config::Network;

use crate::server::Server;

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Where a request comes from: the other end of the connection, or, when that is a proxy that we trust,
/// whom it names. Unknown when nothing listens for it, as in tests of the routes alone.
pub(crate) fn origin(extensions: &Extensions, headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let Peer(peer) = extensions.get()?;
    Some(through_proxies(peer.ip().to_canonical(), headers, trusted))
}

/// The same, for handlers that want parts of a request.
pub(crate) struct Connected(pub(crate) Option<IpAddr>);

impl FromRequestParts<Server> for Connected {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Infallible> {
        Ok(Self(origin(&parts.extensions, &parts.headers, &server.options.trusted_proxies)))
    }
}

/// Each proxy appends whom it heard. Read from the end, the first address that is no proxy of ours is
/// the last that we can believe; what stands before it may be the caller's invention.
fn through_proxies(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_ours = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut last = peer;
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|it| it.to_str().ok()).collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        if !is_ours(last) {
            break;
        }
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        last = address.to_canonical();
    }
    last
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn origin(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        let trusted: Vec<Network> = trusted.iter().map(|it| it.parse().expect("a network")).collect();
        through_proxies(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn only_proxies_that_are_trusted_are_believed() {
        assert_eq!(origin("192.0.2.1", &["203.0.113.9"], &[]), "192.0.2.1");
        assert_eq!(origin("10.0.0.1", &["203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(origin("192.0.2.1", &["203.0.113.9"], &["10.0.0.0/8"]), "192.0.2.1");
    }

    #[test]
    fn what_a_caller_invents_stands_in_front_and_is_not_read() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(origin("10.0.0.1", &["127.0.0.1, 203.0.113.9"], &trusted), "203.0.113.9");
        assert_eq!(origin("10.0.0.1", &["127.0.0.1", "203.0.113.9, 10.0.0.2"], &trusted), "203.0.113.9");
        assert_eq!(origin("10.0.0.1", &["nonsense"], &trusted), "10.0.0.1");
        assert_eq!(origin("10.0.0.1", &[], &trusted), "10.0.0.1");
    }
}
