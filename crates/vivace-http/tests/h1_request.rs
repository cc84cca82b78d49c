//! What requests are read as: tables of good and bad ones, each cut at every place.

#[path = "support/reading.rs"]
mod support;

use support::{Connection, Request, read};
use vivace_http::h1::request::{Limits, RequestReader};

const LIMITS: Limits = Limits { head_bytes: 65_536, headers: 100, target_bytes: 8192 };

/// Reads `input` whole, in two pieces at every place, and in pieces of every size up to 16; the
/// outcome must be the same.
fn connection(input: &[u8]) -> Connection {
    let shown = input.escape_ascii();
    let whole = read([input], LIMITS);
    // Miri, which is slow, sees each path in these.
    let every_place = if cfg!(miri) { 0..=0 } else { 0..=input.len() };
    for middle in every_place {
        let (first, second) = input.split_at(middle);
        assert_eq!(read([first, second], LIMITS), whole, "{shown} cut at {middle}");
    }
    for size in if cfg!(miri) { 1..=1 } else { 1..=16 } {
        assert_eq!(read(input.chunks(size), LIMITS), whole, "{shown} in pieces of {size}");
    }
    whole
}

/// The one complete request of `input`, after which nothing is left.
fn request(input: &str) -> Request {
    let mut connection = connection(input.as_bytes());
    assert_eq!(connection.rejected, None, "{input:?}");
    assert!(connection.between_requests, "{input:?}");
    assert_eq!(connection.requests.len(), 1, "{input:?}");
    let request = connection.requests.remove(0);
    assert!(request.complete, "{input:?}");
    request
}

fn has_mark(request: &Request, mark: &str) -> bool {
    request.marks.iter().any(|other| other == mark)
}

/// A request with the given header lines besides Host.
fn with_headers(headers: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n")
}

fn rejection(input: &[u8]) -> Option<(u16, &'static str)> {
    connection(input).rejected.map(|reject| (reject.status, reject.reason))
}

fn assert_rejected(input: &[u8], status: u16) {
    let shown = String::from_utf8_lossy(input);
    let reject = rejection(input).unwrap_or_else(|| panic!("accepted: {shown:?}"));
    assert_eq!(reject.0, status, "{shown:?}: {reject:?}");
}

#[test]
fn a_usual_request() {
    let request = request(
        "GET /a%20b?c=d HTTP/1.1\r\nHost: example.org:8000\r\nUser-Agent:  curl/8 \t\r\n\
         accept:*/*\r\nX-Empty:\r\nX-Spaces: \t \r\nX-Latin: caf\u{e9}\r\n\r\n",
    );
    assert_eq!(request.method, "GET");
    assert_eq!(request.target, "/a%20b?c=d");
    assert_eq!(request.path, "/a%20b");
    assert_eq!(request.query, "c=d");
    assert_eq!(
        request.headers,
        [
            "Host: example.org:8000",
            "User-Agent: curl/8",
            "accept: */*",
            "X-Empty: ",
            "X-Spaces: ",
            "X-Latin: caf\u{c3}\u{a9}",
        ]
    );
    assert_eq!(request.marks, ["None", "HTTP/1.1", "keep-alive"]);
    assert_eq!((request.body, request.trailers), (vec![], None));
}

#[test]
fn what_a_head_tells() {
    for (headers, marks) in [
        ("", "None HTTP/1.1 keep-alive"),
        ("Connection: close\r\n", "None HTTP/1.1"),
        ("Connection: keep-alive, CLOSE\r\n", "None HTTP/1.1"),
        ("Connection: keep-alive\r\nconnection: foo,close\r\n", "None HTTP/1.1"),
        ("Connection: closed\r\n", "None HTTP/1.1 keep-alive"),
        ("Content-Length: 0\r\n", "Length(0) HTTP/1.1 keep-alive"),
        ("Content-Length: 000\r\n", "Length(0) HTTP/1.1 keep-alive"),
        ("Expect: 100-continue\r\n", "None HTTP/1.1 keep-alive"),
        ("Expect: 100-continue\r\nContent-Length: 0\r\n", "Length(0) HTTP/1.1 keep-alive"),
        ("Expect: something-else\r\n", "None HTTP/1.1 keep-alive"),
        ("TE: trailers\r\n", "None HTTP/1.1 keep-alive trailers-wanted"),
        ("TE: deflate, Trailers\r\n", "None HTTP/1.1 keep-alive trailers-wanted"),
        ("TE: trailers-not\r\n", "None HTTP/1.1 keep-alive"),
        ("Upgrade: h2c\r\n", "None HTTP/1.1 keep-alive"),
        ("Connection: upgrade\r\n", "None HTTP/1.1 keep-alive"),
        ("Connection: Upgrade\r\nUpgrade: h2c\r\n", "None HTTP/1.1 keep-alive upgrade"),
        (
            "Upgrade: h2c, WebSocket\r\nConnection: keep-alive, Upgrade\r\n",
            "None HTTP/1.1 keep-alive upgrade websocket",
        ),
    ] {
        assert_eq!(request(&with_headers(headers)).marks.join(" "), marks, "{headers:?}");
    }
}

