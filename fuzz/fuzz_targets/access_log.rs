//! `vivace_http::access_log`: whatever a client sends, a line is one line, shows what it holds,
//! and can be read back.
//!
//! JSON is read by `serde_json`, logfmt by a plain reader, and the escapes of text are undone byte
//! by byte. A pattern of atoms is arbitrary too.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use std::time::{Duration, SystemTime};
use vivace_http::access_log::{Client, Colours, Format, Record};

/// What a client sends.
#[derive(Debug)]
struct Bytes(Vec<u8>);

/// Of all bytes, those that matter come up often.
#[derive(Arbitrary, Debug)]
enum Piece {
    Letter,
    Space,
    Equals,
    Quote,
    Backslash,
    Newline,
    Escape,
    Delete,
    /// The control sequence introducer in one character.
    Introducer,
    LineSeparator,
    RightToLeft,
    Accented,
    NotUtf8,
    Any(u8),
}

impl<'a> Arbitrary<'a> for Bytes {
    fn arbitrary(source: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut bytes = Vec::new();
        for piece in source.arbitrary_iter::<Piece>()? {
            let piece: &[u8] = match piece? {
                Piece::Letter => b"a",
                Piece::Space => b" ",
                Piece::Equals => b"=",
                Piece::Quote => b"\"",
                Piece::Backslash => b"\\",
                Piece::Newline => b"\n",
                Piece::Escape => b"\x1b",
                Piece::Delete => b"\x7f",
                Piece::Introducer => "\u{9b}".as_bytes(),
                Piece::LineSeparator => "\u{2028}".as_bytes(),
                Piece::RightToLeft => "\u{202e}".as_bytes(),
                Piece::Accented => "\u{e9}".as_bytes(),
                Piece::NotUtf8 => b"\xff",
                Piece::Any(byte) => &[byte],
            };
            bytes.extend_from_slice(piece);
        }
        Ok(Self(bytes))
    }
}

#[derive(Arbitrary, Debug)]
struct Request {
    host: Option<Bytes>,
    port: u16,
    method: Bytes,
    path: Bytes,
    raw_path: Bytes,
    query: Bytes,
    status: u16,
    response_bytes: u64,
    started: (u32, u32),
    duration: (u64, u32),
    request_id: Option<Bytes>,
    route: Option<Bytes>,
    headers: Vec<(Header, Bytes)>,
    pattern: String,
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[derive(Arbitrary, Debug)]
enum Header {
    UserAgent,
    Referer,
    Authorization,
    Other(Vec<u8>),
}

impl AsRef<[u8]> for Header {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::UserAgent => b"user-agent",
            Self::Referer => b"Referer",
            Self::Authorization => b"authorization",
            Self::Other(name) => name,
        }
    }
}

fuzz_target!(|request: Request| {
    let headers = &request.headers[..];
    let (seconds, nanoseconds) = request.started;
    let record = Record {
        client: request.host.as_ref().map(|Bytes(host)| Client { host, port: request.port }),
        scheme: "https",
        method: &request.method.0,
        path: &request.path.0,
        raw_path: &request.raw_path.0,
        query: &request.query.0,
        http_version: "1.1",
        status: request.status,
        response_bytes: request.response_bytes,
        started: SystemTime::UNIX_EPOCH
            + Duration::new(seconds.into(), nanoseconds % 1_000_000_000),
        duration: Duration::new(request.duration.0, request.duration.1 % 1_000_000_000),
        request_id: request.request_id.as_ref().map(AsRef::as_ref),
        route: request.route.as_ref().map(AsRef::as_ref),
        request_headers: &headers,
        response_headers: &headers,
    };

    let plain = line(&mut Format::uvicorn(Colours::Off), &record);
    let coloured = line(&mut Format::uvicorn(Colours::On), &record);
    check_visible(&plain);
    check_visible(&coloured.replace('\x1b', ""));
    assert!(coloured.len() > plain.len());

    let json = line(&mut Format::json(), &record);
    check_visible(&json);
    let read: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let logfmt = line(&mut Format::logfmt(), &record);
    check_visible(&logfmt);
    let pairs = read_logfmt(&logfmt);
    assert_eq!(pairs.len(), read.as_object().expect("an object").len());
    for (key, value) in &pairs {
        let written = match &read[key] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // Read as a number, milliseconds lose their last zeros.
        assert!(*value == written || key == "duration_ms", "{key}: {value:?} {written:?}");
    }
    for (key, bytes) in [
        ("client", request.host.as_ref()),
        ("method", Some(&request.method)),
        ("path", Some(&request.raw_path)),
        ("query", Some(&request.query).filter(|query| !query.0.is_empty())),
        ("request_id", request.request_id.as_ref()),
        ("route", request.route.as_ref()),
    ] {
        assert_eq!(read.get(key).is_some(), bytes.is_some());
        if let Some(text) = bytes.and_then(|bytes| std::str::from_utf8(&bytes.0).ok()) {
            assert_eq!(read[key], text);
        }
    }

    let method = line(&mut Format::atoms("%(m)s").expect("a pattern"), &record);
    check_visible(&method);
    assert_eq!(unescaped(&method), request.method.0);
    for pattern in [&request.pattern, "%(h)s %(u)s %(t)s %(r)s %(f)s %(a)s %(U)s %(q)s %(L)s %(M)d"]
    {
        if let Ok(mut format) = Format::atoms(pattern) {
            check_visible(&line(&mut format, &record).replace('\t', ""));
        }
    }
});

fn line(format: &mut Format, record: &Record<'_>) -> String {
    let mut out = Vec::new();
    format.push_line(record, &mut out);
    assert_eq!(out.pop(), Some(b'\n'));
    String::from_utf8(out).expect("a line is UTF-8")
}

fn check_visible(line: &str) {
    let hidden = |each: char| each.is_control() || matches!(each, '\u{2028}'..='\u{202e}');
    assert!(!line.contains(hidden), "{line:?}");
}

/// Undoes the escapes of text.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().expect("an escape goes on") {
                b'x' => {
                    let digits = [rest.next(), rest.next()].map(|digit| digit.expect("a digit"));
                    let digits = std::str::from_utf8(&digits).expect("digits");
                    u8::from_str_radix(digits, 16).expect("a hexadecimal number")
                }
                quoted => quoted,
            },
            b'"' => panic!("a quote is not escaped"),
            other => other,
        });
    }
    bytes
}

fn read_logfmt(line: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').expect("a key has a value");
        let value;
        if after.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
            value = values.next().expect("a value").expect("a JSON string");
            rest = &after[values.byte_offset()..];
            rest = rest.strip_prefix(' ').unwrap_or(rest);
        } else {
            let (bare, next) = after.split_once(' ').unwrap_or((after, ""));
            value = bare.to_owned();
            rest = next;
        }
        pairs.push((key.to_owned(), value));
    }
    pairs
}
