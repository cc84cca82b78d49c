//! What it costs to read a request and to write a response, in nanoseconds: the least of many
//! rounds, since what disturbs a measurement only ever adds to it.
//!
//!     cargo bench -p vivace-http
//!
//! The heads are what clients really send: `curl`, a load generator, a browser.

use std::hint::black_box;
use std::time::Instant;

use vivace_http::h1::request::{Event, Limits, RequestReader};
use vivace_http::h1::response::{Defaults, RequestTraits, ResponseWriter};

const CURL: &[u8] =
    b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n";

const EIGHT: &[u8] = b"GET /api/v1/items/42?verbose=true HTTP/1.1\r\n\
    Host: api.example.org\r\n\
    User-Agent: python-httpx/0.28.1\r\n\
    Accept: application/json\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Connection: keep-alive\r\n\
    Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n\
    X-Request-Id: 7f9c24e5-8b1a-4d6e-9f00-1234567890ab\r\n\
    X-Forwarded-For: 203.0.113.7\r\n\r\n";

const BROWSER: &[u8] = b"GET /docs HTTP/1.1\r\n\
    Host: 127.0.0.1:8000\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
    Sec-Fetch-Site: none\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-User: ?1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Cookie: session=eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx_Zmeo\r\n\r\n";

const POST_HEAD: &[u8] = b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\
    Content-Type: application/octet-stream\r\nContent-Length: 10240\r\n\r\n";

const CHUNKED_HEAD: &[u8] =
    b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Nanoseconds of one call, at best.
fn cost(mut operation: impl FnMut()) -> f64 {
    const CALLS: u32 = 2_000;
    let mut best = f64::INFINITY;
    for _ in 0..200 {
        let start = Instant::now();
        for _ in 0..CALLS {
            operation();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    best
}

/// Reads one request to its end; returns how many bytes of it were events.
fn read_whole(reader: &mut RequestReader, mut input: &[u8]) -> usize {
    let mut seen = 0;
    loop {
        match reader.next(&mut input) {
            Ok(Some(Event::Head(head))) => seen += black_box(head).headers.len(),
            Ok(Some(Event::Body(data))) => seen += data.len(),
            Ok(Some(Event::Trailers(trailers))) => seen += trailers.len(),
            Ok(Some(Event::End)) => return seen,
            Ok(None) | Err(_) => unreachable!("the requests here are complete and valid"),
        }
    }
}

fn read_in_pieces(reader: &mut RequestReader, input: &[u8], size: usize) {
    for piece in input.chunks(size) {
        let mut piece = piece;
        while let Ok(Some(event)) = reader.next(&mut piece) {
            black_box(event);
        }
    }
}

fn write_hello(out: &mut Vec<u8>, headers: &[(&[u8], &[u8])]) {
    let mut writer = ResponseWriter::new(RequestTraits::default());
    let defaults = Defaults {
        date: Some(b"Sun, 06 Nov 1994 08:49:37 GMT"),
        server: Some(b"vivace"),
        extra: b"",
    };
    let written = writer.begin(out, 200).is_ok()
        && headers.iter().all(|(name, value)| writer.header(out, name, value).is_ok());
    writer.finish_head(out, defaults);
    assert!(written && writer.write_body(out, b"Hello, World!", false).is_ok());
}

fn main() {
    let show = |what: &str, nanoseconds: f64| println!("{what:<44}{nanoseconds:>8.0} ns");
    let mut reader = RequestReader::new(Limits::default());
    for (name, input) in [("curl", CURL), ("8 headers", EIGHT), ("browser", BROWSER)] {
        let what = format!("read, {name} ({} bytes)", input.len());
        show(&what, cost(|| _ = black_box(read_whole(&mut reader, black_box(input)))));
    }
    let post = [POST_HEAD, &[b'x'; 10_240]].concat();
    show(
        "read, POST of 10 KiB by length",
        cost(|| _ = black_box(read_whole(&mut reader, black_box(&post)))),
    );
    let chunk = [&b"400\r\n"[..], &[b'x'; 1024], b"\r\n"].concat();
    let chunked = [CHUNKED_HEAD, &chunk.repeat(10), b"0\r\n\r\n"].concat();
    show(
        "read, POST of 10 chunks of 1 KiB",
        cost(|| _ = black_box(read_whole(&mut reader, black_box(&chunked)))),
    );
    for size in [1, 100] {
        let what = format!("read, browser in pieces of {size}");
        show(&what, cost(|| read_in_pieces(&mut reader, black_box(BROWSER), size)));
    }
    let mut out = Vec::with_capacity(4096);
    let length: &[(&[u8], &[u8])] =
        &[(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13")];
    for (name, headers) in [("by length", length), ("in chunks", &length[..1])] {
        let what = format!("write, hello {name}");
        show(
            &what,
            cost(|| {
                out.clear();
                write_hello(&mut out, black_box(headers));
                black_box(&out);
            }),
        );
    }
}