#[test]
fn only_a_get_without_content_asks_for_a_websocket() {
    let upgrade = "Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n";
    for (start, end, websocket) in [
        ("GET / HTTP/1.1", "\r\n", true),
        ("GET / HTTP/1.1", "Content-Length: 0\r\n\r\n", true),
        ("GET / HTTP/1.1", "Content-Length: 1\r\n\r\nx", false),
        ("GET / HTTP/1.1", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false),
        ("POST / HTTP/1.1", "\r\n", false),
        ("GET / HTTP/1.0", "\r\n", false),
    ] {
        let request = request(&format!("{start}\r\n{upgrade}{end}"));
        assert_eq!(has_mark(&request, "websocket"), websocket, "{start} {end:?}");
        assert_eq!(has_mark(&request, "upgrade"), start.ends_with('1'), "{start} {end:?}");
    }
}

#[test]
fn http_1_0() {
    for (headers, marks) in [
        ("", "None"),
        ("Host: a\r\n", "None"),
        ("Connection: keep-alive\r\n", "None keep-alive"),
        ("Connection: keep-alive, close\r\n", "None"),
        ("TE: trailers\r\n", "None"),
        ("Content-Length: 0\r\nExpect: 100-continue\r\n", "Length(0)"),
    ] {
        let request = request(&format!("GET / HTTP/1.0\r\n{headers}\r\n"));
        assert_eq!(request.marks.join(" "), marks, "{headers:?}");
    }
    let request = request("POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nok");
    assert_eq!((request.marks.join(" ").as_str(), &request.body[..]), ("Length(2)", &b"ok"[..]));
}

#[test]
fn forms_of_the_target() {
    for (start, path, query, host) in [
        ("OPTIONS * HTTP/1.1", "*", "", "Host: a"),
        ("GET http://b:1/c?d HTTP/1.1", "/c", "d", "Host: b:1"),
        ("GET https://b HTTP/1.0", "/", "", "Host: b"),
        ("OPTIONS http://b HTTP/1.1", "/", "", "Host: b"),
        ("CONNECT b:443 HTTP/1.1", "", "", "Host: b:443"),
        ("DELETE /?? HTTP/1.1", "/", "?", "Host: a"),
        ("m-search /x HTTP/1.1", "/x", "", "Host: a"),
    ] {
        let request = request(&format!("{start}\r\nX: y\r\nHost: a\r\n\r\n"));
        assert_eq!((request.path.as_str(), request.query.as_str()), (path, query), "{start}");
        assert_eq!(request.headers, ["X: y", host], "{start}");
    }
}

#[test]
fn content_by_length() {
    let request = request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nGET / HTTP/");
    assert_eq!(request.body, b"GET / HTTP/");
    assert_eq!(request.marks, ["Length(11)", "HTTP/1.1", "keep-alive"]);
}

#[test]
fn content_in_chunks_with_trailers() {
    let start = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\
                 Expect: 100-Continue\r\n\r\n4\r\nWiki\r\n5;ext=1\r\npedia\r\n";
    for (end, trailers) in [
        ("0\r\n\r\n", None),
        ("0\r\nX-Sum: 5\r\n\r\n", Some(vec!["X-Sum: 5"])),
        (
            "0\r\nX-A: 1\r\nHost: b\r\nx-b:2\r\nContent-Length: 5\r\n\r\n",
            Some(vec!["X-A: 1", "x-b: 2"]),
        ),
        ("0\r\nTransfer-Encoding: chunked\r\n\r\n", Some(vec![])),
    ] {
        let request = request(&format!("{start}{end}"));
        assert_eq!(request.body, b"Wikipedia");
        assert_eq!(request.marks, ["Chunked", "HTTP/1.1", "keep-alive", "expects-continue"]);
        let expected = trailers.map(|lines| lines.iter().map(ToString::to_string).collect());
        assert_eq!(request.trailers, expected, "{end:?}");
    }
}

