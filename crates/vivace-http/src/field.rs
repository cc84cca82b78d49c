//! Header and trailer fields (RFC 9110, section 5): which bytes a name and a value may hold, and
//! lists in values.
//!
//! A name is compared without regard to case and kept as it was sent.

use crate::byte_class::alphanumeric_and;

/// One field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// As sent; a token.
    pub name: &'a [u8],
    /// Without the white space around it.
    pub value: &'a [u8],
}

impl Header<'_> {
    /// Whether the name is `name`, which is given in any case.
    #[must_use]
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

static TOKEN: [bool; 256] = alphanumeric_and(b"!#$%&'*+-.^_`|~");

/// Whether `byte` may stand in a token, such as a method or the name of a field.
#[must_use]
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether `name` is a token: at least one byte, no white space, no delimiter.
#[must_use]
pub fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| TOKEN[usize::from(byte)])
}

/// Whether `value` may be a field value: no control byte but the tab.
///
/// Bytes from 0x80 on are allowed (`obs-text`), as is white space around the value.
#[must_use]
pub fn is_value(value: &[u8]) -> bool {
    // No early return: so it is done for many bytes at once.
    !value.iter().fold(false, |bad, &byte| bad | ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f))
}

/// The members of a comma-separated list, trimmed; empty ones are passed over.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|member| !member.is_empty())
}

/// Whether a comma-separated list has the member `wanted`, in any case.
#[must_use]
pub fn list_has(value: &[u8], wanted: &[u8]) -> bool {
    list(value).any(|member| member.eq_ignore_ascii_case(wanted))
}

/// Without the spaces and tabs around it.
#[must_use]
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The number in decimal digits, if it is nothing else and fits an `i64`.
///
/// No sign, white space or separator. The bound keeps it in range for whoever counts with signed
/// numbers.
#[must_use]
pub fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut number: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    (number <= i64::MAX as u64).then_some(number)
}

/// Whether a field must not be a trailer: it would have changed how the message is framed, routed,
/// authorised or read (RFC 9110, section 6.5.1).
#[must_use]
pub fn is_forbidden_trailer(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 42] = [
        // Framing and routing.
        b"transfer-encoding",
        b"content-length",
        b"trailer",
        b"te",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"upgrade",
        b"host",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
        // What the request asks for, and how.
        b"cache-control",
        b"expect",
        b"max-forwards",
        b"pragma",
        b"range",
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
        b"if-range",
        // Who asks.
        b"authorization",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"www-authenticate",
        b"cookie",
        b"set-cookie",
        // How the response is to be used.
        b"age",
        b"date",
        b"expires",
        b"location",
        b"retry-after",
        b"vary",
        b"warning",
        // How the content is to be read.
        b"content-encoding",
        b"content-type",
        b"content-range",
        b"content-location",
        b"content-disposition",
    ];
    NAMES.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_bytes_are_those_of_the_grammar() {
        let allowed: Vec<u8> = (0..=255).filter(|&byte| is_token_byte(byte)).collect();
        assert_eq!(
            allowed,
            b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~"
        );
        assert!(!is_token(b""));
        assert!(is_token(b"X-A"));
        assert!(!is_token(b"X A"));
    }

    #[test]
    fn a_value_has_no_control_byte_but_the_tab() {
        for byte in 0..=255u8 {
            let control = (byte < 0x20 && byte != b'\t') || byte == 0x7f;
            assert_eq!(is_value(&[b'a', byte, b'b']), !control, "{byte:#x}");
        }
        assert!(is_value(b""));
    }

    #[test]
    fn lists_are_trimmed_and_compared_in_any_case() {
        assert_eq!(list(b" a ,,\tb,").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(list(b"").count(), 0);
        assert!(list_has(b"keep-alive, Upgrade", b"upgrade"));
        assert!(!list_has(b"not-upgrade", b"upgrade"));
    }

    #[test]
    fn trailers_that_are_forbidden() {
        for name in ["Content-Length", "host", "Transfer-Encoding", "COOKIE", "x-forwarded-for"] {
            assert!(is_forbidden_trailer(name.as_bytes()), "{name}");
        }
        for name in ["Server-Timing", "Content-MD5", "Digest", "grpc-status", "x-host", ""] {
            assert!(!is_forbidden_trailer(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn decimal_numbers() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"0042"), Some(42));
        assert_eq!(decimal(b"9223372036854775807"), Some(i64::MAX as u64));
        for bad in [
            &b""[..],
            b"+1",
            b"-1",
            b" 1",
            b"1 ",
            b"1,1",
            b"0x1",
            b"1_0",
            b"9223372036854775808",
            b"18446744073709551616",
            b"99999999999999999999999",
        ] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }
}
