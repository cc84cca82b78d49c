//! `X-Forwarded-For` and `X-Forwarded-Proto`: who the client is when a proxy that is trusted says
//! so.
//!
//! The rules are those of uvicorn's `ProxyHeadersMiddleware`, oddities included, since programs
//! and proxies are set up for them: addresses are compared as addresses and networks, everything
//! else as text; the last address that is not trusted is the client; if all are, the first one is.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::field::{self, Header};

/// The proxies that are believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedHosts {
    always: bool,
    addresses: HashSet<Address>,
    networks: Vec<Network>,
    literals: HashSet<String>,
}

/// What trusted proxies say of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded<'a> {
    /// `http`, `https`, `ws` or `wss`, as sent.
    pub scheme: Option<&'static str>,
    /// The host of the client, and its port or 0.
    pub client: Option<(Cow<'a, str>, i64)>,
}

impl Forwarded<'_> {
    /// The scheme for a WebSocket, whose scheme a proxy may give as `https`.
    #[must_use]
    pub fn websocket_scheme(&self) -> Option<&'static str> {
        self.scheme.map(|scheme| match scheme {
            "http" => "ws",
            "https" => "wss",
            other => other,
        })
    }
}

impl TrustedHosts {
    /// From a list with commas, as on a command line: addresses, networks, other names; or `*` alone.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        if list == "*" {
            return Self { always: true, ..Self::default() };
        }
        Self::of(list.split(',').map(str::trim))
    }

    /// From a list of addresses, networks and other names. `*` counts if it is the only one.
    pub fn from_entries<'e>(entries: impl IntoIterator<Item = &'e str>) -> Self {
        let entries: Vec<&str> = entries.into_iter().collect();
        if entries == ["*"] {
            return Self { always: true, ..Self::default() };
        }
        Self::of(entries)
    }

    fn of<'e>(entries: impl IntoIterator<Item = &'e str>) -> Self {
        let mut hosts = Self::default();
        for entry in entries {
            if entry.contains('/') {
                match Network::parse(entry) {
                    Some(network) => hosts.networks.push(network),
                    None => _ = hosts.literals.insert(entry.to_owned()),
                }
            } else {
                match Address::parse(entry) {
                    Some(address) => _ = hosts.addresses.insert(address),
                    None => _ = hosts.literals.insert(entry.to_owned()),
                }
            }
        }
        hosts
    }

    /// Whether what `host` says is believed. A peer on a Unix socket has no host, so it is only
    /// believed if everybody is.
    #[must_use]
    pub fn trusts(&self, host: &str) -> bool {
        if self.always {
            return true;
        }
        if host.is_empty() {
            return false;
        }
        match Address::parse(host) {
            Some(address) => {
                self.networks.iter().any(|network| network.contains(address.ip))
                    || self.addresses.contains(&address)
            }
            None => self.literals.contains(host),
        }
    }

    /// What the headers of a request say; to be asked only if the peer itself [is
    /// trusted](Self::trusts).
    #[must_use]
    pub fn read<'a>(&self, headers: &[Header<'a>]) -> Forwarded<'a> {
        let mut scheme = None;
        let mut forwarded_for: Option<Cow<'a, [u8]>> = None;
        for header in headers {
            match header.name.len() {
                15 if header.is(b"x-forwarded-for") => match &mut forwarded_for {
                    None => forwarded_for = Some(Cow::Borrowed(header.value)),
                    Some(before) => {
                        let joined = before.to_mut();
                        joined.extend_from_slice(b", ");
                        joined.extend_from_slice(header.value);
                    }
                },
                // The last one counts, even if it makes no sense.
                17 if header.is(b"x-forwarded-proto") => scheme = known_scheme(header.value),
                _ => {}
            }
        }
        let client = forwarded_for.and_then(|list| self.client(list));
        Forwarded { scheme, client }
    }

    fn client<'a>(&self, list: Cow<'a, [u8]>) -> Option<(Cow<'a, str>, i64)> {
        let (host, port) = match latin1(list) {
            Cow::Borrowed(text) => {
                let (host, port) = self.client_in(text);
                (Cow::Borrowed(host), port)
            }
            Cow::Owned(text) => {
                let (host, port) = self.client_in(&text);
                (Cow::Owned(host.to_owned()), port)
            }
        };
        (!host.is_empty()).then_some((host, port))
    }

    fn client_in<'t>(&self, list: &'t str) -> (&'t str, i64) {
        let mut last = ("", 0);
        if !self.always {
            // Each proxy appends the address that it saw.
            for entry in list.rsplit(',') {
                last = host_and_port(entry.trim());
                if !self.trusts(last.0) {
                    break;
                }
            }
            return last;
        }
        list.split(',').next().map_or(last, |first| host_and_port(first.trim()))
    }
}