#[test]
fn requests_one_after_the_other() {
    let input = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
        GET /2 HTTP/1.1\r\nHost: a\r\n\r\n\
        \r\nPOST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n\
        GET /4 HTTP/1.0\r\n\r\nGET /5";
    let connection = connection(input);
    let seen: Vec<_> = connection
        .requests
        .iter()
        .map(|request| (request.path.as_str(), &request.body[..], request.complete))
        .collect();
    let expected =
        [("/1", &b"abc"[..], true), ("/2", b"", true), ("/3", b"x", true), ("/4", b"", true)];
    assert_eq!(seen, expected);
    assert!(connection.partial_head && !connection.between_requests);
}

#[test]
fn empty_lines_before_a_request_are_passed_over_if_they_are_few() {
    let mut input = b"\r\n".repeat(8);
    assert!(connection(&input).between_requests);
    input.extend_from_slice(with_headers("").as_bytes());
    assert_eq!(connection(&input).requests.len(), 1);
    assert_rejected(&[&b"\r\n"[..], &input].concat(), 400);
    // They are counted anew for each request.
    let input = input.repeat(3);
    assert_eq!(connection(&input).requests.len(), 3);
    assert_rejected(b"\n\n", 400);
    assert_rejected(b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
}

#[test]
fn request_lines_that_are_refused() {
    for (line, status) in [
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/2.0", 505),
        ("PRI * HTTP/2.0", 505),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/3.0", 505),
        ("GET / HTTP/1.10", 400),
        ("GET / HTTP/1", 400),
        ("GET / HTTP/2", 400),
        ("GET / http/1.1", 400),
        ("GET / HTTPS/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET / HTTP/1.1\t", 400),
        ("GET / HTTP/1.1 x", 400),
        ("GET / ", 400),
        ("GET /", 400),
        ("GET", 400),
        (" GET / HTTP/1.1", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET /  HTTP/1.1", 400),
        ("GET\t/ HTTP/1.1", 400),
        ("GET /\tHTTP/1.1", 400),
        ("GET /a b HTTP/1.1", 400),
        ("GET /a\u{b}b HTTP/1.1", 400),
        ("GET /\u{e9} HTTP/1.1", 400),
        ("GET /\0 HTTP/1.1", 400),
        ("GET /\u{7f} HTTP/1.1", 400),
        ("GET /#a HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET a HTTP/1.1", 400),
        ("GET b:443 HTTP/1.1", 400),
        ("GET http:// HTTP/1.1", 400),
        ("GET http://u:p@b/ HTTP/1.1", 400),
        ("GET ftp://b/ HTTP/1.1", 400),
        ("CONNECT / HTTP/1.1", 400),
        ("CONNECT b HTTP/1.1", 400),
        ("G(T / HTTP/1.1", 400),
        ("G\0T / HTTP/1.1", 400),
        ("GÉT / HTTP/1.1", 400),
        ("(GET / HTTP/1.1", 400),
        ("GET / HTTP/1.1\rX: y", 400),
        ("GET / HTTP/1.2\rX: y", 400),
    ] {
        assert_rejected(format!("{line}\r\nHost: a\r\n\r\n").as_bytes(), status);
    }
    // TLS on a port for plain HTTP: no need to wait for more.
    assert_rejected(b"\x16\x03\x01", 400);
}

#[test]
fn headers_that_are_refused() {
    for headers in [
        "X : y\r\n",
        "X\t: y\r\n",
        " X: y\r\n",
        "\tX: y\r\n",
        ": y\r\n",
        "X\r\n",
        "X y: z\r\n",
        "X(: y\r\n",
        "X\0: y\r\n",
        "X\u{e9}: y\r\n",
        "X: y\r\n z\r\n",
        "X: y\r\n\tz\r\n",
        "X:\r\n y\r\n",
        "X: y\0z\r\n",
        "X: y\u{1}\r\n",
        "X: y\u{7f}\r\n",
        "X: y\u{b}\r\n",
        "X: y\rz\r\n",
        "X: y\r\r\n",
        "X: y\n",
        "X: y\nZ: w\r\n",
        "X: y\r\n\n",
        "\r\r\n",
    ] {
        assert_rejected(with_headers(headers).as_bytes(), 400);
    }
    for input in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\n\n",
    ] {
        assert_rejected(input.as_bytes(), 400);
    }
}

#[test]
fn hosts_that_are_refused() {
    for headers in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhOST: b\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: a,b c\r\n",
        "Host: u@a\r\n",
        "Host: a:b\r\n",
        "Host: a:1:2\r\n",
        "Host: [::1\r\n",
        "Host: a\\b\r\n",
        "Host: http://a\r\n",
        "Host: \u{e9}\r\n",
    ] {
        assert_rejected(format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes(), 400);
        // A target that names the host does not make up for it.
        assert_rejected(format!("GET http://a/ HTTP/1.1\r\n{headers}\r\n").as_bytes(), 400);
        if !headers.is_empty() {
            assert_rejected(format!("GET / HTTP/1.0\r\n{headers}\r\n").as_bytes(), 400);
        }
    }
    assert_eq!(request("GET / HTTP/1.1\r\nHost:\r\n\r\n").headers, ["Host: "]);
}

