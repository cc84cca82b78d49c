//! Reads requests from the bytes of a connection, one after the other.
//!
//! ```text
//!        ┌───────────────────────────────────────────────────┐
//!        ▼                                                   │
//!      Head ─► Head event ─┬─ no content ───────────────► Finished ─► End event
//!                          ├─ length ─► Length ─► Body … ────▲
//!                          └─ chunked ─► Chunks ─► Body … ─► Trailers ─► (Trailers event) ─┘
//! ```
//!
//! From each state a [`Reject`] leads to `Rejected`, for good. Content is handed out where it lies
//! in the input, never copied; a head is copied only if it comes in pieces. The events depend on
//! the bytes, not on how they were cut, but for where content is cut.

use super::chunked::{Chunks, Piece};
pub use super::framing::Framing;
use super::head::{self, HEAD_TOO_LARGE, MOST_HEADERS, TARGET_TOO_LONG};
pub use super::head::{Head, Headers};
pub use super::reject::Reject;
use super::section::{BARE_LINE_FEED, Fault, Lines, Section};
use super::trailers::{self, TRAILERS_TOO_LARGE};
pub use crate::field::Header;
use crate::field::is_token_byte;

/// How much is read of one request, its content apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, and of trailers; more is answered with 431.
    pub head_bytes: usize,
    /// Fields of a head, and of trailers, 128 at most; more is answered with 431.
    pub headers: usize,
    /// Bytes of the request target; more is answered with 414.
    pub target_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes: 64 * 1024, headers: 100, target_bytes: 32 * 1024 }
    }
}

/// Empty lines before a request that are passed over. One is what a client of old may send after
/// content (RFC 9112, section 2.2).
const MOST_EMPTY_LINES: u8 = 8;