fn known_scheme(value: &[u8]) -> Option<&'static str> {
    match field::trim(value) {
        b"http" => Some("http"),
        b"https" => Some("https"),
        b"ws" => Some("ws"),
        b"wss" => Some("wss"),
        _ => None,
    }
}

/// Bytes as the characters with the same numbers.
fn latin1(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    if !bytes.is_ascii() {
        return Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect());
    }
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// `address`, `address:port` if it is no IPv6 address, `[address]`, `[address]:port`. Anything else
/// stays as it is, so that it is not taken for a trusted address.
fn host_and_port(value: &str) -> (&str, i64) {
    if let Some(rest) = value.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return (value, 0);
        };
        return match after.strip_prefix(':') {
            Some(port) => (host, integer(port).unwrap_or(0)),
            None if after.is_empty() => (host, 0),
            None => (value, 0),
        };
    }
    if let Some((host, port)) = value.split_once(':') {
        if let (false, Some(port)) = (port.contains(':'), integer(port)) {
            return (host, port);
        }
    }
    (value, 0)
}

/// A number as Python's `int()` reads it: white space around it, a sign, `_` between digits.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let mut number: i64 = 0;
    for group in digits.split('_') {
        if group.is_empty() {
            return None;
        }
        for digit in group.bytes() {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
        }
    }
    Some(if negative { -number } else { number })
}

/// An address of IPv4 or IPv6, the latter perhaps with a zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Address {
    ip: IpAddr,
    zone: Option<String>,
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        if let Some((ip, zone)) = text.split_once('%') {
            if zone.is_empty() || zone.contains('%') {
                return None;
            }
            let ip: Ipv6Addr = ip.parse().ok()?;
            return Some(Self { ip: ip.into(), zone: Some(zone.to_owned()) });
        }
        Some(Self { ip: text.parse().ok()?, zone: None })
    }
}

/// The addresses that share the bits of the mask with the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    V4 { first: u32, mask: u32 },
    V6 { first: u128, mask: u128 },
}

impl Network {
    /// `address/mask`, the latter as a number of bits or, in IPv4, as an address. Bits of the
    /// address that the mask does not cover must be zero.
    fn parse(text: &str) -> Option<Self> {
        let (address, mask) = text.split_once('/')?;
        match Address::parse(address)?.ip {
            IpAddr::V4(address) => {
                let first = address.to_bits();
                let mask = match prefix(mask, 32) {
                    Some(bits) => u32::MAX.checked_shl(32 - bits).unwrap_or(0),
                    None => mask_v4(mask.parse::<Ipv4Addr>().ok()?.to_bits())?,
                };
                (first & !mask == 0).then_some(Self::V4 { first, mask })
            }
            IpAddr::V6(address) => {
                let first = address.to_bits();
                let mask = u128::MAX.checked_shl(128 - prefix(mask, 128)?).unwrap_or(0);
                (first & !mask == 0).then_some(Self::V6 { first, mask })
            }
        }
    }

    fn contains(self, ip: IpAddr) -> bool {
        match (self, ip) {
            (Self::V4 { first, mask }, IpAddr::V4(ip)) => ip.to_bits() & mask == first,
            (Self::V6 { first, mask }, IpAddr::V6(ip)) => ip.to_bits() & mask == first,
            _ => false,
        }
    }
}

fn prefix(text: &str, most: u32) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&bits| bits <= most)
}

