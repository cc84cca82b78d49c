//! `uri-host [ ":" port ]` (RFC 3986, section 3.2), as in the Host field and in request targets.

use crate::byte_class::alphanumeric_and;

/// Whether a port must, may or must not follow the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// As in a Host field.
    Optional,
    /// As in the target of CONNECT.
    Required,
}

// unreserved and sub-delims; "%" comes with two hexadecimal digits.
static REG_NAME: [bool; 256] = alphanumeric_and(b"-._~!$&'()*+,;=");

/// Whether `value` is a host with a port, as the grammar has it. The host may be empty.
#[must_use]
pub fn is_host(value: &[u8], port: Port) -> bool {
    let Some(rest) = after_host(value) else {
        return false;
    };
    match rest {
        [] => port == Port::Optional,
        [b':', digits @ ..] => {
            (port == Port::Optional || !digits.is_empty())
                && digits.len() <= 5
                && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

/// What follows the host, if it is one.
fn after_host(value: &[u8]) -> Option<&[u8]> {
    if let [b'[', literal @ ..] = value {
        let end = literal.iter().position(|&byte| byte == b']')?;
        return is_ip_literal(&literal[..end]).then(|| &literal[end + 1..]);
    }
    let mut rest = value;
    loop {
        match rest {
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = tail;
            }
            [byte, tail @ ..] if REG_NAME[usize::from(*byte)] => rest = tail,
            _ => return Some(rest),
        }
    }
}

/// What stands between brackets: an IPv6 address, or one of a version to come.
fn is_ip_literal(literal: &[u8]) -> bool {
    if let [b'v' | b'V', future @ ..] = literal {
        let Some(dot) = future.iter().position(|&byte| byte == b'.') else {
            return false;
        };
        let (version, address) = (&future[..dot], &future[dot + 1..]);
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !address.is_empty()
            && address.iter().all(|&byte| byte == b':' || REG_NAME[usize::from(byte)]);
    }
    std::str::from_utf8(literal).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in [
            "",
            "a",
            "example.org",
            "example.org:80",
            "example.org:",
            "under_score:8000",
            "127.0.0.1:8000",
            "[::1]",
            "[::1]:443",
            "[2001:db8::ffff:1.2.3.4]",
            "[v1.a:b]",
            "%C3%A9.org",
            "a!$&'()*+,;=b",
        ] {
            assert!(is_host(good.as_bytes(), Port::Optional), "{good}");
        }
        for bad in [
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "u@a",
            "a:b",
            "a:1:2",
            "a:-1",
            "a:123456",
            "::1",
            "[::1",
            "[]",
            "[::1]a",
            "[::g]",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            "[v.a]",
            "[v1.]",
            "[v1.a/b]",
            "[v1]",
            "%4",
            "%zz",
            "é",
            "a\\b",
            "<a>",
            "a\tb",
            "a\0",
        ] {
            assert!(!is_host(bad.as_bytes(), Port::Optional), "{bad}");
        }
    }

    #[test]
    fn a_required_port() {
        assert!(is_host(b"a:80", Port::Required));
        assert!(is_host(b"[::1]:80", Port::Required));
        assert!(!is_host(b"a", Port::Required));
        assert!(!is_host(b"a:", Port::Required));
    }
}
