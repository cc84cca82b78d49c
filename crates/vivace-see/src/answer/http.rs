//! As much of HTTP/1.1 as the page needs: one request a connection, its target and a few fields.

use std::io::{self, Read, Write};

/// A longer head is refused.
const LONGEST: usize = 8192;

/// A request without a body.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    query: String,
    fields: Vec<(String, String)>,
}

impl Request {
    /// Reads a head; none if there is none, or it cannot be understood.
    pub(super) fn read(stream: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        let mut part = [0; 1024];
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = stream.read(&mut part)?;
            head.extend_from_slice(&part[..read]);
            if read == 0 || head.len() > LONGEST {
                return Ok(None);
            }
        }
        Ok(Self::parse(&String::from_utf8_lossy(&head)))
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if !version.starts_with("HTTP/1.") || words.next().is_some() {
            return None;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut fields = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
        Some(Self { method, path, query, fields })
    }

    /// A field; none if it is not there once.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(known, _)| known == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value)
    }

    /// Whether there is such a field.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == name)
    }

    /// A parameter of the query, as it was sent.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// Sends a response and says that it is the last.
pub(super) fn respond(
    stream: &mut impl Write,
    status: &str,
    kind: &str,
    more: &str,
    body: &str,
) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Referrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\n{more}Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Request> {
        Request::read(&mut text.as_bytes()).expect("in memory")
    }

    #[test]
    fn a_request_is_taken_apart() {
        let request = read("GET /a?x=1&token=ab HTTP/1.1\r\nHost: h:1\r\nX: 1\r\nX: 2\r\n\r\n");
        let request = request.expect("it is one");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/a"));
        assert_eq!(request.parameter("token"), Some("ab"));
        assert_eq!(request.parameter("tok"), None);
        assert_eq!((request.field("host"), request.field("x")), (Some("h:1"), None));
        assert!(request.has("x"));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "GET / HTTP/1.1\r\n", "GET /\r\n\r\n", "GET / HTTP/2\r\n\r\n", "\r\n\r\n"]
        {
            assert!(read(text).is_none(), "{text:?}");
        }
        assert!(read(&format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(LONGEST))).is_none());
        arbtest::arbtest(|source| {
            let bytes: Vec<u8> = source.arbitrary()?;
            let _read = Request::read(&mut bytes.as_slice());
            Ok(())
        })
        .budget_ms(200);
    }
}
