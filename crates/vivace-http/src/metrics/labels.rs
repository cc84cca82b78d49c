//! The values that labels take: few, and known in advance, so that a client cannot make series.

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// Any other.
    Other,
}

impl Method {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [(Self, &'static str); 8] = [
        (Self::Get, "GET"),
        (Self::Head, "HEAD"),
        (Self::Post, "POST"),
        (Self::Put, "PUT"),
        (Self::Patch, "PATCH"),
        (Self::Delete, "DELETE"),
        (Self::Options, "OPTIONS"),
        (Self::Other, "other"),
    ];

    /// The method with these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"PATCH" => Self::Patch,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}

/// The names of the classes of statuses; a status beyond them counts as the last.
pub(super) const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// Which of `STATUS_CLASSES` a status belongs to.
pub(super) fn status_class(status: u16) -> usize {
    match status {
        100..600 => usize::from(status / 100) - 1,
        _ => STATUS_CLASSES.len() - 1,
    }
}

/// Why the server refused a request, or gave up a connection, without the application's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Not HTTP: 400.
    Malformed,
    /// The head did not arrive in time: 408.
    HeadTimeout,
    /// The body arrived too slowly: 408.
    SlowBody,
    /// The body is too large: 413.
    ContentTooLarge,
    /// The request target is too long: 414.
    TargetTooLong,
    /// Too many connections or requests of one address: 429.
    TooManyFromAddress,
    /// The head is too large: 431.
    HeadTooLarge,
    /// A version or a transfer coding that the server does not have: 501, 505.
    NotSupported,
    /// Too many requests in flight: 503.
    Overload,
    /// The server is about to end: 503.
    Draining,
    /// The application took too long: 503, or the connection was cut.
    RequestTimeout,
    /// The client does not read its response.
    WriteStall,
    /// TLS was not agreed upon, or not in time.
    TlsHandshake,
}

impl Rejection {
    /// All of them, in the order of their numbers, with the label that each has.
    pub(super) const ALL: [(Self, &'static str); 13] = [
        (Self::Malformed, "malformed"),
        (Self::HeadTimeout, "head_timeout"),
        (Self::SlowBody, "slow_body"),
        (Self::ContentTooLarge, "content_too_large"),
        (Self::TargetTooLong, "target_too_long"),
        (Self::TooManyFromAddress, "too_many_from_address"),
        (Self::HeadTooLarge, "head_too_large"),
        (Self::NotSupported, "not_supported"),
        (Self::Overload, "overload"),
        (Self::Draining, "draining"),
        (Self::RequestTimeout, "request_timeout"),
        (Self::WriteStall, "write_stall"),
        (Self::TlsHandshake, "tls_handshake"),
    ];

    /// The reason behind a status by which a reader of requests rejects one.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            408 => Self::HeadTimeout,
            413 => Self::ContentTooLarge,
            414 => Self::TargetTooLong,
            429 => Self::TooManyFromAddress,
            431 => Self::HeadTooLarge,
            501 | 505 => Self::NotSupported,
            503 => Self::Overload,
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places() {
        for (place, (method, name)) in Method::ALL.into_iter().enumerate() {
            assert_eq!(method as usize, place);
            assert_eq!(Method::of(name.as_bytes()), method);
        }
        for (place, (rejection, _)) in Rejection::ALL.into_iter().enumerate() {
            assert_eq!(rejection as usize, place);
        }
        assert_eq!(Method::of(b"get"), Method::Other);
        assert_eq!(Method::of(b"BREW"), Method::Other);
    }

    #[test]
    fn every_status_has_a_class() {
        for (status, class) in [
            (0, 5),
            (99, 5),
            (100, 0),
            (204, 1),
            (399, 2),
            (404, 3),
            (599, 4),
            (600, 5),
            (65535, 5),
        ] {
            assert_eq!(status_class(status), class, "{status}");
        }
    }
}
