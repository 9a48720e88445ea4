//! Who is at the other end: the address that limits count by, that keys are bound to and that the audit log names.
//!
//! Invariant: nobody is believed about themselves. What counts is the peer; a peer that is a trusted proxy is believed about whom
//! it speaks for, by `X-Forwarded-For` alone, read from the right as far as trusted proxies wrote it. `Forwarded` and `X-Real-IP`
//! are never looked at, since whoever does not set them lets them through.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::{IpNet, Ipv4Net};

use super::Options;
use super::app::App;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// More proxies than any request passes; whoever names more only wants it to be read.
const MAX_HOPS: usize = 16;

/// An address, as far as it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(pub IpAddr);

impl Client {
    /// What is limited as one: an IPv4 address, or the /64 that one subscriber of IPv6 gets.
    pub(super) fn network(self) -> IpAddr {
        match self.0 {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
            address @ IpAddr::V4(_) => address,
        }
    }
}

impl App {
    /// Whoever sent this; nobody, if it came through the local socket, which has no address.
    pub(super) fn client(&self, request: &HttpRequest) -> Option<Client> {
        let peer = request.peer_addr()?.ip().to_canonical();
        let origin = self.proxies.trust(peer).then(|| self.proxies.origin(request.headers())).flatten();
        Some(Client(origin.unwrap_or(peer)))
    }
}

/// The proxies that are believed about whom they speak for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

/// What is no proxy's network, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// No address at all.
    #[error("http.trusted_proxies holds {0:?}, which is no network: write 10.0.0.0/8, or 192.0.2.7 for one address")]
    Unreadable(String),
    /// Every client could say that it is another.
    #[error("http.trusted_proxies holds {0:?}, which is everybody: name the proxy's own address or network")]
    Everybody(String),
    /// IPv6 that says IPv4: addresses are compared as IPv4.
    #[error("http.trusted_proxies holds {0:?}: write it as IPv4, as in 10.0.0.0/8")]
    Mapped(String),
}

impl Proxies {
    /// Those that are configured, and this machine if nobody else can reach the port: a proxy in front of it runs here, and its
    /// clients must not all be one to us.
    pub fn of(options: &Options) -> Result<Self, BadNetwork> {
        let mut networks = options.trusted_proxies.iter().map(|text| network(text)).collect::<Result<Vec<_>, _>>()?;
        if options.is_loopback_only() {
            networks.extend([
                IpNet::from(Ipv4Net::new_assert([127, 0, 0, 0].into(), 8)),
                IpAddr::from(Ipv6Addr::LOCALHOST).into(),
            ]);
        }
        Ok(Self(networks))
    }

    /// Whether this address is one of theirs.
    pub(super) fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whom a trusted proxy speaks for: the right-most address that is no proxy's; the furthest proxy, if all are. Nothing, if
    /// that cannot be read.
    fn origin(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).collect();
        let from_the_right = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let mut furthest = None;
        for (hops, entry) in from_the_right.enumerate() {
            let address = address(entry).filter(|_| hops < MAX_HOPS)?;
            if !self.trust(address) {
                return Some(address);
            }
            furthest = Some(address);
        }
        furthest
    }
}

fn network(text: &str) -> Result<IpNet, BadNetwork> {
    let parsed = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let network = parsed.map_err(|_| BadNetwork::Unreadable(text.to_owned()))?;
    if network.prefix_len() == 0 {
        return Err(BadNetwork::Everybody(text.to_owned()));
    }
    match network.addr() {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => Err(BadNetwork::Mapped(text.to_owned())),
        _ => Ok(network),
    }
}

