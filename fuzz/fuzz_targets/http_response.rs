//! `vivace_http::h1::response` against a plain client.
//!
//! What must hold: whatever program and server ask for, the client sees one response, with the
//! status and the content that were meant; and if the connection stays, not a byte more.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vivace_http::h1::request::Header;
use vivace_http::h1::response::{Defaults, RequestTraits, ResponseWriter};

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Name {
    ContentLength,
    TransferEncoding,
    Connection,
    Upgrade,
    Date,
    Other,
}

#[derive(Arbitrary, Debug)]
struct Field {
    name: Result<Name, Vec<u8>>,
    value: Result<u8, Vec<u8>>,
}

#[derive(Arbitrary, Debug)]
struct Script {
    head: bool,
    http11: bool,
    keep_alive: bool,
    trailers_wanted: bool,
    status: u16,
    fields: Vec<Field>,
    /// Whether the server knows the length, since all of the content is there.
    known_length: bool,
    trailers: Option<Vec<Field>>,
    pieces: Vec<Vec<u8>>,
}

impl Field {
    fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        let name = match &self.name {
            Ok(Name::ContentLength) => b"Content-Length".to_vec(),
            Ok(Name::TransferEncoding) => b"transfer-encoding".to_vec(),
            Ok(Name::Connection) => b"connection".to_vec(),
            Ok(Name::Upgrade) => b"upgrade".to_vec(),
            Ok(Name::Date) => b"date".to_vec(),
            Ok(Name::Other) => b"x-other".to_vec(),
            Err(bytes) => bytes.clone(),
        };
        let value = match &self.value {
            Ok(number) => number.to_string().into_bytes(),
            Err(bytes) => bytes.clone(),
        };
        (name, value)
    }
}

/// What the client saw: the status, the field lines, the content, trailer lines.
struct Seen {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    content: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    stays: bool,
}

fn take_line<'b>(rest: &mut &'b [u8]) -> &'b [u8] {
    let end = rest.windows(2).position(|pair| pair == b"\r\n").expect("a line has an end");
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    assert!(!line.iter().any(|byte| b"\r\n\0".contains(byte)), "a line is one line");
    line
}

fn take_fields(rest: &mut &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut fields = Vec::new();
    loop {
        let line = take_line(rest);
        if line.is_empty() {
            return fields;
        }
        let colon = line.iter().position(|&byte| byte == b':').expect("a field has a colon");
        let name = String::from_utf8(line[..colon].to_vec()).expect("a name is ASCII");
        assert!(!name.is_empty() && !name.contains([' ', '\t']));
        fields.push((name.to_ascii_lowercase(), line[colon + 2..].to_vec()));
    }
}

/// Reads a complete response as a client does.
fn read(mut rest: &[u8], head: bool, http11: bool) -> Seen {
    let line = String::from_utf8(take_line(&mut rest).to_vec()).expect("a status line is ASCII");
    let status = line.strip_prefix("HTTP/1.1 ").expect("the version")[..3].parse();
    let status: u16 = status.expect("three digits");
    let fields = take_fields(&mut rest);
    let value = |name: &str| -> Vec<&[u8]> {
        fields.iter().filter(|field| field.0 == name).map(|field| &field.1[..]).collect()
    };
    let mut seen = Seen {
        status,
        content: Vec::new(),
        trailers: Vec::new(),
        stays: match &value("connection")[..] {
            [] => http11,
            [b"close" | b"close, upgrade"] => false,
            [b"keep-alive" | b"keep-alive, upgrade"] => true,
            [b"upgrade"] => http11,
            other => panic!("connection: {other:?}"),
        },
        fields: Vec::new(),
    };
    let (lengths, codings) = (value("content-length"), value("transfer-encoding"));
    assert!(lengths.len() + codings.len() <= 1, "one framing");
    if head || matches!(status, 204 | 304) {
        assert!(codings.is_empty() && (status != 204 || lengths.is_empty()));
    } else if let [digits] = lengths[..] {
        let length = String::from_utf8_lossy(digits).parse::<usize>().expect("a length");
        seen.content = rest[..length].to_vec();
        rest = &rest[length..];
    } else if let [coding] = codings[..] {
        assert!(http11 && coding == b"chunked");
        loop {
            let size = String::from_utf8_lossy(take_line(&mut rest)).into_owned();
            let size = usize::from_str_radix(&size, 16).expect("a chunk size");
            if size == 0 {
                break;
            }
            seen.content.extend_from_slice(&rest[..size]);
            rest = rest[size..].strip_prefix(b"\r\n").expect("the end of a chunk");
        }
        seen.trailers = take_fields(&mut rest);
    } else {
        assert!(!seen.stays, "only the end of the connection ends this");
        seen.content = rest.to_vec();
        rest = &[];
    }
    assert!(rest.is_empty(), "not a byte more");
    seen.fields = fields;
    seen
}

