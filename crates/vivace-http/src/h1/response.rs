//! Writes one response: its head, what goes around each piece of content, trailers.
//!
//! ```text
//! New ─begin─► Head (header …) ─finish_head─► Content ─┬─ last piece ───────────────► Complete
//!                                                      └─ last piece ─► Trailers ─trailers─►┘
//! ```
//!
//! The content itself is not copied here: [`ResponseWriter::body`] says what goes before and after
//! it, so that both can leave in one system call.
//!
//! The server alone decides how a response is framed. `Transfer-Encoding`, `Connection` and the
//! like from the program are read for what is meant and not sent.
//!
//! HTTP/2 has the same rules and other bytes: for it only the lines of the fields are written, and
//! the frames say where what ends (`h2` makes them).

use std::fmt;

use super::head::Head;
use crate::field::{self, Header, is_token, is_value};
use crate::status;

/// What a request tells about the response to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTraits {
    /// The method is HEAD: no content is sent.
    pub head: bool,
    /// The client understands chunks.
    pub http11: bool,
    /// The response goes into frames: no chunks, no status line, nothing about the connection.
    pub http2: bool,
    /// The connection may stay, both for the client and for the server.
    pub keep_alive: bool,
    /// The client would read trailers.
    pub trailers_wanted: bool,
}

impl Default for RequestTraits {
    /// A GET of HTTP/1.1 on a connection that may stay.
    fn default() -> Self {
        Self { head: false, http11: true, http2: false, keep_alive: true, trailers_wanted: false }
    }
}

impl From<&Head<'_>> for RequestTraits {
    fn from(head: &Head<'_>) -> Self {
        Self {
            head: head.method == b"HEAD",
            http11: head.http11,
            http2: head.http2,
            keep_alive: head.keep_alive,
            trailers_wanted: head.trailers_wanted,
        }
    }
}

/// What the server adds to a head if the program has not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Defaults<'a> {
    /// The value of Date.
    pub date: Option<&'a [u8]>,
    /// The value of Server.
    pub server: Option<&'a [u8]>,
    /// Whole field lines, each with its CRLF; added in any case.
    pub extra: &'a [u8],
}

/// Why a head cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The status is none of a final response, 200 to 599.
    Status(u16),
    /// The name of a field is not a token.
    Name,
    /// The value of a field holds a control byte.
    Value,
    /// The value of Content-Length is not a number, or not the one given before.
    ContentLength,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "Invalid HTTP status: {status}."),
            Self::Name => f.write_str("Invalid HTTP header name."),
            Self::Value => f.write_str("Invalid HTTP header value."),
            Self::ContentLength => f.write_str("Invalid Content-Length header."),
        }
    }
}

impl std::error::Error for HeadError {}

/// Why content cannot be sent. The connection must be closed without another byte, so that the
/// client sees that the response is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// More than the Content-Length.
    TooLong,
    /// The end comes before the Content-Length.
    TooShort,
    /// The response was complete already. Nothing is wrong on the connection.
    Complete,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "Response content longer than Content-Length",
            Self::TooShort => "Response content shorter than Content-Length",
            Self::Complete => "Response content after the end of the response",
        })
    }
}

impl std::error::Error for BodyError {}

/// What goes around a piece of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framed {
    before: [u8; 18],
    before_length: u8,
    /// Whether the piece itself is sent.
    pub send_data: bool,
    after: &'static [u8],
}

impl Framed {
    const PLAIN: Self = Self { before: [0; 18], before_length: 0, send_data: true, after: b"" };
    const NOTHING: Self = Self { send_data: false, ..Self::PLAIN };

    /// What goes before the piece.
    #[must_use]
    pub fn before(&self) -> &[u8] {
        &self.before[..usize::from(self.before_length)]
    }

    /// What goes after the piece.
    #[must_use]
    pub fn after(&self) -> &'static [u8] {
        self.after
    }

    fn chunk(length: usize, after: &'static [u8]) -> Self {
        let mut before = [0; 18];
        let digits = (usize::BITS - length.leading_zeros()).div_ceil(4) as usize;
        for (index, place) in before[..digits].iter_mut().enumerate() {
            *place = b"0123456789abcdef"[length >> (4 * (digits - 1 - index)) & 0xf];
        }
        before[digits..digits + 2].copy_from_slice(b"\r\n");
        Self { before, before_length: digits as u8 + 2, send_data: true, after }
    }
}

