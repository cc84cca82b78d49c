//! What responses are written as.

use vivace_http::h1::request::Header;
use vivace_http::h1::response::{
    BodyError, Defaults, HeadError, RequestTraits, ResponseWriter, write_interim,
};

const GET: RequestTraits = RequestTraits {
    head: false,
    http11: true,
    http2: false,
    keep_alive: true,
    trailers_wanted: false,
};
const HEAD: RequestTraits = RequestTraits { head: true, ..GET };
const OLD: RequestTraits = RequestTraits { http11: false, keep_alive: false, ..GET };
const OLD_KEPT: RequestTraits = RequestTraits { keep_alive: true, ..OLD };
const LAST: RequestTraits = RequestTraits { keep_alive: false, ..GET };
const WITH_TRAILERS: RequestTraits = RequestTraits { trailers_wanted: true, ..GET };

const NOTHING: Defaults<'static> = Defaults { date: None, server: None, extra: b"" };

fn field<'a>((name, value): &(&'a str, &'a str)) -> Header<'a> {
    Header { name: name.as_bytes(), value: value.as_bytes() }
}

struct Response {
    writer: ResponseWriter,
    out: Vec<u8>,
}

impl Response {
    fn begin(request: RequestTraits, status: u16, headers: &[(&str, &str)]) -> Self {
        let mut response = Self { writer: ResponseWriter::new(request), out: Vec::new() };
        response.writer.begin(&mut response.out, status).expect("a valid status");
        for header in headers.iter().map(field) {
            response.writer.header(&mut response.out, header.name, header.value).expect("valid");
        }
        response
    }

    fn finish(mut self) -> Self {
        self.writer.finish_head(&mut self.out, NOTHING);
        self
    }

    /// What was written since the last time.
    fn written(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.out)).expect("text")
    }

    fn body(&mut self, data: &str, more: bool) -> String {
        self.writer.write_body(&mut self.out, data.as_bytes(), more).expect("fits");
        self.written()
    }
}

/// The whole response with the content `pieces`, and whether the connection stays.
fn whole(
    request: RequestTraits,
    status: u16,
    headers: &[(&str, &str)],
    pieces: &[&str],
) -> (String, bool) {
    let mut response = Response::begin(request, status, headers).finish();
    let mut text = response.written();
    for (index, piece) in pieces.iter().enumerate() {
        assert!(!response.writer.is_complete());
        text += &response.body(piece, index + 1 < pieces.len());
    }
    assert!(response.writer.is_complete());
    (text, response.writer.keep_alive())
}

#[test]
fn how_content_is_framed() {
    let length = &[("content-length", "5")][..];
    for (request, status, headers, pieces, expected, stays) in [
        (
            GET,
            200,
            length,
            &["hello"][..],
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            true,
        ),
        (
            GET,
            200,
            length,
            &["he", "", "llo"],
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            true,
        ),
        (
            GET,
            200,
            length,
            &["hello", ""],
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            true,
        ),
        (
            GET,
            404,
            &[],
            &["hello"],
            "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            true,
        ),
        (
            GET,
            200,
            &[],
            &["he", "", "llo", ""],
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            true,
        ),
        (
            GET,
            200,
            &[],
            &[""],
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            true,
        ),
        (
            LAST,
            200,
            length,
            &["hello"],
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
            false,
        ),
        // HTTP/1.0 knows no chunks: the end of the connection is the end of the content.
        (OLD, 200, &[], &["he", "llo"], "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello", false),
        (
            OLD_KEPT,
            200,
            &[],
            &["hello"],
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello",
            false,
        ),
        (
            OLD_KEPT,
            200,
            length,
            &["hello"],
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello",
            true,
        ),
        // No content, whatever the program says.
        (HEAD, 200, length, &["hello"], "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", true),
        (HEAD, 200, length, &[""], "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", true),
        (
            HEAD,
            200,
            length,
            &["much more than", " that"],
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            true,
        ),
        (HEAD, 200, &[], &["hello"], "HTTP/1.1 200 OK\r\n\r\n", true),
        (GET, 204, &[], &[""], "HTTP/1.1 204 No Content\r\n\r\n", true),
        (GET, 204, length, &["hello"], "HTTP/1.1 204 No Content\r\n\r\n", true),
        (GET, 304, length, &[""], "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", true),
        (GET, 304, &[], &["hello"], "HTTP/1.1 304 Not Modified\r\n\r\n", true),
        (
            OLD_KEPT,
            304,
            &[],
            &[""],
            "HTTP/1.1 304 Not Modified\r\nconnection: keep-alive\r\n\r\n",
            true,
        ),
        (GET, 299, length, &["hello"], "HTTP/1.1 299 \r\ncontent-length: 5\r\n\r\nhello", true),
    ] {
        let outcome = whole(request, status, headers, pieces);
        assert_eq!(outcome, (expected.to_owned(), stays), "{request:?} {status} {pieces:?}");
    }
}

