//! Requests that cannot be read: which status they are answered with, and the answer.

use std::fmt;

use super::response::{Defaults, RequestTraits, ResponseWriter};
use crate::status;

/// Why a request was not accepted. The connection must be closed after the answer, since nobody
/// knows where the next request would begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The status to answer with.
    pub status: u16,
    /// What is wrong with the request, for a log and for the client.
    pub reason: &'static str,
}

impl Reject {
    pub(crate) const fn bad_request(reason: &'static str) -> Self {
        Self { status: 400, reason }
    }

    /// Writes the whole answer, which says that the connection will be closed.
    pub fn write_response(&self, out: &mut Vec<u8>, defaults: Defaults<'_>) {
        write_plain(out, self.status, self.reason, defaults);
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, status::reason(self.status), self.reason)
    }
}

impl std::error::Error for Reject {}

/// Writes a whole response in plain text after which the connection is closed.
///
/// For what the server answers without asking the program: a request that cannot be read, one that
/// took too long. `status` must be one with content.
pub fn write_plain(out: &mut Vec<u8>, status: u16, text: &str, defaults: Defaults<'_>) {
    let traits = RequestTraits { keep_alive: false, ..RequestTraits::default() };
    let mut writer = ResponseWriter::new(traits);
    let length = text.len().to_string();
    let written = writer
        .begin(out, status)
        .and_then(|()| writer.header(out, b"content-type", b"text/plain; charset=utf-8"))
        .and_then(|()| writer.header(out, b"content-length", length.as_bytes()));
    debug_assert_eq!(written, Ok(()));
    writer.finish_head(out, defaults);
    let written = writer.write_body(out, text.as_bytes(), false);
    debug_assert_eq!(written, Ok(()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_closes_the_connection_and_says_why() {
        let mut out = Vec::new();
        let reject = Reject::bad_request("no Host");
        let defaults = Defaults { server: Some(b"vivace"), ..Defaults::default() };
        reject.write_response(&mut out, defaults);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
             content-length: 7\r\nserver: vivace\r\nconnection: close\r\n\r\nno Host"
        );
        assert_eq!(reject.to_string(), "400 Bad Request: no Host");
    }
}
