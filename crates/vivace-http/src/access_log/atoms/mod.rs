//! A line from a pattern of atoms, `%(h)s "%(r)s" %(s)s`, as gunicorn has them.
//!
//! The pattern is compiled once; an atom that does not exist is an error then, not a dash in each
//! line. `compile` reads the pattern, this file writes lines.

mod compile;

use super::escape::push_text;
use super::phrases::Phrases;
use super::record::Record;
use super::time_text::{CommonLogTime, push_padded};
use super::uvicorn::{push_client, push_request_line};
pub use compile::PatternError;

/// A compiled pattern.
pub(super) struct AtomLine {
    pieces: Vec<Piece>,
    time: CommonLogTime,
    phrases: Phrases,
    pub(super) process: u32,
}

/// What a pattern consists of.
enum Piece {
    Literal(Vec<u8>),
    Atom(Atom),
}

/// What a line can say. The letter is the atom of gunicorn, a longer name is ours or uvicorn's.
pub(super) enum Atom {
    /// `h`
    ClientHost,
    /// `client_addr`
    ClientAddress,
    /// `l`: nobody asks for this identity any more, it is always a dash
    Dash,
    /// `u`
    User,
    /// `t`: when the response ended, in local time
    Time,
    /// `r`: as it came
    RequestLine,
    /// `request_line`: as uvicorn writes it
    DecodedRequestLine,
    /// `m`
    Method,
    /// `U`: decoded, without the query
    Path,
    /// `q`
    Query,
    /// `H`
    Protocol,
    /// `s`
    Status,
    /// `status_code`: with its phrase
    StatusWithPhrase,
    /// `b`, `B`
    ResponseBytes,
    /// `T`, `M`, `D`: whole seconds, milli- and microseconds
    Duration { per_second: u32 },
    /// `L`: seconds with six decimals
    DecimalSeconds,
    /// `p`: in angle brackets
    Process,
    /// `{name}i`, `f`, `a`
    RequestHeader(Vec<u8>),
    /// `{name}o`
    ResponseHeader(Vec<u8>),
    /// `route`
    Route,
    /// `request_id`
    RequestId,
    /// `scheme`
    Scheme,
}

impl AtomLine {
    pub(super) fn push(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            let atom = match piece {
                Piece::Literal(bytes) => {
                    out.extend_from_slice(bytes);
                    continue;
                }
                Piece::Atom(atom) => atom,
            };
            match atom {
                Atom::ClientHost => push_or_dash(out, record.client.map(|client| client.host)),
                Atom::ClientAddress => push_client(out, record.client),
                Atom::Dash => out.push(b'-'),
                Atom::User => {
                    let user = record.user().filter(|user| !user.is_empty());
                    push_or_dash(out, user.as_deref());
                }
                Atom::Time => self.time.push(out, record.ended()),
                Atom::RequestLine => push_raw_request_line(out, record),
                Atom::DecodedRequestLine => push_request_line(out, record),
                Atom::Method => push_text(out, record.method),
                Atom::Path => push_text(out, record.path),
                Atom::Query => push_text(out, record.query),
                Atom::Protocol => push_protocol(out, record),
                Atom::Status => push_number(out, record.status),
                Atom::StatusWithPhrase => self.phrases.push(out, record.status),
                Atom::ResponseBytes => push_number(out, record.response_bytes),
                Atom::Duration { per_second } => {
                    let part = record.duration.subsec_micros() / (1_000_000 / per_second);
                    let whole = u128::from(record.duration.as_secs()) * u128::from(*per_second);
                    push_number(out, whole + u128::from(part));
                }
                Atom::DecimalSeconds => {
                    push_number(out, record.duration.as_secs());
                    out.push(b'.');
                    push_padded(out, record.duration.subsec_micros(), 6);
                }
                Atom::Process => {
                    out.push(b'<');
                    push_number(out, self.process);
                    out.push(b'>');
                }
                Atom::RequestHeader(name) => {
                    push_or_dash(out, record.request_headers.value(name));
                }
                Atom::ResponseHeader(name) => {
                    push_or_dash(out, record.response_headers.value(name));
                }
                Atom::Route => push_or_dash(out, record.route),
                Atom::RequestId => push_or_dash(out, record.request_id),
                Atom::Scheme => push_text(out, record.scheme.as_bytes()),
            }
        }
    }

    /// The fields of requests that the pattern names.
    pub(super) fn request_headers(&self) -> impl Iterator<Item = &[u8]> {
        self.atoms().filter_map(|atom| match atom {
            Atom::RequestHeader(name) => Some(name.as_slice()),
            Atom::User => Some(b"authorization".as_slice()),
            _ => None,
        })
    }

    /// The fields of responses that the pattern names.
    pub(super) fn response_headers(&self) -> impl Iterator<Item = &[u8]> {
        self.atoms().filter_map(|atom| match atom {
            Atom::ResponseHeader(name) => Some(name.as_slice()),
            _ => None,
        })
    }

    /// Whether the pattern names such an atom.
    pub(super) fn names(&self, such: impl Fn(&Atom) -> bool) -> bool {
        self.atoms().any(such)
    }

    fn atoms(&self) -> impl Iterator<Item = &Atom> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Atom(atom) => Some(atom),
            Piece::Literal(_) => None,
        })
    }
}

fn push_or_dash(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => push_text(out, value),
        None => out.push(b'-'),
    }
}

fn push_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn push_raw_request_line(out: &mut Vec<u8>, record: &Record<'_>) {
    push_text(out, record.method);
    out.push(b' ');
    push_text(out, record.raw_path);
    if !record.query.is_empty() {
        out.push(b'?');
        push_text(out, record.query);
    }
    out.push(b' ');
    push_protocol(out, record);
}

fn push_protocol(out: &mut Vec<u8>, record: &Record<'_>) {
    out.extend_from_slice(b"HTTP/");
    out.extend_from_slice(record.http_version.as_bytes());
}
