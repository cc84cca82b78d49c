//! Request targets (RFC 9112, section 3.2): the four forms, and the path as a program sees it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use std::borrow::Cow;

use crate::host::{Port, is_host};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The path as sent, percent-encoded. `*` in asterisk-form, empty in authority-form.
    pub path: &'a [u8],
    /// What follows the first `?`, without it.
    pub query: &'a [u8],
    /// The host and port that the target itself names, in absolute-form and authority-form.
    pub authority: Option<&'a [u8]>,
}

/// Takes the target of a request with the method `method` apart; the error says what is wrong.
///
/// # Errors
///
/// If the target has none of the four forms, or one that does not go with the method, or holds a
/// byte that is not visible ASCII, or a fragment.
pub fn parse<'a>(method: &[u8], target: &'a [u8]) -> Result<Target<'a>, &'static str> {
    // "#" would be cut off by some and kept by others on the way; no client sends it.
    if !target.iter().fold(true, |fine, &byte| fine & byte.is_ascii_graphic() & (byte != b'#')) {
        return Err("the request target holds a byte that it must not hold");
    }
    if method == b"CONNECT" {
        if !is_host(target, Port::Required) || target.starts_with(b":") {
            return Err("the target of CONNECT is not a host and a port");
        }
        return Ok(Target { path: b"", query: b"", authority: Some(target) });
    }
    match target {
        [b'/', ..] => Ok(origin(target, None)),
        b"*" if method == b"OPTIONS" => Ok(origin(target, None)),
        _ => absolute(target),
    }
}

fn origin<'a>(target: &'a [u8], authority: Option<&'a [u8]>) -> Target<'a> {
    match target.iter().position(|&byte| byte == b'?') {
        Some(mark) => Target { path: &target[..mark], query: &target[mark + 1..], authority },
        None => Target { path: target, query: b"", authority },
    }
}

/// `http://host:port/path?query`, which every server must accept.
fn absolute(target: &[u8]) -> Result<Target<'_>, &'static str> {
    let after_scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find_map(|scheme| {
            let (start, rest) = target.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        })
        .ok_or("the request target is neither a path nor a URL of http or https")?;
    let end = after_scheme
        .iter()
        .position(|&byte| byte == b'/' || byte == b'?')
        .unwrap_or(after_scheme.len());
    let (authority, rest) = after_scheme.split_at(end);
    // User information is refused with the rest of what is no host (RFC 9110, section 4.2.4).
    if authority.is_empty() || authority.starts_with(b":") || !is_host(authority, Port::Optional) {
        return Err("the request target names no valid host");
    }
    let mut target = origin(rest, Some(authority));
    if target.path.is_empty() {
        target.path = b"/";
    }
    Ok(target)
}

/// The path with its percent-encoding undone, as Python's `urllib.parse.unquote` does it.
///
/// `%` without two hexadecimal digits stays; what is not UTF-8 becomes U+FFFD. So a program sees
/// the same path as under other servers.
#[must_use]
pub fn decode_path(path: &[u8]) -> Cow<'_, str> {
    percent_encoding::percent_decode(path).decode_utf8_lossy()
}

/// The path percent-encoded again, with the letters that `urllib.parse.quote` leaves: as uvicorn
/// logs it.
#[must_use]
pub fn encode_path(path: &str) -> String {
    percent_encoding::utf8_percent_encode(path, QUOTED).to_string()
}

/// What `urllib.parse.quote` encodes: all but unreserved characters and `/`.
pub(crate) const QUOTED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~').remove(b'/');

#[cfg(test)]
mod tests {
    use super::*;

    fn target(method: &str, text: &'static str) -> Option<(&'static str, &'static str, String)> {
        let text_of = |bytes| std::str::from_utf8(bytes).expect("ASCII");
        let target = parse(method.as_bytes(), text.as_bytes()).ok()?;
        let authority = target.authority.map_or("-", text_of).to_owned();
        Some((text_of(target.path), text_of(target.query), authority))
    }

    #[test]
    fn the_four_forms() {
        for (method, text, path, query, authority) in [
            ("GET", "/", "/", "", "-"),
            ("GET", "/a?b=c?d", "/a", "b=c?d", "-"),
            ("GET", "/?", "/", "", "-"),
            ("GET", "//a//b", "//a//b", "", "-"),
            ("GET", "/%2F%zz\"<>^`{|}", "/%2F%zz\"<>^`{|}", "", "-"),
            ("OPTIONS", "*", "*", "", "-"),
            ("OPTIONS", "/", "/", "", "-"),
            ("GET", "http://a", "/", "", "a"),
            ("GET", "HTTPS://a:1/b?c", "/b", "c", "a:1"),
            ("GET", "http://a?c", "/", "c", "a"),
            ("GET", "http://[::1]:80/", "/", "", "[::1]:80"),
            ("CONNECT", "a:80", "", "", "a:80"),
        ] {
            let expected = Some((path, query, authority.to_owned()));
            assert_eq!(target(method, text), expected, "{method} {text}");
        }
    }

    #[test]
    fn what_is_no_target() {
        for (method, text) in [
            ("GET", ""),
            ("GET", "*"),
            ("GET", "a"),
            ("GET", "a:80"),
            ("GET", "?a"),
            ("GET", "/a#b"),
            ("GET", "/é"),
            ("GET", "/a b"),
            ("GET", "/a\tb"),
            ("GET", "/a\u{7f}"),
            ("GET", "http:/a"),
            ("GET", "http://"),
            ("GET", "http:///a"),
            ("GET", "http://:80/"),
            ("GET", "http://u@a/"),
            ("GET", "http://u:p@a/"),
            ("GET", "http://a:b/"),
            ("GET", "ftp://a/"),
            ("GET", "ws://a/"),
            ("OPTIONS", "**"),
            ("OPTIONS", "*?a"),
            ("CONNECT", "/"),
            ("CONNECT", "*"),
            ("CONNECT", "a"),
            ("CONNECT", ":80"),
            ("CONNECT", "http://a:80/"),
        ] {
            assert_eq!(target(method, text), None, "{method} {text}");
        }
    }

    /// Expected values: what CPython's `urllib.parse.unquote` returns.
    #[test]
    fn paths_are_decoded_as_python_does() {
        for (path, decoded) in [
            ("/", "/"),
            ("/a%20b", "/a b"),
            ("/%C3%A9%e2%82%ac", "/é€"),
            ("/%2F%2e%2e", "//.."),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%zz%41", "/%zzA"),
            ("/%%34%31", "/%41"),
            ("/a+b", "/a+b"),
            ("/%00", "/\0"),
            ("/%ff", "/\u{fffd}"),
            ("/%e2%82", "/\u{fffd}"),
            ("/%e2%82x", "/\u{fffd}x"),
            ("/%f0%9f%98%80", "/😀"),
            ("/%ed%a0%80", "/\u{fffd}\u{fffd}\u{fffd}"),
            ("/%c0%af", "/\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(decode_path(path.as_bytes()), decoded, "{path}");
        }
        assert!(matches!(decode_path(b"/plain"), Cow::Borrowed("/plain")));
    }
}
