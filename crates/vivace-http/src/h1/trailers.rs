//! Trailer fields after chunked content (RFC 9110, section 6.5).

use super::head::{Headers, MOST_HEADERS};
use super::reject::Reject;
use super::request::Limits;
use super::section::BARE_LINE_FEED;
use crate::field::{Header, is_forbidden_trailer};

/// Parses a section of trailers up to its empty line. Fields that must not be trailers are left out.
pub(super) fn parse<'a>(section: &'a [u8], limits: &Limits) -> Result<Headers<'a>, Reject> {
    let mut slots = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let slots = &mut slots[..limits.headers.min(MOST_HEADERS)];
    match httparse::parse_headers(section, slots) {
        Ok(httparse::Status::Complete((length, parsed))) if length == section.len() => {
            let fields = parsed
                .iter()
                .map(|field| Header { name: field.name.as_bytes(), value: field.value })
                .filter(|field| !is_forbidden_trailer(field.name));
            Ok(Headers(fields.collect()))
        }
        Ok(_) => Err(BARE_LINE_FEED),
        Err(httparse::Error::TooManyHeaders) => Err(TRAILERS_TOO_LARGE),
        Err(_) => Err(Reject::bad_request("a trailer is invalid")),
    }
}

pub(super) const TRAILERS_TOO_LARGE: Reject =
    Reject { status: 431, reason: "the trailers are too large" };
