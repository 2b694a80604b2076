//! Networks that a client reaches through the tunnel.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Invalid;

/// A route that is pushed to a client: an IPv4 network such as `10.20.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Route {
    network: Ipv4Addr,
    length: u8,
}

impl Route {
    /// At most so many for one client.
    pub const MAX: usize = 16;
}

impl FromStr for Route {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = || {
            Invalid::new(
                "a route is an IPv4 network such as 10.20.0.0/16, of at least /8, without bits beyond its length",
            )
        };
        let (network, length) = text.split_once('/').ok_or_else(bad)?;
        let network: Ipv4Addr = network.parse().map_err(|_| bad())?;
        let plain = length.len() <= 2 && length.bytes().all(|b| b.is_ascii_digit()) && !length.starts_with('0');
        let length: u8 = length.parse().ok().filter(|it| plain && (8..=32).contains(it)).ok_or_else(bad)?;
        if network.to_bits().checked_shl(length.into()).is_some_and(|beyond| beyond != 0) {
            return Err(bad());
        }
        let first = network.octets()[0];
        if first == 0 || first >= 224 || network.is_loopback() || network.is_link_local() {
            return Err(Invalid::new("a route leads to a unicast network, neither loopback nor link-local"));
        }
        Ok(Self { network, length })
    }
}

impl TryFrom<String> for Route {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Route> for String {
    fn from(route: Route) -> Self {
        route.to_string()
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_route_and_keeps_its_text() {
        for text in ["10.0.0.0/8", "10.20.0.0/16", "192.0.2.128/25", "203.0.113.7/32"] {
            assert_eq!(text.parse::<Route>().map(|route| route.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_unicast_network_is_refused() {
        for bad in [
            "",
            "x",
            "10.0.0.0",
            "10.0.0.1/8",
            "10.0.0.0/0",
            "10.0.0.0/7",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0/8",
            "010.0.0.0/8",
            "10.0.0.0/8/8",
            " 10.0.0.0/8",
            "2001:db8::/32",
            "0.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/8",
            "240.0.0.0/8",
        ] {
            assert!(bad.parse::<Route>().is_err(), "{bad}");
        }
    }
}
