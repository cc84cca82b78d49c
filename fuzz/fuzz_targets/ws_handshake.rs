//! `vivace_http::ws::handshake`: any header fields.
//!
//! What must hold: it says something of every request. What it answers to an offer of compression
//! is a valid offer itself, to which it gives the same answer. A response has nothing in it that
//! could end a line.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vivace_http::ws::deflate::{Settings, WindowBits};
use vivace_http::ws::handshake::Handshake;

#[derive(Arbitrary, Debug)]
struct Case {
    /// Whether the request is one for a WebSocket but for the other fields.
    usual: bool,
    fields: Vec<(Name, Value)>,
    takeover: (bool, bool),
    bits: (u8, u8),
}

#[derive(Arbitrary, Debug)]
enum Name {
    Extensions,
    Protocol,
    Key,
    Version,
    Connection,
    Upgrade,
    Any(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Value {
    Bytes(Vec<u8>),
    /// Words that mean something, and what can stand between them.
    Words(Vec<Word>),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Word {
    Deflate,
    ServerNoTakeover,
    ClientNoTakeover,
    ServerBits,
    ClientBits,
    Number(u8),
    Quote,
    Backslash,
    Space,
    Semicolon,
    Comma,
    Equals,
}

impl Name {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Extensions => b"sec-websocket-extensions",
            Self::Protocol => b"sec-websocket-protocol",
            Self::Key => b"sec-websocket-key",
            Self::Version => b"sec-websocket-version",
            Self::Connection => b"connection",
            Self::Upgrade => b"upgrade",
            Self::Any(name) => name,
        }
    }
}

impl Value {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Words(words) => words.iter().flat_map(|word| word.text().into_bytes()).collect(),
        }
    }
}

impl Word {
    fn text(self) -> String {
        match self {
            Self::Deflate => "permessage-deflate".into(),
            Self::ServerNoTakeover => "; server_no_context_takeover".into(),
            Self::ClientNoTakeover => "; client_no_context_takeover".into(),
            Self::ServerBits => "; server_max_window_bits".into(),
            Self::ClientBits => "; client_max_window_bits".into(),
            Self::Number(number) => (number % 20).to_string(),
            Self::Quote => "\"".into(),
            Self::Backslash => "\\".into(),
            Self::Space => " ".into(),
            Self::Semicolon => ";".into(),
            Self::Comma => ",".into(),
            Self::Equals => "=".into(),
        }
    }
}

fuzz_target!(|case: Case| {
    let bits = |bits: u8| WindowBits::new(8 + bits % 8).expect("from 8 to 15");
    let settings = Settings {
        server_no_context_takeover: case.takeover.0,
        client_no_context_takeover: case.takeover.1,
        server_max_window_bits: bits(case.bits.0),
        client_max_window_bits: bits(case.bits.1),
    };
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> =
        case.fields.iter().map(|(name, value)| (name.bytes().to_vec(), value.bytes())).collect();
    if case.usual {
        for (name, value) in [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ] {
            fields.push((name.into(), value.into()));
        }
    }
    let headers = fields.iter().map(|(name, value)| (&name[..], &value[..]));
    let Ok(Some(handshake)) = Handshake::over_http1(b"GET", 1, headers, Some(&settings)) else {
        return;
    };
    let subprotocol = handshake.subprotocols.last().map(String::as_str);
    let mut answer = None;
    for (name, value) in handshake.response_headers(subprotocol) {
        assert!(value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{value}");
        if name == "sec-websocket-extensions" {
            answer = Some(value);
        }
    }
    assert_eq!(answer.is_some(), handshake.deflate.is_some());
    if let Some(answer) = answer {
        let headers: [(&[u8], &[u8]); 2] =
            [(b"sec-websocket-version", b"13"), (b"sec-websocket-extensions", answer.as_bytes())];
        let again = Handshake::over_http2(headers, Some(&settings)).expect("a valid request");
        assert_eq!(again.deflate, handshake.deflate);
        assert!(again.response_headers(None).any(|(_, value)| value == answer));
    }
});
