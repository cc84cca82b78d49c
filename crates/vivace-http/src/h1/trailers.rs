//! Trailer fields after chunked content (RFC 9110, section 6.5).

use super::head::{Headers, MOST_HEADERS};
use super::reject::Reject;
use super::request::Limits;
use super::section::BARE_LINE_FEED;
use crate::field::Header;

/// Parses a section of trailers up to its empty line. Fields that must not be trailers are left out.
pub(super) fn parse<'a>(section: &'a [u8], limits: &Limits) -> Result<Headers<'a>, Reject> {
    let mut slots = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let slots = &mut slots[..limits.headers.min(MOST_HEADERS)];
    match httparse::parse_headers(section, slots) {
        Ok(httparse::Status::Complete((length, parsed))) if length == section.len() => {
            let fields = parsed
                .iter()
                .map(|field| Header { name: field.name.as_bytes(), value: field.value })
                .filter(|field| !is_forbidden(field.name));
            Ok(Headers(fields.collect()))
        }
        Ok(_) => Err(BARE_LINE_FEED),
        Err(httparse::Error::TooManyHeaders) => Err(TRAILERS_TOO_LARGE),
        Err(_) => Err(Reject::bad_request("a trailer is invalid")),
    }
}

pub(super) const TRAILERS_TOO_LARGE: Reject =
    Reject { status: 431, reason: "the trailers are too large" };

/// Whether a field must not be a trailer: it would have changed how the message is framed, routed,
/// authorised or read (RFC 9110, section 6.5.1).
#[must_use]
pub(super) fn is_forbidden(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 42] = [
        // Framing and routing.
        b"transfer-encoding",
        b"content-length",
        b"trailer",
        b"te",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"upgrade",
        b"host",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
        // What the request asks for, and how.
        b"cache-control",
        b"expect",
        b"max-forwards",
        b"pragma",
        b"range",
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
        b"if-range",
        // Who asks.
        b"authorization",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"www-authenticate",
        b"cookie",
        b"set-cookie",
        // How the response is to be used.
        b"age",
        b"date",
        b"expires",
        b"location",
        b"retry-after",
        b"vary",
        b"warning",
        // How the content is to be read.
        b"content-encoding",
        b"content-type",
        b"content-range",
        b"content-location",
        b"content-disposition",
    ];
    NAMES.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}
