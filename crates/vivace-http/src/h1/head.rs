//! The head of a request: `httparse` finds the parts; what it lets pass and RFC 9112 does not, and
//! what the parts mean together, is checked here.
//!
//! Left to us: line ends without CR, which bytes a target may hold and its form, the Host field,
//! the framing, limits, and telling a version that we do not speak from one that is none.

use std::mem::MaybeUninit;
use std::ops::Deref;

use super::framing::{Framing, Noted};
use super::reject::Reject;
use super::request::Limits;
use super::section::BARE_LINE_FEED;
use crate::field::{Header, is_token};
use crate::target;

/// More headers than that are never read, whatever the limit.
pub(super) const MOST_HEADERS: usize = 128;

/// The head of a request.
#[derive(Debug)]
pub struct Head<'a> {
    /// As sent; a token. Methods are case-sensitive: `get` is not `GET`.
    pub method: &'a [u8],
    /// As sent.
    pub target: &'a [u8],
    /// The path, percent-encoded as sent. `*` for `OPTIONS *`, empty for CONNECT.
    pub path: &'a [u8],
    /// What follows the first `?`.
    pub query: &'a [u8],
    /// The host that the target itself names, if it is a URL or that of CONNECT.
    pub authority: Option<&'a [u8]>,
    /// HTTP/1.1 or later; otherwise HTTP/1.0.
    pub http11: bool,
    /// HTTP/2.
    pub http2: bool,
    /// In the order sent. If the target names a host, Host has that as its value.
    pub headers: Headers<'a>,
    /// How the content ends.
    pub framing: Framing,
    /// Whether the client lets the connection stay after the response.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the content.
    pub expects_continue: bool,
    /// `Connection: upgrade` and an Upgrade field; never in HTTP/1.0.
    pub upgrade: bool,
    /// An upgrade to WebSocket is asked for, by a GET without content.
    pub websocket: bool,
    /// `TE: trailers`: trailers of the response would be read.
    pub trailers_wanted: bool,
}

/// The header fields of a head, or the trailer fields after a body; a slice of [`Header`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Headers<'a>(pub(crate) Vec<Header<'a>>);

impl<'a> Deref for Headers<'a> {
    type Target = [Header<'a>];

    fn deref(&self) -> &[Header<'a>] {
        &self.0
    }
}

/// Parses a head that `input` begins with.
///
/// Returns it with its length. `None` if it is not complete or not fit for `httparse`; then a
/// [`Section`](super::section::Section) tells which.
pub(super) fn parse<'a>(
    input: &'a [u8],
    limits: &Limits,
) -> Result<Option<(Head<'a>, usize)>, Reject> {
    let mut storage = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    let slots = &mut storage[..limits.headers.min(MOST_HEADERS)];
    let Ok(httparse::Status::Complete(length)) = request.parse_with_uninit_headers(input, slots)
    else {
        return Ok(None);
    };
    if length > limits.head_bytes {
        return Ok(None);
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Ok(None);
    };
    let mut noted = Noted::default();
    let headers = collect(&input[..length], request.headers, &mut noted)?;
    let start = RequestLine { method: method.as_bytes(), target: target.as_bytes(), minor };
    Ok(Some((assemble(start, headers, &noted, limits)?, length)))
}

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// Of the version; 0 or 1.
    minor: u8,
}

/// Checks the line ends, which `httparse` does not tell apart, and takes note of each field.
fn collect<'a>(
    head: &'a [u8],
    parsed: &[httparse::Header<'a>],
    noted: &mut Noted<'a>,
) -> Result<Vec<Header<'a>>, Reject> {
    if !head.ends_with(b"\r\n\r\n") {
        return Err(BARE_LINE_FEED);
    }
    let mut headers = Vec::with_capacity(parsed.len());
    for header in parsed {
        let name = header.name.as_bytes();
        // The line before this one ends where the name begins.
        let start = name.as_ptr().addr().wrapping_sub(head.as_ptr().addr());
        if !matches!(head.get(start.wrapping_sub(2)), Some(b'\r')) {
            return Err(BARE_LINE_FEED);
        }
        let header = Header { name, value: header.value };
        noted.header(&header)?;
        headers.push(header);
    }
    Ok(headers)
}

fn assemble<'a>(
    start: RequestLine<'a>,
    mut headers: Vec<Header<'a>>,
    noted: &Noted<'a>,
    limits: &Limits,
) -> Result<Head<'a>, Reject> {
    if start.target.len() > limits.target_bytes {
        return Err(TARGET_TOO_LONG);
    }
    let target = target::parse(start.method, start.target).map_err(Reject::bad_request)?;
    let http11 = start.minor == 1;
    let decided = noted.decide(start.method, http11)?;
    // "The host information of the request-target", not the field, counts (RFC 9112, 3.2.2).
    if let (Some(authority), Some(_)) = (target.authority, noted.host) {
        if let Some(host) = headers.iter_mut().find(|header| header.is(b"host")) {
            host.value = authority;
        }
    }
    Ok(Head {
        method: start.method,
        target: start.target,
        path: target.path,
        query: target.query,
        authority: target.authority,
        http11,
        http2: false,
        headers: Headers(headers),
        framing: decided.framing,
        keep_alive: decided.keep_alive,
        expects_continue: decided.expects_continue,
        upgrade: decided.upgrade,
        websocket: decided.websocket,
        trailers_wanted: decided.trailers_wanted,
    })
}

pub(super) const TARGET_TOO_LONG: Reject =
    Reject { status: 414, reason: "the request target is too long" };

pub(super) const HEAD_TOO_LARGE: Reject =
    Reject { status: 431, reason: "the request head is too large" };

/// Says what is wrong with a complete head that [`parse`] made nothing of.
#[cold]
pub(super) fn diagnose(head: &[u8], limits: &Limits) -> Reject {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    if let [method, _, version] = words[..] {
        if is_token(method) && is_other_version(version) {
            return Reject { status: 505, reason: "an HTTP version other than 1.0 and 1.1" };
        }
    }
    let mut slots = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let slots = &mut slots[..limits.headers.min(MOST_HEADERS)];
    Reject::bad_request(match httparse::Request::new(slots).parse(head) {
        Err(httparse::Error::TooManyHeaders) => {
            return Reject { status: 431, reason: "too many headers" };
        }
        Err(httparse::Error::Token) => "the method or the request target is invalid",
        Err(httparse::Error::Version) => "the HTTP version is invalid",
        Err(httparse::Error::HeaderName) => "the name of a header is invalid",
        Err(httparse::Error::HeaderValue) => "the value of a header is invalid",
        _ => "the head is invalid",
    })
}

/// `HTTP/` and two digits that are not those of a version that we speak.
fn is_other_version(word: &[u8]) -> bool {
    match word {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] => {
            major.is_ascii_digit()
                && minor.is_ascii_digit()
                && (*major, *minor) != (b'1', b'0')
                && (*major, *minor) != (b'1', b'1')
        }
        _ => false,
    }
}