#[test]
fn framing_that_is_refused() {
    for (headers, status) in [
        ("Content-Length: 1\r\nContent-Length: 1\r\n", 400),
        ("Content-Length: 1\r\ncontent-length: 2\r\n", 400),
        ("Content-Length: 1, 1\r\n", 400),
        ("Content-Length: 1,\r\n", 400),
        ("Content-Length: +1\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 0x1\r\n", 400),
        ("Content-Length: 1_0\r\n", 400),
        ("Content-Length: 1 0\r\n", 400),
        ("Content-Length: 1.0\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: \u{661}\r\n", 400),
        ("Content-Length: 9223372036854775808\r\n", 400),
        ("Content-Length: 18446744073709551617\r\n", 400),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
        ("Transfer-Encoding: identity\r\n", 400),
        ("Transfer-Encoding: identity\r\nContent-Length: 1\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", 400),
        ("Transfer-Encoding: xchunked\r\n", 400),
        ("Transfer-Encoding: chunked2\r\n", 400),
        ("Transfer-Encoding: chunked;a=b\r\n", 400),
        ("Transfer-Encoding: \"chunked\"\r\n", 400),
        ("Transfer-Encoding: chunked, identity\r\n", 400),
        ("Transfer-Encoding: chunked, chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", 400),
        ("Transfer-Encoding: gzip, chunked, gzip\r\n", 400),
        ("Transfer-Encoding: ,chunked\r\n", 400),
        ("Transfer-Encoding: chunked,\r\n", 400),
        ("Transfer-Encoding:\r\n", 400),
        ("Transfer-Encoding: chun ked\r\n", 400),
        ("Transfer-Encoding: \u{b}chunked\r\n", 400),
        ("Transfer-Encoding : chunked\r\n", 400),
        ("Transfer-Encoding\u{b}: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\u{a0}\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501),
        ("Transfer-Encoding: identity, chunked\r\n", 501),
    ] {
        assert_rejected(with_headers(headers).as_bytes(), status);
    }
    for headers in ["Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n"] {
        assert_rejected(format!("POST / HTTP/1.0\r\n{headers}\r\n0\r\n\r\n").as_bytes(), 400);
    }
    // Fields that only look like them say nothing.
    let lookalikes = "Content_Length: 5\r\nTransfer_Encoding: chunked\r\nX-Host: b\r\n";
    assert!(has_mark(&request(&with_headers(lookalikes)), "None"));
}

#[test]
fn chunks_and_trailers_that_are_refused() {
    let start = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, status) in [
        ("\r\n", 400),
        ("x\r\n", 400),
        ("3\nabc\r\n0\r\n\r\n", 400),
        ("3\r\nabcd\r\n0\r\n\r\n", 400),
        ("3\r\nabc\n0\r\n\r\n", 400),
        ("3 \r\nabc\r\n0\r\n\r\n", 400),
        ("ffffffffffffffff\r\n", 400),
        ("11111111111111111\r\n", 400),
        ("0\r\nX: y\n\r\n", 400),
        ("0\r\n\n", 400),
        ("0\r\nX : y\r\n\r\n", 400),
        ("0\r\nX: y\r\n z\r\n\r\n", 400),
        ("0\r\nX\r\n\r\n", 400),
        ("0\r\nX: \0\r\n\r\n", 400),
        ("0\r\n\rX: y\r\n\r\n", 400),
        ("0\r\nGET / HTTP/1.1\r\n\r\n", 400),
    ] {
        assert_rejected(format!("{start}{body}").as_bytes(), status);
    }
    let mut rejected = connection(format!("{start}1\r\nx\r\n1x").as_bytes());
    assert_eq!(rejected.requests.remove(0).body, b"x");
}