/// An address as proxies write it: bare, or with a port behind it, or in brackets.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse::<IpAddr>().or_else(|_| with_port()).ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::super::testing::House;
    use super::*;

    fn options(listen: &str, proxies: &[&str]) -> Options {
        let trusted_proxies = proxies.iter().map(|proxy| (*proxy).to_owned()).collect();
        Options { listen: listen.into(), trusted_proxies, ..Options::default() }
    }

    /// Whom we see when `peer` sends these lines of `X-Forwarded-For`.
    fn seen(proxies: &Proxies, peer: &str, lines: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = actix_web::http::header::HeaderValue::from_bytes(line).expect("a header");
            headers.append(FORWARDED_FOR, value);
        }
        let peer: IpAddr = peer.parse().expect("an address");
        let origin = proxies.trust(peer).then(|| proxies.origin(&headers)).flatten();
        origin.unwrap_or(peer).to_string()
    }

    #[test]
    fn layer_2_limits_only_a_trusted_proxy_is_believed_and_only_about_its_own_client() {
        let proxies =
            Proxies::of(&options("0.0.0.0:8080", &["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"])).expect("fine");
        let cases: [(&str, &[&[u8]], &str); 17] = [
            ("203.0.113.9", &[b"198.51.100.1"], "203.0.113.9"),
            ("127.0.0.1", &[b"198.51.100.1"], "127.0.0.1"),
            ("10.1.2.3", &[], "10.1.2.3"),
            ("10.1.2.3", &[b"198.51.100.1"], "198.51.100.1"),
            ("192.0.2.7", &[b"198.51.100.1"], "198.51.100.1"),
            ("192.0.2.8", &[b"198.51.100.1"], "192.0.2.8"),
            // What the client wrote itself stands to the left, and is not even read.
            ("10.1.2.3", &[b"1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("10.1.2.3", &[b"1.1.1.1", b"198.51.100.1"], "198.51.100.1"),
            ("10.1.2.3", &[b"\xff, nonsense ,198.51.100.1"], "198.51.100.1"),
            ("10.1.2.3", &[b"198.51.100.1, 10.9.9.9"], "198.51.100.1"),
            ("10.1.2.3", &[b"198.51.100.1", b"2001:db8::1, 10.9.9.9"], "198.51.100.1"),
            ("10.1.2.3", &[b"198.51.100.1:4711"], "198.51.100.1"),
            ("10.1.2.3", &[b"[2a00::1]:4711"], "2a00::1"),
            ("10.1.2.3", &[b"::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.1.2.3", &[b"10.7.7.7, 10.9.9.9"], "10.7.7.7"),
            ("10.1.2.3", &[b"198.51.100.1, nonsense"], "10.1.2.3"),
            ("10.1.2.3", &[b""], "10.1.2.3"),
        ];
        for (peer, lines, expected) in cases {
            assert_eq!(seen(&proxies, peer, lines), expected, "{peer} {lines:?}");
        }
        let long = [&b"198.51.100.1,"[..], &b"10.1.1.1,".repeat(99), b"10.1.1.1"].concat();
        assert_eq!(seen(&proxies, "10.1.2.3", &[&long]), "10.1.2.3");
    }

    #[actix_web::test]
    async fn layer_2_limits_no_other_header_says_who_somebody_is() {
        let house = House::new();
        let of = |request: TestRequest| house.app.client(&request.to_http_request()).map(|client| client.0.to_string());
        let from = |peer: &str| TestRequest::get().peer_addr(peer.parse().expect("an address"));
        let lying = |request: TestRequest| {
            let request = request.insert_header(("forwarded", "for=198.51.100.1"));
            request.insert_header(("x-real-ip", "198.51.100.1")).insert_header(("client-ip", "198.51.100.1"))
        };
        assert_eq!(of(lying(from("127.0.0.1:9"))).as_deref(), Some("127.0.0.1"));
        assert_eq!(of(from("[::ffff:203.0.113.9]:9")).as_deref(), Some("203.0.113.9"));
        let forwarded = from("[::ffff:127.0.0.1]:9").insert_header(("x-forwarded-for", "198.51.100.1"));
        assert_eq!(of(forwarded).as_deref(), Some("198.51.100.1"), "a listener on loopback trusts loopback");
        assert_eq!(of(lying(TestRequest::get())), None, "the local socket has no address");
    }

    #[test]
    fn layer_2_limits_this_machine_is_a_proxy_only_where_nobody_else_can_knock() {
        let trusts = |listen: &str| {
            let proxies = Proxies::of(&options(listen, &[])).expect("fine");
            ["127.0.0.1", "127.9.9.9", "::1", "10.0.0.1"].map(|peer| proxies.trust(peer.parse().expect("an address")))
        };
        for listen in ["127.0.0.1:8080", "[::1]:8080", "localhost:8080"] {
            assert_eq!(trusts(listen), [true, true, true, false], "{listen}");
        }
        for listen in ["0.0.0.0:8080", "[::]:8080", "10.0.0.1:8080"] {
            assert_eq!(trusts(listen), [false; 4], "{listen}");
        }
    }

    #[test]
    fn a_network_that_cannot_be_one_is_named_with_what_to_write() {
        let wrong =
            |proxy: &str| Proxies::of(&options("0.0.0.0:1", &[proxy])).map(drop).expect_err("wrong").to_string();
        for text in ["proxy", "10.0.0.0/33", "10.0.0.0/", "", "10.0.0.0/8 "] {
            assert!(wrong(text).contains("write 10.0.0.0/8"), "{text}");
        }
        assert!(wrong("0.0.0.0/0").contains("everybody") && wrong("::/0").contains("everybody"));
        assert!(wrong("::ffff:10.0.0.0/104").contains("as IPv4"));
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_client_whichever_of_their_addresses_they_use() {
        let network = |text: &str| Client(text.parse().expect("an address")).network().to_string();
        assert_eq!(network("2a00:1:2:3:4:5:6:7"), "2a00:1:2:3::");
        assert_eq!(network("2a00:1:2:4:4:5:6:7"), "2a00:1:2:4::");
        assert_eq!(network("203.0.113.9"), "203.0.113.9");
    }

    proptest! {
        #[test]
        fn whatever_stands_left_of_what_the_proxy_wrote_changes_nothing(junk in prop::collection::vec(32_u8..=255, 0..200)) {
            prop_assume!(!junk.contains(&127));
            let proxies = Proxies::of(&options("127.0.0.1:1", &[])).expect("fine");
            let line = [&junk[..], b", 198.51.100.1"].concat();
            prop_assert_eq!(seen(&proxies, "127.0.0.1", &[&line]), "198.51.100.1");
        }
    }
}
