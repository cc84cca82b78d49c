//! What the log says about one request, borrowed from whoever served it.

use crate::field::Header;
use std::time::{Duration, SystemTime};

/// One request that has been answered, as far as the access log is concerned.
///
/// The bytes may be hostile: each format escapes them, so that a line stays a line.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Who asked, as the application sees it (behind a proxy: the proxy's word); `None` on a
    /// UNIX socket.
    pub client: Option<Client<'a>>,
    /// `http`, `https`, `ws` or `wss`.
    pub scheme: &'a str,
    /// The method, as it came.
    pub method: &'a [u8],
    /// The path as the application sees it: percent-decoded UTF-8, root path included.
    pub path: &'a [u8],
    /// The path as it came, without the query.
    pub raw_path: &'a [u8],
    /// The query as it came, without the question mark.
    pub query: &'a [u8],
    /// `1.0`, `1.1` or `2`.
    pub http_version: &'a str,
    /// The status that was sent.
    pub status: u16,
    /// How many bytes of the body were sent.
    pub response_bytes: u64,
    /// When the request began.
    pub started: SystemTime,
    /// From then to the end of the response.
    pub duration: Duration,
    /// The identity of the request, if it has one.
    pub request_id: Option<&'a [u8]>,
    /// The template that the application matched, such as `/items/{id}`.
    pub route: Option<&'a [u8]>,
    /// The header fields of the request; only those that the format wants are looked up.
    pub request_headers: &'a dyn HeaderLookup,
    /// The header fields of the response.
    pub response_headers: &'a dyn HeaderLookup,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client<'a> {
    /// An address, or what a proxy says is one.
    pub host: &'a [u8],
    /// Zero if a proxy did not say it.
    pub port: u16,
}

/// Header fields that can be looked up.
pub trait HeaderLookup {
    /// The value of the field `name`, which is in lower case; of several, the last.
    fn value(&self, name: &[u8]) -> Option<&[u8]>;
}

/// No header fields.
impl HeaderLookup for () {
    fn value(&self, _name: &[u8]) -> Option<&[u8]> {
        None
    }
}

/// Pairs of name and value, in the order they came.
impl<N: AsRef<[u8]>, V: AsRef<[u8]>> HeaderLookup for &[(N, V)] {
    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter()
            .rev()
            .find(|(field, _)| field.as_ref().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_ref())
    }
}

/// The fields of a message, in the order they came.
impl HeaderLookup for &[Header<'_>] {
    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().rev().find(|field| field.is(name)).map(|field| field.value)
    }
}

impl Record<'_> {
    /// When the response ended.
    pub(super) fn ended(&self) -> SystemTime {
        self.started.checked_add(self.duration).unwrap_or(self.started)
    }

    /// The name of the user by which Basic authentication was tried, if it was.
    pub(super) fn user(&self) -> Option<Vec<u8>> {
        use base64::Engine as _;

        let (scheme, credentials) =
            self.request_headers.value(b"authorization")?.split_at_checked("basic ".len())?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let mut user = base64::prelude::BASE64_STANDARD.decode(credentials.trim_ascii()).ok()?;
        let colon = user.iter().position(|&byte| byte == b':')?;
        user.truncate(colon);
        Some(user)
    }
}
