//! Lines of fields, as `h1::response` writes them, for a frame.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The fields of `lines`. They were checked when they were written; one that a frame cannot carry
/// all the same is left out.
pub(super) fn from_lines(lines: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(8);
    let mut rest = lines;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\r') {
        let line = &rest[..end];
        rest = rest.get(end + 2..).unwrap_or_default();
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let value = line[colon + 1..].trim_ascii();
        let name = HeaderName::from_bytes(&line[..colon]).ok().filter(|name| !is_hop(name));
        if let (Some(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    map
}

/// Whether the field is about a connection of HTTP/1.1 (RFC 9113, section 8.2.2).
fn is_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" | "te"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_fields_in_their_order() {
        let map = from_lines(b"B: 1\r\na:  x y\t\r\nb: 2\r\nempty: \r\ncolon: a:b\r\nTE: x\r\n");
        let fields: Vec<_> =
            map.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(
            fields,
            [("b", &b"1"[..]), ("b", b"2"), ("a", b"x y"), ("empty", b""), ("colon", b"a:b")]
        );
        assert!(from_lines(b"").is_empty());
    }
}