/// Where a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    Head,
    Content(Content),
    /// Content is complete, trailers are not.
    Trailers(TrailersTo),
    Complete,
}

/// How the content is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Not at all: HEAD, 204, 304.
    Dropped,
    /// Up to the Content-Length; so much is missing.
    Length(u64),
    Chunked,
    /// Until the frame that says so.
    Framed,
    /// Up to the end of the connection.
    UntilClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TrailersTo {
    Client,
    Nobody,
}

/// What the fields of the head have said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    content_length: Option<u64>,
    date: bool,
    server: bool,
    upgrade: bool,
}

/// Writes one response. The caller appends to one buffer and sends that.
#[derive(Debug)]
pub struct ResponseWriter {
    request: RequestTraits,
    status: u16,
    stage: Stage,
    said: Said,
    known_length: Option<u64>,
    trailers: Option<TrailersTo>,
}

impl ResponseWriter {
    /// For the response to one request.
    #[must_use]
    pub fn new(request: RequestTraits) -> Self {
        Self {
            request,
            status: 0,
            stage: Stage::New,
            said: Said::default(),
            known_length: None,
            trailers: None,
        }
    }

    /// Writes the status line.
    ///
    /// # Errors
    ///
    /// If `status` is not one of a final response; nothing is written then.
    pub fn begin(&mut self, out: &mut Vec<u8>, status: u16) -> Result<(), HeadError> {
        debug_assert_eq!(self.stage, Stage::New, "a response has one head");
        if !(200..600).contains(&status) {
            return Err(HeadError::Status(status));
        }
        // Enough for the usual head, so that it is not moved while it grows.
        out.reserve(256);
        if !self.request.http2 {
            write_status_line(out, status);
        }
        self.status = status;
        self.stage = Stage::Head;
        Ok(())
    }

    /// Writes a field of the program, or takes note of it if the server writes that one itself.
    ///
    /// # Errors
    ///
    /// If the field could not be told from the rest of the head, or contradicts one before it.
    /// Nothing of it is written then, and what was said before stays.
    pub fn header(
        &mut self,
        out: &mut Vec<u8>,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), HeadError> {
        debug_assert_eq!(self.stage, Stage::Head, "headers come after the status line");
        check_field(name, value)?;
        if self.is_to_be_sent(name, value)? {
            write_field(out, name, value);
        }
        Ok(())
    }

