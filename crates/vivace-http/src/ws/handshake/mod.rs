//! The opening handshake (RFC 6455 section 4.2; over HTTP/2, RFC 8441).
//!
//! It reads the header fields of a request that may ask for a WebSocket, and says what the
//! response needs. Who answers, and whether the connection is accepted at all, is the caller's.

mod key;
mod lists;

use std::fmt;

pub(super) use lists::Extension;

use super::deflate::{self, Parameters, Settings};

/// A valid request for a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// What the client can speak, the most wanted first.
    pub subprotocols: Vec<String>,
    /// What was agreed on about compression.
    pub deflate: Option<Parameters>,
    /// The value of `Sec-WebSocket-Accept`; HTTP/2 has none.
    accept: Option<String>,
    /// The value of `Sec-WebSocket-Extensions`.
    extensions: Option<String>,
}

/// A request for a WebSocket that must be answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the response.
    pub status: u16,
    /// What the response's head needs besides.
    pub headers: &'static [(&'static str, &'static str)],
    /// What was wrong with the request; the body of the response.
    pub reason: &'static str,
}

impl Refusal {
    const fn bad(reason: &'static str) -> Self {
        Self { status: 400, headers: &[], reason }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.status)
    }
}

impl std::error::Error for Refusal {}

const NOT_GET: Refusal = Refusal {
    status: 405,
    headers: &[("allow", "GET")],
    reason: "a WebSocket is asked for with GET",
};
/// 426 names what to upgrade to (RFC 9110 section 15.5.22), and the version (RFC 6455 section 4.4).
const OTHER_VERSION: Refusal = Refusal {
    status: 426,
    headers: &[
        ("sec-websocket-version", "13"),
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
    ],
    reason: "only version 13 of WebSocket is spoken here",
};
/// HTTP/2 has no upgrades.
const OTHER_VERSION_HTTP2: Refusal = Refusal {
    status: 400,
    headers: &[("sec-websocket-version", "13")],
    reason: OTHER_VERSION.reason,
};

impl Handshake {
    /// Reads a request of HTTP/1. `Ok(None)`: it asks for no WebSocket, and is answered like any
    /// other. `settings` are for compression, `None` turns it off.
    ///
    /// Names are compared without regard to case.
    pub fn over_http1<'head>(
        method: &[u8],
        minor_version: u8,
        headers: impl IntoIterator<Item = (&'head [u8], &'head [u8])>,
        settings: Option<&Settings>,
    ) -> Result<Option<Self>, Refusal> {
        let fields = Fields::of(headers);
        // In a request of HTTP/1.0 the field means nothing (RFC 9110 section 7.8).
        if !fields.upgrade || !fields.connection || minor_version == 0 {
            return Ok(None);
        }
        if method != b"GET" {
            return Err(NOT_GET);
        }
        // What follows the head is frames: it must not be anything else to whoever is between.
        if fields.body {
            return Err(Refusal::bad("a request for a WebSocket has no body"));
        }
        let key = fields.key.one("Sec-WebSocket-Key is there twice")?;
        let key = key.ok_or(Refusal::bad("Sec-WebSocket-Key is missing"))?;
        if !fields.is_version_13()? {
            return Err(OTHER_VERSION);
        }
        let accept = key::accept(key)
            .ok_or(Refusal::bad("Sec-WebSocket-Key is not the base64 of 16 bytes"))?;
        fields.finish(Some(accept), settings).map(Some)
    }

    /// Reads a request of HTTP/2, of which the caller knows that its method is CONNECT and its
    /// `:protocol` is `websocket`.
    pub fn over_http2<'head>(
        headers: impl IntoIterator<Item = (&'head [u8], &'head [u8])>,
        settings: Option<&Settings>,
    ) -> Result<Self, Refusal> {
        let fields = Fields::of(headers);
        if !fields.is_version_13()? {
            return Err(OTHER_VERSION_HTTP2);
        }
        fields.finish(None, settings)
    }

    /// The status with which the connection is accepted: 101, or 200 over HTTP/2.
    pub fn status(&self) -> u16 {
        if self.accept.is_some() { 101 } else { 200 }
    }

    /// The fields of the response that accepts the connection, with the subprotocol that was
    /// chosen. Names are in lower case.
    pub fn response_headers<'a>(
        &'a self,
        subprotocol: Option<&'a str>,
    ) -> impl Iterator<Item = (&'static str, &'a str)> {
        let accept = self.accept.as_deref();
        [
            ("upgrade", accept.map(|_| "websocket")),
            ("connection", accept.map(|_| "Upgrade")),
            ("sec-websocket-accept", accept),
            ("sec-websocket-protocol", subprotocol),
            ("sec-websocket-extensions", self.extensions.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// The fields of a request that matter here.
#[derive(Default)]
struct Fields<'head> {
    upgrade: bool,
    connection: bool,
    body: bool,
    key: Single<'head>,
    version: Single<'head>,
    subprotocols: Vec<&'head [u8]>,
    extensions: Vec<&'head [u8]>,
}

impl<'head> Fields<'head> {
    fn of(headers: impl IntoIterator<Item = (&'head [u8], &'head [u8])>) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            let is = |field: &str| name.eq_ignore_ascii_case(field.as_bytes());
            if is("upgrade") {
                fields.upgrade |= lists::contains(value, b"websocket");
            } else if is("connection") {
                fields.connection |= lists::contains(value, b"upgrade");
            } else if is("transfer-encoding") {
                fields.body = true;
            } else if is("content-length") {
                fields.body |= value.trim_ascii().iter().any(|&digit| digit != b'0');
            } else if is("sec-websocket-key") {
                fields.key.add(value);
            } else if is("sec-websocket-version") {
                fields.version.add(value);
            } else if is("sec-websocket-protocol") {
                fields.subprotocols.push(value);
            } else if is("sec-websocket-extensions") {
                fields.extensions.push(value);
            }
        }
        fields
    }

    fn is_version_13(&self) -> Result<bool, Refusal> {
        Ok(self.version.one("Sec-WebSocket-Version is there twice")? == Some(b"13"))
    }

    fn finish(
        self,
        accept: Option<String>,
        settings: Option<&Settings>,
    ) -> Result<Handshake, Refusal> {
        let subprotocols = lists::subprotocols(&self.subprotocols)
            .ok_or(Refusal::bad("Sec-WebSocket-Protocol is malformed"))?;
        let offers = lists::extensions(&self.extensions)
            .ok_or(Refusal::bad("Sec-WebSocket-Extensions is malformed"))?;
        let agreed = settings.and_then(|settings| deflate::negotiate(&offers, settings));
        let (deflate, extensions) = agreed.unzip();
        Ok(Handshake { subprotocols, deflate, accept, extensions })
    }
}

/// A field that may be there once.
#[derive(Clone, Copy, Default)]
enum Single<'head> {
    #[default]
    Missing,
    Once(&'head [u8]),
    Repeated,
}

impl<'head> Single<'head> {
    fn add(&mut self, value: &'head [u8]) {
        *self = match self {
            Self::Missing => Self::Once(value.trim_ascii()),
            _ => Self::Repeated,
        };
    }

    fn one(self, repeated: &'static str) -> Result<Option<&'head [u8]>, Refusal> {
        match self {
            Self::Missing => Ok(None),
            Self::Once(value) => Ok(Some(value)),
            Self::Repeated => Err(Refusal::bad(repeated)),
        }
    }
}