#[test]
fn chunk_sizes_are_hexadecimal() {
    for (length, before) in [
        (1, "1\r\n"),
        (15, "f\r\n"),
        (16, "10\r\n"),
        (255, "ff\r\n"),
        (65_536, "10000\r\n"),
        (usize::MAX, "ffffffffffffffff\r\n"),
    ] {
        let mut response = Response::begin(GET, 200, &[]).finish();
        let framed = response.writer.body(length, true).expect("content may come");
        assert_eq!((framed.before(), framed.after()), (before.as_bytes(), &b"\r\n"[..]));
        assert!(framed.send_data);
    }
}

#[test]
fn the_length_that_is_known_is_sent_unless_the_program_gave_one() {
    for (request, headers, expected) in [
        (GET, &[][..], "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        (GET, &[("Content-Length", "5")], "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        (OLD_KEPT, &[], "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n"),
        // Whoever does not know what a GET would have been sent says nothing here.
        (HEAD, &[], "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        (HEAD, &[("content-length", "7")], "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"),
    ] {
        let mut response = Response::begin(request, 200, headers);
        response.writer.know_length(5);
        let mut response = response.finish();
        assert_eq!(response.written(), expected);
    }
}

#[test]
fn fields_that_are_the_servers_business() {
    for (request, headers, expected) in [
        (GET, &[("Transfer-Encoding", "chunked")][..], "transfer-encoding: chunked\r\n"),
        (GET, &[("transfer-encoding", "gzip"), ("content-length", "1")], "content-length: 1\r\n"),
        (GET, &[("connection", "keep-alive"), ("content-length", "1")], "content-length: 1\r\n"),
        (
            GET,
            &[("content-length", "1"), ("Connection", "x, Close")],
            "content-length: 1\r\nconnection: close\r\n",
        ),
        (GET, &[("keep-alive", "timeout=5"), ("content-length", "1")], "content-length: 1\r\n"),
        (GET, &[("proxy-connection", "close"), ("content-length", "1")], "content-length: 1\r\n"),
        (GET, &[("content-length", "1"), ("Content-Length", "01")], "content-length: 1\r\n"),
        (
            GET,
            &[("upgrade", "h2c"), ("content-length", "1")],
            "upgrade: h2c\r\ncontent-length: 1\r\nconnection: upgrade\r\n",
        ),
        (
            LAST,
            &[("upgrade", "h2c"), ("connection", "upgrade"), ("content-length", "1")],
            "upgrade: h2c\r\ncontent-length: 1\r\nconnection: close, upgrade\r\n",
        ),
        (
            GET,
            &[("b", "2"), ("Content-Length", "1"), ("a", "1"), ("b", " 2 \t\u{e9}"), ("empty", "")],
            "b: 2\r\nContent-Length: 1\r\na: 1\r\nb:  2 \t\u{e9}\r\nempty: \r\n",
        ),
    ] {
        let text = Response::begin(request, 200, headers).finish().written();
        assert_eq!(text, format!("HTTP/1.1 200 OK\r\n{expected}\r\n"), "{headers:?}");
    }
    let (_, stays) = whole(GET, 200, &[("content-length", "0"), ("connection", "close")], &[""]);
    assert!(!stays);
}

#[test]
fn defaults_are_added_if_they_are_missing() {
    let defaults =
        Defaults { date: Some(b"now"), server: Some(b"vivace"), extra: b"x-a: b\r\nx-c: d\r\n" };
    for (headers, expected) in [
        (&[][..], "date: now\r\nserver: vivace\r\nx-a: b\r\nx-c: d\r\n"),
        (&[("Date", "then")], "Date: then\r\nserver: vivace\r\nx-a: b\r\nx-c: d\r\n"),
        (&[("SERVER", "other")], "SERVER: other\r\ndate: now\r\nx-a: b\r\nx-c: d\r\n"),
    ] {
        let mut response = Response::begin(GET, 204, headers);
        response.writer.finish_head(&mut response.out, defaults);
        assert!(response.writer.has_head());
        let expected = format!("HTTP/1.1 204 No Content\r\n{expected}\r\n");
        assert_eq!(response.written(), expected, "{headers:?}");
    }
}

#[test]
fn heads_that_cannot_be_sent() {
    for status in [0, 99, 100, 101, 199, 600, 999, u16::MAX] {
        let mut out = Vec::new();
        let error = ResponseWriter::new(GET).begin(&mut out, status);
        assert_eq!((error, out.is_empty()), (Err(HeadError::Status(status)), true));
    }
    for (name, value, error) in [
        ("", "x", HeadError::Name),
        ("a b", "x", HeadError::Name),
        ("a:", "x", HeadError::Name),
        ("a\r\nb", "x", HeadError::Name),
        ("a\0", "x", HeadError::Name),
        ("\u{e9}", "x", HeadError::Name),
        ("a", "x\r\nb: c", HeadError::Value),
        ("a", "x\n", HeadError::Value),
        ("a", "x\r", HeadError::Value),
        ("a", "\0", HeadError::Value),
        ("a", "\u{1b}", HeadError::Value),
        ("a", "\u{7f}", HeadError::Value),
        ("transfer-encoding", "a\nb", HeadError::Value),
        ("connection", "close\r\n", HeadError::Value),
        ("content-length", "", HeadError::ContentLength),
        ("content-length", "-1", HeadError::ContentLength),
        ("content-length", "5, 5", HeadError::ContentLength),
        ("Content-Length", " 5", HeadError::ContentLength),
        ("Content-Length", "6", HeadError::ContentLength),
    ] {
        let mut response = Response::begin(GET, 200, &[("content-length", "5")]);
        let length = response.out.len();
        let result = response.writer.header(&mut response.out, name.as_bytes(), value.as_bytes());
        assert_eq!(result, Err(error), "{name:?}: {value:?}");
        assert_eq!(response.out.len(), length, "nothing of it was written");
        let mut response = response.finish();
        response.written();
        assert_eq!(response.body("hello", false), "hello", "what was said before stays");
    }
    assert_eq!(HeadError::Value.to_string(), "Invalid HTTP header value.");
}

#[test]
fn content_that_does_not_fit_its_length() {
    let begin = || Response::begin(GET, 200, &[("content-length", "5")]).finish();

    let mut response = begin();
    assert_eq!(response.writer.body(6, true), Err(BodyError::TooLong));
    assert!(response.writer.is_complete() && !response.writer.keep_alive());
    assert_eq!(response.writer.body(0, false), Err(BodyError::Complete));

    let mut response = begin();
    assert!(response.writer.body(5, true).is_ok());
    assert_eq!(response.writer.body(1, false), Err(BodyError::TooLong));

    let mut response = begin();
    assert_eq!(response.writer.body(4, false), Err(BodyError::TooShort));
    assert!(response.writer.is_complete() && !response.writer.keep_alive());

    let mut response = begin();
    assert!(response.writer.body(5, false).is_ok());
    assert_eq!(response.writer.body(0, false), Err(BodyError::Complete));
    assert!(response.writer.keep_alive(), "the response itself was fine");

    let mut response = begin();
    response.written();
    let error = response.writer.write_body(&mut response.out, b"123456", false);
    assert_eq!((error, response.out.is_empty()), (Err(BodyError::TooLong), true));
    assert_eq!(BodyError::TooLong.to_string(), "Response content longer than Content-Length");
}

#[test]
fn trailers_go_to_those_who_asked_for_them() {
    let fields = [("x-sum", "5"), ("Content-Length", "5"), ("X-B", "c d")];
    for (request, headers, body, trailers) in [
        (WITH_TRAILERS, &[][..], "5\r\nhello\r\n", "0\r\nx-sum: 5\r\nX-B: c d\r\n\r\n"),
        (GET, &[], "5\r\nhello\r\n0\r\n\r\n", ""),
        (WITH_TRAILERS, &[("content-length", "5")], "hello", ""),
        (RequestTraits { head: true, ..WITH_TRAILERS }, &[], "", ""),
        (OLD, &[], "hello", ""),
    ] {
        let mut response = Response::begin(request, 200, headers);
        response.writer.promise_trailers();
        let mut response = response.finish();
        response.written();
        assert_eq!(response.body("hello", false), body, "{request:?} {headers:?}");
        assert!(!response.writer.is_complete() && response.writer.awaits_trailers());
        assert_eq!(response.writer.body(0, false), Err(BodyError::Complete));

        let bad = [("a", "b"), ("c", "d\r\n")];
        let result = response.writer.trailers(&mut response.out, bad.iter().map(field));
        assert_eq!((result, response.out.len()), (Err(HeadError::Value), 0));

        let result = response.writer.trailers(&mut response.out, fields.iter().map(field));
        assert_eq!((result, response.written().as_str()), (Ok(()), trailers));
        assert!(response.writer.is_complete() && !response.writer.awaits_trailers());
    }
    // A length that is known does not stand in their way.
    let mut response = Response::begin(WITH_TRAILERS, 200, &[]);
    response.writer.know_length(5);
    response.writer.promise_trailers();
    assert!(response.finish().written().contains("transfer-encoding: chunked"));
}

#[test]
fn interim_responses() {
    let mut out = Vec::new();
    let links = [("link", "</a.css>; rel=preload"), ("link", "</b.js>; rel=preload")];
    assert_eq!(write_interim(&mut out, 103, links.iter().map(field)), Ok(()));
    assert_eq!(
        String::from_utf8_lossy(&out),
        "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\
         link: </b.js>; rel=preload\r\n\r\n"
    );
    let switch = [("connection", "Upgrade"), ("upgrade", "websocket")];
    out.clear();
    assert_eq!(write_interim(&mut out, 101, switch.iter().map(field)), Ok(()));
    assert_eq!(
        String::from_utf8_lossy(&out),
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"
    );
    out.clear();
    assert_eq!(write_interim(&mut out, 200, []), Err(HeadError::Status(200)));
    let bad = [("a", "b"), ("link", "a\r\n\r\nHTTP/1.1 200 OK")];
    assert_eq!(write_interim(&mut out, 103, bad.iter().map(field)), Err(HeadError::Value));
    assert!(out.is_empty());
}