    fn is_to_be_sent(&mut self, name: &[u8], value: &[u8]) -> Result<bool, HeadError> {
        // Most fields are told apart by the length of their name alone.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"date") => self.said.date = true,
            6 if name.eq_ignore_ascii_case(b"server") => self.said.server = true,
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.said.upgrade = true;
                return Ok(!self.request.http2);
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                if field::list_has(value, b"close") {
                    self.close();
                }
                return Ok(false);
            }
            10 if name.eq_ignore_ascii_case(b"keep-alive") => return Ok(false),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = field::decimal(value).ok_or(HeadError::ContentLength)?;
                return match self.said.content_length {
                    None => {
                        self.said.content_length = Some(length);
                        // A 204 must not have one.
                        Ok(self.status != 204)
                    }
                    Some(before) if before == length => Ok(false),
                    Some(_) => Err(HeadError::ContentLength),
                };
            }
            16 if name.eq_ignore_ascii_case(b"proxy-connection") => return Ok(false),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => return Ok(false),
            _ => {}
        }
        Ok(true)
    }

    /// The connection is to be closed after this response; to be called before `finish_head`, if
    /// the client is to be told.
    pub fn close(&mut self) {
        self.request.keep_alive = false;
    }

    /// The whole content will have so many bytes: a Content-Length is sent if the program has given
    /// none. To be called before `finish_head`.
    pub fn know_length(&mut self, length: u64) {
        self.known_length = Some(length);
    }

    /// Trailers will follow the content, by [`trailers`](Self::trailers). To be called before
    /// `finish_head`.
    ///
    /// They are sent only if the client asked for them and the content goes in chunks.
    pub fn promise_trailers(&mut self) {
        self.trailers = Some(match self.request.trailers_wanted {
            true => TrailersTo::Client,
            false => TrailersTo::Nobody,
        });
    }

    /// Writes what is missing of the head, and its end.
    pub fn finish_head(&mut self, out: &mut Vec<u8>, defaults: Defaults<'_>) {
        debug_assert_eq!(self.stage, Stage::Head, "the end of the head comes after its beginning");
        if let (false, Some(date)) = (self.said.date, defaults.date) {
            write_field(out, b"date", date);
        }
        if let (false, Some(server)) = (self.said.server, defaults.server) {
            write_field(out, b"server", server);
        }
        out.extend_from_slice(defaults.extra);
        let content = self.choose_content();
        let carries_trailers = match content {
            Content::Chunked | Content::Framed => true,
            Content::Length(_) => self.request.http2,
            Content::UntilClose | Content::Dropped => false,
        };
        if !carries_trailers && self.trailers.is_some() {
            self.trailers = Some(TrailersTo::Nobody);
        }
        let length = match content {
            Content::Length(length) => Some(length),
            Content::Dropped if !status::has_no_content(self.status) => self.known_length,
            _ => None,
        };
        if let (Some(length), None) = (length, self.said.content_length) {
            out.extend_from_slice(b"content-length: ");
            write_decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        match content {
            Content::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Content::UntilClose => self.close(),
            Content::Length(_) | Content::Framed | Content::Dropped => {}
        }
        if !self.request.http2 {
            self.write_connection(out);
            out.extend_from_slice(b"\r\n");
        }
        self.stage = Stage::Content(content);
    }

    fn choose_content(&self) -> Content {
        if self.request.head || status::has_no_content(self.status) {
            return Content::Dropped;
        }
        match (self.said.content_length, self.known_length) {
            (Some(length), _) => Content::Length(length),
            (None, Some(length)) if self.trailers != Some(TrailersTo::Client) => {
                Content::Length(length)
            }
            _ if self.request.http2 => Content::Framed,
            _ if self.request.http11 => Content::Chunked,
            _ => Content::UntilClose,
        }
    }

    fn write_connection(&self, out: &mut Vec<u8>) {
        let option: &[u8] = match (self.request.keep_alive, self.said.upgrade) {
            // Who sends Upgrade, after 426 for example, must say so (RFC 9110, section 7.8).
            (true, true) if self.request.http11 => b"upgrade",
            (true, true) => b"keep-alive, upgrade",
            (false, true) => b"close, upgrade",
            (true, false) if self.request.http11 => return,
            (true, false) => b"keep-alive",
            (false, false) => b"close",
        };
        write_field(out, b"connection", option);
    }

    /// What goes around `length` bytes of content; `more` says whether other pieces follow.
    ///
    /// # Errors
    ///
    /// See [`BodyError`]. Of this piece nothing must be sent then.
    pub fn body(&mut self, length: usize, more: bool) -> Result<Framed, BodyError> {
        let content = match self.stage {
            Stage::Content(content) => content,
            Stage::Trailers(_) | Stage::Complete => return Err(BodyError::Complete),
            Stage::New | Stage::Head => {
                debug_assert!(false, "content comes after the head");
                return Err(BodyError::TooLong);
            }
        };
        let framed = match content {
            Content::Dropped => Framed::NOTHING,
            Content::UntilClose | Content::Framed => Framed::PLAIN,
            Content::Length(missing) => {
                let missing = missing
                    .checked_sub(length as u64)
                    .ok_or_else(|| self.fail(BodyError::TooLong))?;
                if !more && missing > 0 {
                    return Err(self.fail(BodyError::TooShort));
                }
                self.stage = Stage::Content(Content::Length(missing));
                Framed::PLAIN
            }
            Content::Chunked => {
                let ends = !more && self.trailers != Some(TrailersTo::Client);
                match (length, ends) {
                    (0, false) => Framed::PLAIN,
                    (0, true) => Framed { after: b"0\r\n\r\n", ..Framed::PLAIN },
                    (_, false) => Framed::chunk(length, b"\r\n"),
                    (_, true) => Framed::chunk(length, b"\r\n0\r\n\r\n"),
                }
            }
        };
        if !more {
            self.stage = self.trailers.map_or(Stage::Complete, Stage::Trailers);
        }
        Ok(framed)
    }

    /// After an error the connection is good for nothing.
    fn fail(&mut self, error: BodyError) -> BodyError {
        self.close();
        self.stage = Stage::Complete;
        error
    }

    /// Appends a piece of content with what goes around it; for pieces that are copied anyway.
    ///
    /// # Errors
    ///
    /// As [`body`](Self::body); nothing is written then.
    pub fn write_body(
        &mut self,
        out: &mut Vec<u8>,
        data: &[u8],
        more: bool,
    ) -> Result<(), BodyError> {
        let framed = self.body(data.len(), more)?;
        out.extend_from_slice(framed.before());
        if framed.send_data {
            out.extend_from_slice(data);
        }
        out.extend_from_slice(framed.after());
        Ok(())
    }

    /// Writes the trailers that were promised, and the end of the response.
    ///
    /// They are checked in any case, and dropped if the client would not read them; so are fields
    /// that must not be trailers.
    ///
    /// # Errors
    ///
    /// If one is not a valid field; nothing is written then.
    pub fn trailers<'a>(
        &mut self,
        out: &mut Vec<u8>,
        fields: impl IntoIterator<Item = Header<'a>>,
    ) -> Result<(), HeadError> {
        let Stage::Trailers(to) = self.stage else {
            debug_assert!(false, "trailers come after the content, and are promised before it");
            return Ok(());
        };
        let start = out.len();
        if !self.request.http2 {
            out.extend_from_slice(b"0\r\n");
        }
        for field in fields {
            if let Err(error) = check_field(field.name, field.value) {
                out.truncate(start);
                return Err(error);
            }
            if !field::is_forbidden_trailer(field.name) {
                write_field(out, field.name, field.value);
            }
        }
        if !self.request.http2 {
            out.extend_from_slice(b"\r\n");
        }
        if to == TrailersTo::Nobody {
            out.truncate(start);
        }
        self.stage = Stage::Complete;
        Ok(())
    }

    /// Whether the connection can take another request after this response, as far as the response
    /// is concerned. Meaningful from `finish_head` on.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.request.keep_alive
    }

    /// Whether the content ends with the connection: a client of HTTP/1.0 that was told no length
    /// takes any end for the right one.
    #[must_use]
    pub fn ends_with_connection(&self) -> bool {
        self.stage == Stage::Content(Content::UntilClose)
    }

    /// Whether the head was written.
    #[must_use]
    pub fn has_head(&self) -> bool {
        !matches!(self.stage, Stage::New | Stage::Head)
    }

    /// Whether content is complete and the promised trailers are not.
    #[must_use]
    pub fn awaits_trailers(&self) -> bool {
        matches!(self.stage, Stage::Trailers(_))
    }

    /// Whether the client is to get trailers, so that the last piece of content is not the end.
    #[must_use]
    pub fn sends_trailers(&self) -> bool {
        self.stage == Stage::Trailers(TrailersTo::Client)
    }

    /// Whether all was written, or content was refused.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.stage == Stage::Complete
    }

    /// The status; 0 before [`begin`](Self::begin).
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }
}