/// Pieces of every size would take long here, and the code is the same as for short ones.
fn status_in_some_ways(input: &[u8], limits: Limits) -> Option<u16> {
    let whole = read([input], limits);
    for size in [1, 2, 3, 1000, 4096] {
        assert_eq!(read(input.chunks(size), limits), whole, "in pieces of {size}");
    }
    whole.rejected.map(|reject| reject.status)
}

#[test]
fn limits() {
    let limits = Limits { head_bytes: 300, headers: 5, target_bytes: 100 };
    let of_size = |head: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(head - start.len() - 4)).into_bytes()
    };
    let with_target = |target: usize| {
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(target - 1)).into_bytes()
    };
    let with_count = |count: usize| with_headers(&"X: y\r\n".repeat(count - 1)).into_bytes();
    let with_trailers = |lines: &str| {
        let start = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
        format!("{start}{lines}\r\n").into_bytes()
    };
    for (input, status) in [
        (of_size(300), None),
        (of_size(301), Some(431)),
        (of_size(1000), Some(431)),
        (with_target(100), None),
        (with_target(101), Some(414)),
        (with_target(1000), Some(414)),
        (with_count(5), None),
        (with_count(6), Some(431)),
        (with_trailers(&"X: y\r\n".repeat(5)), None),
        (with_trailers(&"X: y\r\n".repeat(6)), Some(431)),
        (with_trailers(&format!("X: {}\r\n", "x".repeat(293))), None),
        (with_trailers(&format!("X: {}\r\n", "x".repeat(294))), Some(431)),
        // Without an end.
        (vec![b'x'; 300], None),
        (vec![b'x'; 301], Some(414)),
        ([&b"GET / HTTP/1.1\r\n"[..], &[b'x'; 284]].concat(), None),
        ([&b"GET / HTTP/1.1\r\n"[..], &[b'x'; 285]].concat(), Some(431)),
        (with_trailers(&"x".repeat(400)), Some(431)),
    ] {
        assert_eq!(status_in_some_ways(&input, limits), status, "{input:?}");
    }
    // However many are allowed, there is an end.
    let many = Limits { headers: 1000, ..LIMITS };
    assert_eq!(status_in_some_ways(&with_count(128), many), None);
    assert_eq!(status_in_some_ways(&with_count(129), many), Some(431));
    assert_eq!(status_in_some_ways(&with_count(100), Limits::default()), None);
    assert_eq!(status_in_some_ways(&with_count(101), Limits::default()), Some(431));
}

#[test]
fn where_a_reader_is() {
    let mut reader = RequestReader::new(LIMITS);
    let mut step = |bytes: &[u8]| {
        let mut input = bytes;
        let event = reader.next(&mut input).expect("a valid request").is_some();
        (event, reader.is_between_requests(), reader.has_partial_head())
    };
    assert_eq!(step(b""), (false, true, false));
    assert_eq!(step(b"\r"), (false, true, false));
    assert_eq!(step(b"\n"), (false, true, false));
    assert_eq!(step(b"P"), (false, false, true));
    assert_eq!(step(b"OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r"), (false, false, true));
    assert_eq!(step(b"\n"), (true, false, false));
    assert_eq!(step(b""), (false, false, false));
    assert_eq!(step(b"x"), (true, false, false));
    assert_eq!(step(b"y"), (true, false, false));
    assert_eq!(step(b""), (true, true, false));
    assert_eq!(step(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (true, false, false));
    assert_eq!(step(b""), (true, true, false));
    assert_eq!(step(b""), (false, true, false));
}

/// What is left for another protocol stays in the input.
#[test]
fn bytes_after_an_upgrade_stay() {
    let text =
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x80";
    let mut input = &text[..];
    let mut reader = RequestReader::new(LIMITS);
    assert!(matches!(reader.next(&mut input), Ok(Some(_))));
    assert_eq!(input, b"\x81\x80");
}
