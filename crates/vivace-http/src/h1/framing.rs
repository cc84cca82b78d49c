//! How the content of a request ends (RFC 9112, section 6), and other things that only the whole
//! head tells: whether the connection stays, what the client asks for.
//!
//! Requests are smuggled through servers that disagree about their framing. So whatever could be
//! read in two ways is refused.

use super::reject::Reject;
use crate::field::{self, Header};
use crate::host::{Port, is_host};

/// How the content of a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes, which may be none.
    Length(u64),
    /// With the last chunk; of HTTP/2, with the frame that says so.
    Chunked,
}

impl Framing {
    /// Whether any content can come.
    #[must_use]
    pub fn has_content(self) -> bool {
        !matches!(self, Self::None | Self::Length(0))
    }
}

/// What the fields that the server itself minds have said so far.
#[derive(Debug, Default)]
pub(super) struct Noted<'a> {
    pub(super) host: Option<&'a [u8]>,
    content_length: Option<u64>,
    transfer_encoding: TransferEncoding,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: bool,
    upgrade_websocket: bool,
    expects_continue: bool,
    te_trailers: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum TransferEncoding {
    #[default]
    Absent,
    /// `chunked` and nothing else.
    Chunked,
    /// A coding that we do not know, with `chunked` after it.
    UnknownThenChunked,
    /// The end of the content could not be found.
    NotChunkedLast,
}

/// What the head as a whole says.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) upgrade: bool,
    pub(super) websocket: bool,
    pub(super) trailers_wanted: bool,
}

impl<'a> Noted<'a> {
    /// Takes note of one field.
    pub(super) fn header(&mut self, header: &Header<'a>) -> Result<(), Reject> {
        // Most fields are told apart by the length of their name alone.
        match header.name.len() {
            2 if header.is(b"te") => {
                self.te_trailers |= field::list_has(header.value, b"trailers");
            }
            4 if header.is(b"host") => self.host(header.value)?,
            6 if header.is(b"expect") => {
                self.expects_continue |= field::list_has(header.value, b"100-continue");
            }
            7 if header.is(b"upgrade") => {
                self.upgrade = true;
                self.upgrade_websocket |= field::list_has(header.value, b"websocket");
            }
            10 if header.is(b"connection") => self.connection(header.value),
            14 if header.is(b"content-length") => self.content_length(header.value)?,
            17 if header.is(b"transfer-encoding") => self.transfer_encoding(header.value)?,
            _ => {}
        }
        Ok(())
    }

    fn host(&mut self, value: &'a [u8]) -> Result<(), Reject> {
        if self.host.replace(value).is_some() {
            return Err(Reject::bad_request("more than one Host header"));
        }
        if !is_host(value, Port::Optional) {
            return Err(Reject::bad_request("the Host header is not a host"));
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for option in field::list(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    /// A second one is refused even if it says the same, as is a list.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Reject> {
        if self.content_length.is_some() {
            return Err(Reject::bad_request("more than one Content-Length header"));
        }
        let length = field::decimal(value);
        self.content_length =
            Some(length.ok_or(Reject::bad_request("the Content-Length header is not a number"))?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Reject> {
        for coding in value.split(|&byte| byte == b',').map(field::trim) {
            let name = coding.split(|&byte| byte == b';').next().unwrap_or_default();
            if !field::is_token(field::trim(name)) {
                return Err(Reject::bad_request("the Transfer-Encoding header is not a list"));
            }
            self.transfer_encoding = match self.transfer_encoding {
                TransferEncoding::Chunked | TransferEncoding::UnknownThenChunked => {
                    return Err(Reject::bad_request("a transfer coding comes after chunked"));
                }
                before if coding.eq_ignore_ascii_case(b"chunked") => match before {
                    TransferEncoding::Absent => TransferEncoding::Chunked,
                    _ => TransferEncoding::UnknownThenChunked,
                },
                _ => TransferEncoding::NotChunkedLast,
            };
        }
        Ok(())
    }

    /// Whatever needs more than one field.
    pub(super) fn decide(&self, method: &[u8], http11: bool) -> Result<Decided, Reject> {
        if http11 && self.host.is_none() {
            return Err(Reject::bad_request("no Host header"));
        }
        let framing = self.framing(http11)?;
        let upgrade = http11 && self.connection_upgrade && self.upgrade;
        Ok(Decided {
            framing,
            keep_alive: !self.close && (http11 || self.keep_alive),
            // HTTP/1.0 knows neither of them (RFC 9110, sections 10.1.1 and 7.8).
            expects_continue: http11 && self.expects_continue && framing.has_content(),
            upgrade,
            websocket: upgrade
                && self.upgrade_websocket
                && method == b"GET"
                && !framing.has_content(),
            trailers_wanted: http11 && self.te_trailers,
        })
    }

    fn framing(&self, http11: bool) -> Result<Framing, Reject> {
        match (self.transfer_encoding, self.content_length) {
            (TransferEncoding::Absent, None) => Ok(Framing::None),
            (TransferEncoding::Absent, Some(length)) => Ok(Framing::Length(length)),
            (_, Some(_)) => {
                Err(Reject::bad_request("both Transfer-Encoding and Content-Length are given"))
            }
            (_, None) if !http11 => {
                Err(Reject::bad_request("Transfer-Encoding in a request of HTTP/1.0"))
            }
            (TransferEncoding::Chunked, None) => Ok(Framing::Chunked),
            (TransferEncoding::NotChunkedLast, None) => {
                Err(Reject::bad_request("the last transfer coding is not chunked"))
            }
            (TransferEncoding::UnknownThenChunked, None) => {
                Err(Reject { status: 501, reason: "a transfer coding other than chunked" })
            }
        }
    }
}