fuzz_target!(|script: Script| {
    let Script { head, http11, keep_alive, trailers_wanted, .. } = script;
    let request = RequestTraits { head, http11, http2: false, keep_alive, trailers_wanted };
    let mut writer = ResponseWriter::new(request);
    let mut out = Vec::new();
    if writer.begin(&mut out, script.status % 700).is_err() {
        assert!(out.is_empty() && !(200..600).contains(&(script.status % 700)));
        return;
    }
    let mut passed_on = Vec::new();
    for field in &script.fields {
        let (name, value) = field.bytes();
        let before = out.len();
        if writer.header(&mut out, &name, &value).is_err() {
            assert_eq!(out.len(), before, "nothing of a field that is refused is written");
        } else if out.len() > before {
            passed_on.push((String::from_utf8_lossy(&name).to_ascii_lowercase(), value));
        }
    }
    let content = script.pieces.concat();
    if script.known_length {
        writer.know_length(content.len() as u64);
    }
    if script.trailers.is_some() {
        writer.promise_trailers();
    }
    let defaults = Defaults { date: Some(b"now"), server: None, extra: b"x-extra: 1\r\n" };
    writer.finish_head(&mut out, defaults);

    let mut pieces: Vec<&[u8]> = script.pieces.iter().map(Vec::as_slice).collect();
    if pieces.is_empty() {
        pieces.push(b"");
    }
    for (index, piece) in pieces.iter().enumerate() {
        if writer.write_body(&mut out, piece, index + 1 < pieces.len()).is_err() {
            assert!(writer.is_complete() && !writer.keep_alive(), "a broken response is the last");
            return;
        }
    }
    if let Some(trailers) = &script.trailers {
        assert!(writer.awaits_trailers());
        let trailers: Vec<_> = trailers.iter().map(Field::bytes).collect();
        let fields = trailers.iter().map(|(name, value)| Header { name, value });
        let before = out.len();
        if writer.trailers(&mut out, fields).is_err() {
            assert_eq!(out.len(), before);
            return;
        }
    }
    assert!(writer.is_complete());

    let seen = read(&out, head, http11);
    assert_eq!(seen.status, script.status % 700);
    assert_eq!(seen.stays, writer.keep_alive());
    assert!(keep_alive || !seen.stays);
    if head || matches!(seen.status, 204 | 304) {
        assert!(seen.content.is_empty());
    } else {
        assert_eq!(seen.content, content);
    }
    for (index, (name, value)) in passed_on.iter().enumerate() {
        assert_eq!((&seen.fields[index].0, &seen.fields[index].1), (name, value), "in order");
    }
    assert!(seen.fields.iter().any(|field| field.0 == "x-extra" && field.1 == b"1"));
    assert!(seen.fields.iter().any(|field| field.0 == "date"));
    let no_framing = |name: &str| name != "content-length" && name != "transfer-encoding";
    assert!(seen.trailers.iter().all(|field| no_framing(&field.0)));
    assert!(seen.trailers.is_empty() || (trailers_wanted && script.trailers.is_some()));
});