/// The whole answer to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Writes an interim response, or the one that switches protocols: 1xx, as it is given.
///
/// Fields are checked and not chosen from: a handshake needs its `Connection` and `Upgrade`. Never
/// to be sent to a client of HTTP/1.0.
///
/// # Errors
///
/// If the status is not 1xx or a field is not valid; nothing is written then.
pub fn write_interim<'a>(
    out: &mut Vec<u8>,
    status: u16,
    fields: impl IntoIterator<Item = Header<'a>>,
) -> Result<(), HeadError> {
    if !(100..200).contains(&status) {
        return Err(HeadError::Status(status));
    }
    let start = out.len();
    write_status_line(out, status);
    if let Err(error) = write_fields(out, fields) {
        out.truncate(start);
        return Err(error);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes the lines of fields.
///
/// # Errors
///
/// If one is not a valid field; nothing is written then.
pub fn write_fields<'a>(
    out: &mut Vec<u8>,
    fields: impl IntoIterator<Item = Header<'a>>,
) -> Result<(), HeadError> {
    let start = out.len();
    for field in fields {
        if let Err(error) = check_field(field.name, field.value) {
            out.truncate(start);
            return Err(error);
        }
        write_field(out, field.name, field.value);
    }
    Ok(())
}

fn check_field(name: &[u8], value: &[u8]) -> Result<(), HeadError> {
    if !is_token(name) {
        return Err(HeadError::Name);
    }
    if !is_value(value) {
        return Err(HeadError::Value);
    }
    Ok(())
}

fn write_status_line(out: &mut Vec<u8>, status: u16) {
    if status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    write_decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(status::reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn write_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}
