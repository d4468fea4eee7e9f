//! Where a request came from: the other end of the connection, or what a proxy there that is trusted says of it.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, X_FORWARDED_FOR};
use ipnet::IpNet;

/// The address that a request came from.
///
/// Each proxy adds whom it was asked by at the right end of `X-Forwarded-For`, and the client may have written anything to
/// the left of that. So the hops are followed from the right, and the first one that is no trusted proxy is the client. What
/// cannot be read ends the way there: behind it nothing is known.
pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut found = peer.to_canonical();
    if !is_trusted(found, trusted) {
        return found;
    }
    let lines: Vec<&str> = headers
        .get_all(X_FORWARDED_FOR)
        .map(|line| line.to_str().unwrap_or("?"))
        .collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = address(hop.trim()) else {
            break;
        };
        found = address;
        if !is_trusted(found, trusted) {
            break;
        }
    }
    found
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// An address, with or without the port that some proxies add.
fn address(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<SocketAddr>().map(|socket| socket.ip());
    let address = hop.parse::<IpAddr>().or_else(|_| with_port());
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn origin(peer: &str, lines: &[&'static str]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/16", "fd00::/8"]
            .iter()
            .map(|network| network.parse().expect("a network"))
            .collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(line));
        }
        of(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn whoever_is_no_trusted_proxy_is_not_believed() {
        assert_eq!(origin("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(origin("10.1.0.1", &["198.51.100.1"]), "10.1.0.1");
    }

    #[test]
    fn of_a_chain_of_proxies_the_first_foreign_hop_from_the_right_counts() {
        let one = |lines| origin("10.0.0.1", lines);
        assert_eq!(one(&[]), "10.0.0.1");
        assert_eq!(one(&["198.51.100.1"]), "198.51.100.1");
        assert_eq!(one(&["127.0.0.1, 198.51.100.1, 10.0.3.4"]), "198.51.100.1");
        assert_eq!(
            one(&["6.6.6.6", "198.51.100.1", "10.0.3.4"]),
            "198.51.100.1"
        );
        assert_eq!(one(&["10.0.3.4, 10.0.3.5"]), "10.0.3.4");
        assert_eq!(one(&["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(one(&["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(origin("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn what_cannot_be_read_hides_whatever_stands_to_its_left() {
        for garbage in [
            "6.6.6.6, unknown",
            "6.6.6.6, ",
            "6.6.6.6, _hidden",
            "6.6.6.6, 300.0.0.1",
        ] {
            assert_eq!(origin("10.0.0.1", &[garbage]), "10.0.0.1", "{garbage}");
        }
    }
}