/// What came next.
#[derive(Debug)]
pub enum Event<'a> {
    /// A request begins.
    Head(Head<'a>),
    /// Some of the content; not empty.
    Body(&'a [u8]),
    /// Fields after chunked content, before the end; those that must not be there are left out.
    Trailers(Headers<'a>),
    /// The request is complete. The next call begins the next one.
    End,
}

#[derive(Clone, Debug)]
enum State {
    Head { empty_lines: u8 },
    Length { remaining: u64 },
    Chunks(Chunks),
    Trailers,
    Finished,
    Rejected(Reject),
}

const BEGIN: State = State::Head { empty_lines: 0 };

/// Reads the requests of one connection.
///
/// After a head with [`Head::upgrade`] that is answered with 101, what is left of the input belongs
/// to the other protocol, and the reader is of no more use.
#[derive(Debug)]
pub struct RequestReader {
    limits: Limits,
    state: State,
    section: Section,
    /// The section was handed out; it is forgotten with the next call.
    section_used: bool,
}

impl RequestReader {
    /// A reader for a connection on which nothing has arrived yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { headers: limits.headers.min(MOST_HEADERS), ..limits };
        Self { limits, state: BEGIN, section: Section::default(), section_used: false }
    }

    /// What comes next, taken from the front of `input`.
    ///
    /// The event is to be dropped before the next call; what remains of `input` outlives it.
    ///
    /// `None`: more bytes are needed, and all of `input` was taken. After [`Event::End`] the next
    /// call begins the next request; bytes of it that are there already stay in `input`.
    ///
    /// # Errors
    ///
    /// A request that cannot be read. Each later call returns the same.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'a>>, Reject> {
        if self.section_used {
            self.section_used = false;
            self.section.clear();
        }
        match self.state {
            State::Head { .. } => self.next_head(input),
            State::Length { ref mut remaining } => {
                if input.is_empty() {
                    return Ok(None);
                }
                let count = usize::try_from(*remaining).unwrap_or(usize::MAX).min(input.len());
                let (data, rest) = input.split_at(count);
                *input = rest;
                *remaining -= count as u64;
                if *remaining == 0 {
                    self.state = State::Finished;
                }
                Ok(Some(Event::Body(data)))
            }
            State::Chunks(ref mut chunks) => match chunks.next(input) {
                Ok(Piece::Data(data)) => Ok(Some(Event::Body(data))),
                Ok(Piece::NeedsMore) => Ok(None),
                Ok(Piece::LastChunk) => {
                    self.state = State::Trailers;
                    self.next_trailers(input)
                }
                Err(reject) => Err(refuse(&mut self.state, reject)),
            },
            State::Trailers => self.next_trailers(input),
            State::Finished => {
                self.state = BEGIN;
                Ok(Some(Event::End))
            }
            State::Rejected(reject) => Err(reject),
        }
    }

    /// No byte of a next request has been seen; empty lines before it do not count.
    #[must_use]
    pub fn is_between_requests(&self) -> bool {
        matches!(self.state, State::Head { .. }) && !self.has_partial_head()
    }

    /// A head has begun and is not complete.
    #[must_use]
    pub fn has_partial_head(&self) -> bool {
        matches!(self.state, State::Head { .. })
            && !self.section_used
            && !matches!(self.section.bytes(), [] | [b'\r'])
    }

    fn next_head<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'a>>, Reject> {
        loop {
            if self.section.is_empty() {
                if let [b'\r', b'\n', rest @ ..] = *input {
                    *input = rest;
                    self.pass_over_empty_line()?;
                    continue;
                }
                let Some(&first) = input.first() else {
                    return Ok(None);
                };
                // What is not HTTP at all, such as TLS, often has no end of line to wait for.
                if !is_token_byte(first) && first != b'\r' {
                    return Err(refuse(&mut self.state, NO_METHOD));
                }
                // A head that is not as it should be goes the long way, where it does not matter
                // how the bytes were cut.
                if let Ok(Some((head, length))) = head::parse(input, &self.limits) {
                    *input = &input[length..];
                    self.state = after_head(head.framing);
                    return Ok(Some(Event::Head(head)));
                }
            }
            match self.section.gather(input, self.limits.head_bytes) {
                Ok(false) => return Ok(None),
                Ok(true) if self.section.bytes() == b"\r\n" => {
                    self.section.clear();
                    self.pass_over_empty_line()?;
                }
                Ok(true) => break,
                Err(fault) => {
                    let reject = match fault {
                        Fault::BareLineFeed => BARE_LINE_FEED,
                        Fault::TooLarge { lines: Lines::None } => TARGET_TOO_LONG,
                        Fault::TooLarge { lines: Lines::Some } => HEAD_TOO_LARGE,
                    };
                    return Err(refuse(&mut self.state, reject));
                }
            }
        }
        self.section_used = true;
        let bytes = self.section.bytes();
        let head = match head::parse(bytes, &self.limits) {
            Ok(Some((head, length))) if length == bytes.len() => head,
            Ok(_) => {
                return Err(refuse(&mut self.state, head::diagnose(bytes, &self.limits)));
            }
            Err(reject) => return Err(refuse(&mut self.state, reject)),
        };
        self.state = after_head(head.framing);
        Ok(Some(Event::Head(head)))
    }

    fn pass_over_empty_line(&mut self) -> Result<(), Reject> {
        match &mut self.state {
            State::Head { empty_lines } if *empty_lines < MOST_EMPTY_LINES => {
                *empty_lines += 1;
                Ok(())
            }
            state => Err(refuse(state, NO_METHOD)),
        }
    }

    fn next_trailers<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'a>>, Reject> {
        // Hardly ever are there any.
        if self.section.is_empty() {
            if let [b'\r', b'\n', rest @ ..] = *input {
                *input = rest;
                self.state = BEGIN;
                return Ok(Some(Event::End));
            }
        }
        match self.section.gather(input, self.limits.head_bytes) {
            Ok(false) => return Ok(None),
            Ok(true) => self.section_used = true,
            Err(Fault::BareLineFeed) => return Err(refuse(&mut self.state, BARE_LINE_FEED)),
            Err(Fault::TooLarge { .. }) => {
                return Err(refuse(&mut self.state, TRAILERS_TOO_LARGE));
            }
        }
        if self.section.bytes() == b"\r\n" {
            self.state = BEGIN;
            return Ok(Some(Event::End));
        }
        self.state = State::Finished;
        match trailers::parse(self.section.bytes(), &self.limits) {
            Ok(trailers) => Ok(Some(Event::Trailers(trailers))),
            Err(reject) => Err(refuse(&mut self.state, reject)),
        }
    }
}

const NO_METHOD: Reject = Reject::bad_request("this does not begin with a method");

fn after_head(framing: Framing) -> State {
    match framing {
        Framing::None | Framing::Length(0) => State::Finished,
        Framing::Length(remaining) => State::Length { remaining },
        Framing::Chunked => State::Chunks(Chunks::new()),
    }
}

/// Nothing is read after what could not be read.
fn refuse(state: &mut State, reject: Reject) -> Reject {
    *state = State::Rejected(reject);
    reject
}
