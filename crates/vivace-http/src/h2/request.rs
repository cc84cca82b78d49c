//! The head of a request: what the `h2` crate has made of it, as a [`Head`].

use http::request::Parts;

use super::limits::Limits;
use crate::field::{self, Header};
use crate::h1::reject::Reject;
use crate::h1::request::{Framing, Head, Headers};
use crate::host::{Port, is_host};

/// One request, without its content.
#[derive(Debug)]
pub struct Request {
    /// Which stream it came on, and its answer goes on.
    pub stream: u32,
    /// No content follows.
    pub ends: bool,
    pub(super) parts: Parts,
}

impl Request {
    /// `:scheme`, which is what the client says.
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        self.parts.uri.scheme_str()
    }

    /// What the stream is to become, if it is to become something else (RFC 8441, section 4).
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.parts.extensions.get::<h2::ext::Protocol>().map(h2::ext::Protocol::as_str)
    }

    /// The head. Its first header is Host, which has `:authority` as its value (RFC 9113, section
    /// 8.3.1).
    ///
    /// # Errors
    ///
    /// If there are too many fields, no valid host is named or two are, the target is `*` and the
    /// method not OPTIONS, or a value begins or ends with white space. Such a request is to be
    /// answered; the connection stays.
    pub fn head(&self, limits: &Limits) -> Result<Head<'_>, Reject> {
        let Parts { method, uri, headers, .. } = &self.parts;
        if headers.len() > limits.headers {
            return Err(Reject { status: 431, reason: "too many headers" });
        }
        let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
        let host = authority.or_else(|| headers.get("host").map(|value| value.as_bytes()));
        let Some(host) = host.filter(|host| is_host(host, Port::Optional)) else {
            return Err(Reject::bad_request("the request names no valid host"));
        };
        if headers.get_all("host").iter().nth(1).is_some() {
            return Err(Reject::bad_request("more than one Host header"));
        }
        if uri.path() == "*" && method != http::Method::OPTIONS {
            return Err(Reject::bad_request("the target * is that of OPTIONS alone"));
        }
        // RFC 9113, section 8.2.1. Taken for part of the value by some, and cut off by others.
        if headers.values().any(|value| value.as_bytes().trim_ascii().len() != value.len()) {
            return Err(Reject::bad_request("a header begins or ends with white space"));
        }
        let mut fields = Vec::with_capacity(headers.len() + 1);
        fields.push(Header { name: b"host", value: host });
        fields.extend(
            headers
                .iter()
                .map(|(name, value)| Header { name: name.as_ref(), value: value.as_bytes() })
                .filter(|field| field.name != b"host"),
        );
        let length = headers.get("content-length");
        let framing = match length.and_then(|value| field::decimal(value.as_bytes())) {
            _ if self.ends => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        let has = |name: &str, option: &[u8]| {
            headers.get_all(name).iter().any(|value| field::list_has(value.as_bytes(), option))
        };
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        Ok(Head {
            method: method.as_str().as_bytes(),
            target: target.as_bytes(),
            path: uri.path_and_query().map_or("", |target| target.path()).as_bytes(),
            query: uri.query().unwrap_or_default().as_bytes(),
            authority,
            http11: true,
            http2: true,
            expects_continue: framing.has_content() && has("expect", b"100-continue"),
            headers: Headers(fields),
            framing,
            keep_alive: true,
            upgrade: false,
            websocket: false,
            trailers_wanted: has("te", b"trailers"),
        })
    }
}