/// `255.255.255.0`, or the same inverted, `0.0.0.255`.
fn mask_v4(bits: u32) -> Option<u32> {
    [bits, !bits].into_iter().find(|mask| mask.leading_ones() + mask.trailing_zeros() >= 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(trusted: &str, lines: &[(&str, &str)]) -> (Option<&'static str>, Option<String>) {
        let headers: Vec<Header<'_>> = lines
            .iter()
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        let forwarded = TrustedHosts::parse(trusted).read(&headers);
        (forwarded.scheme, forwarded.client.map(|(host, port)| format!("{host} {port}")))
    }

    fn client(trusted: &str, list: &str) -> Option<String> {
        read(trusted, &[("X-Forwarded-For", list)]).1
    }

    #[test]
    fn who_is_trusted() {
        let hosts = "127.0.0.1, 10.0.0.0/8, ::1, 2001:db8::/32, 192.168.0.0/255.255.255.0, \
                     172.16.0.0/0.15.255.255, unix:, 10.1.0.1/16, 2001:dc8::1/32, fe80::/10, fd00::1%eth0";
        for (host, trusted) in [
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("127.0.0.01", false),
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("::1", true),
            ("0:0:0:0:0:0:0:1", true),
            ("::ffff:127.0.0.1", false),
            ("2001:DB8:1::", true),
            ("2001:db9::", false),
            ("192.168.0.9", true),
            ("192.168.1.9", false),
            ("172.31.9.9", true),
            ("172.32.0.0", false),
            ("unix:", true),
            ("fe80::1%eth0", true),
            ("fd00::1%eth0", true),
            ("fd00::1", false),
            ("fd00::1%", false),
            // The bits outside of the mask are not zero: so it is no network but a name.
            ("10.1.0.1/16", true),
            ("2001:dc8::1/32", true),
            ("2001:dc8::1", false),
            ("localhost", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(TrustedHosts::parse(hosts).trusts(host), trusted, "{host}");
        }
        assert!(TrustedHosts::parse("*").trusts(""));
        assert!(TrustedHosts::parse("0.0.0.0/0").trusts("1.2.3.4"));
        assert!(!TrustedHosts::parse("0.0.0.0/0").trusts("::"));
        assert!(TrustedHosts::parse("::/0").trusts("::"));
        // A star with anything else, be it a space, is a name like any other.
        assert!(!TrustedHosts::parse("*, 10.0.0.1").trusts("1.2.3.4"));
        assert!(!TrustedHosts::parse(" *").trusts("1.2.3.4"));
        assert!(TrustedHosts::parse("fe80::%eth0/10").trusts("fe80::1%eth1"));
        assert!(!TrustedHosts::parse(" 10.0.0.1/33").trusts("10.0.0.1"));
        assert!(!TrustedHosts::default().trusts("127.0.0.1"));
        assert!(TrustedHosts::from_entries(["*"]).trusts("x"));
    }

    #[test]
    fn the_client_is_the_last_that_is_not_trusted() {
        let own = "127.0.0.1,10.0.0.0/8";
        for (list, expected) in [
            ("1.2.3.4", Some("1.2.3.4 0")),
            ("9.9.9.9, 1.2.3.4", Some("1.2.3.4 0")),
            ("9.9.9.9, 1.2.3.4, 10.0.0.1", Some("1.2.3.4 0")),
            ("9.9.9.9,1.2.3.4:80 ,\t10.0.0.1:1", Some("1.2.3.4 80")),
            ("10.0.0.2:5, 10.0.0.1", Some("10.0.0.2 5")),
            ("[2001:db8::1]:443", Some("2001:db8::1 443")),
            ("[2001:db8::1]", Some("2001:db8::1 0")),
            ("[2001:db8::1]x", Some("[2001:db8::1]x 0")),
            ("[2001:db8::1]:x", Some("2001:db8::1 0")),
            ("[2001:db8::1", Some("[2001:db8::1 0")),
            ("2001:db8::1", Some("2001:db8::1 0")),
            ("1.2.3.4:x", Some("1.2.3.4:x 0")),
            ("1.2.3.4:", Some("1.2.3.4: 0")),
            ("10.0.0.1:x", Some("10.0.0.1:x 0")),
            ("unknown", Some("unknown 0")),
            ("caf\u{e9}", Some("caf\u{c3}\u{a9} 0")),
            ("", None),
            ("9.9.9.9,", None),
            ("[]", None),
        ] {
            assert_eq!(client(own, list).as_deref(), expected, "{list}");
        }
        assert_eq!(client("*", "1.1.1.1:5, 2.2.2.2").as_deref(), Some("1.1.1.1 5"));
        assert_eq!(client("*", ", 2.2.2.2"), None);
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [("x-forwarded-for", "1.1.1.1"), ("X-Forwarded-For", "2.2.2.2, 127.0.0.1")];
        assert_eq!(read("127.0.0.1", &lines).1.as_deref(), Some("2.2.2.2 0"));
        assert_eq!(read("*", &lines).1.as_deref(), Some("1.1.1.1 0"));
        assert_eq!(read("*", &[]), (None, None));
    }

    #[test]
    fn schemes() {
        for (value, scheme) in [
            ("https", Some("https")),
            ("wss", Some("wss")),
            ("HTTPS", None),
            ("http, https", None),
            ("javascript", None),
            ("", None),
        ] {
            assert_eq!(read("*", &[("X-Forwarded-Proto", value)]).0, scheme, "{value}");
        }
        let twice = [("x-forwarded-proto", "https"), ("x-forwarded-proto", "nonsense")];
        assert_eq!(read("*", &twice).0, None);
        for (scheme, expected) in [("http", "ws"), ("https", "wss"), ("ws", "ws"), ("wss", "wss")] {
            let forwarded = Forwarded { scheme: known_scheme(scheme.as_bytes()), client: None };
            assert_eq!(forwarded.websocket_scheme(), Some(expected));
        }
    }

    #[test]
    fn numbers_as_python_reads_them() {
        for (text, number) in [
            ("80", Some(80)),
            (" 80 ", Some(80)),
            ("+80", Some(80)),
            ("-5", Some(-5)),
            ("1_000", Some(1000)),
            ("080", Some(80)),
            ("", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("+-1", None),
            ("0x1", None),
            ("1.0", None),
        ] {
            assert_eq!(integer(text), number, "{text:?}");
        }
    }
}
