//! Requests that ask for a WebSocket, and how they are answered.

use vivace_http::ws::deflate::{Parameters, Settings, WindowBits};
use vivace_http::ws::handshake::{Handshake, Refusal};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The example of RFC 6455 section 1.2, changed: a field with `None` is left out, one with a
/// value is replaced or added.
fn headers<'a>(changes: &[(&'a str, Option<&'a str>)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Origin", "http://example.com"),
        ("Sec-WebSocket-Version", "13"),
    ];
    let changed = |name: &str| changes.iter().any(|(other, _)| *other == name);
    let kept = usual.into_iter().filter(|(name, _)| !changed(name));
    kept.chain(changes.iter().filter_map(|&(name, value)| Some((name, value?)))).collect()
}

fn bytes<'a>(headers: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a {
    headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

fn over_http1(changes: &[(&str, Option<&str>)]) -> Result<Option<Handshake>, Refusal> {
    Handshake::over_http1(b"GET", 1, bytes(&headers(changes)), Some(&Settings::default()))
}

fn accepted(changes: &[(&str, Option<&str>)]) -> Handshake {
    over_http1(changes).unwrap().unwrap()
}

#[test]
fn the_example_of_the_rfc() {
    let handshake = accepted(&[("Sec-WebSocket-Protocol", Some("chat, superchat"))]);
    assert_eq!(handshake.subprotocols, ["chat", "superchat"]);
    assert_eq!(handshake.deflate, None);
    assert_eq!(handshake.status(), 101);
    let response: Vec<_> = handshake.response_headers(Some("chat")).collect();
    let expected = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("sec-websocket-protocol", "chat"),
    ];
    assert_eq!(response, expected);
}

#[test]
fn over_http2_there_is_no_key() {
    let fields = [
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "a"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ];
    let settings = Settings::default();
    let handshake = Handshake::over_http2(bytes(&fields), Some(&settings)).unwrap();
    assert_eq!(handshake.status(), 200);
    assert_eq!(handshake.subprotocols, ["a"]);
    let response: Vec<_> = handshake.response_headers(None).collect();
    let extensions = "permessage-deflate; server_max_window_bits=12";
    assert_eq!(response, [("sec-websocket-extensions", extensions)]);

    for fields in [&fields[1..], &[("sec-websocket-version", "8")]] {
        let refusal = Handshake::over_http2(bytes(fields), None).unwrap_err();
        assert_eq!(
            (refusal.status, refusal.headers),
            (400, &[("sec-websocket-version", "13")][..])
        );
    }
}

#[test]
fn requests_for_something_else() {
    for changes in [
        &[("Upgrade", None)][..],
        &[("Upgrade", Some("h2c"))],
        &[("Connection", None)],
        &[("Connection", Some("keep-alive"))],
        &[("Upgrade", None), ("Sec-WebSocket-Key", Some("bad"))],
    ] {
        assert_eq!(over_http1(changes), Ok(None), "{changes:?}");
    }
    // HTTP/1.0 knows no Upgrade.
    assert_eq!(Handshake::over_http1(b"GET", 0, bytes(&headers(&[])), None), Ok(None));
}

#[test]
fn names_and_tokens_in_any_case() {
    for changes in [
        &[("Upgrade", Some("WebSocket"))][..],
        &[("Upgrade", None), ("UPGRADE", Some("h2c, websocket"))],
        &[("Connection", Some("keep-alive, upgrade"))],
        &[("Connection", Some("keep-alive")), ("connection", Some("Upgrade"))],
        &[("Sec-WebSocket-Key", None), ("sec-websocket-KEY", Some(KEY))],
        &[("Content-Length", Some("0"))],
        &[("Sec-WebSocket-Version", Some(" 13 "))],
    ] {
        assert!(matches!(over_http1(changes), Ok(Some(_))), "{changes:?}");
    }
}

#[test]
fn bad_requests() {
    for (changes, status, word) in [
        (&[("Sec-WebSocket-Key", None)][..], 400, "Sec-WebSocket-Key"),
        (&[("Sec-WebSocket-Key", Some("c2hvcnQ="))], 400, "Sec-WebSocket-Key"),
        (&[("Sec-WebSocket-Key", Some("no base64 of 16 bytes!=="))], 400, "Sec-WebSocket-Key"),
        (&[("sec-websocket-key", Some(KEY))], 400, "twice"),
        (&[("Sec-WebSocket-Version", None)], 426, "13"),
        (&[("Sec-WebSocket-Version", Some("8"))], 426, "13"),
        (&[("Sec-WebSocket-Version", Some("013"))], 426, "13"),
        (&[("Sec-WebSocket-Version", Some("13, 8"))], 426, "13"),
        (&[("sec-websocket-version", Some("13"))], 400, "twice"),
        (&[("Sec-WebSocket-Protocol", Some("a b"))], 400, "Sec-WebSocket-Protocol"),
        (&[("Sec-WebSocket-Extensions", Some("a b"))], 400, "Sec-WebSocket-Extensions"),
        (&[("Content-Length", Some("5"))], 400, "body"),
        (&[("Transfer-Encoding", Some("chunked"))], 400, "body"),
    ] {
        let refusal = over_http1(changes).unwrap_err();
        assert_eq!(refusal.status, status, "{changes:?}: {refusal}");
        assert!(refusal.reason.contains(word), "{changes:?}: {refusal}");
        assert_eq!(refusal.headers.contains(&("sec-websocket-version", "13")), status == 426);
    }
    let refusal = Handshake::over_http1(b"POST", 1, bytes(&headers(&[])), None).unwrap_err();
    assert_eq!((refusal.status, refusal.headers), (405, &[("allow", "GET")][..]));
}

#[test]
fn subprotocols_of_repeated_fields() {
    let changes =
        [("Sec-WebSocket-Protocol", Some("v2, v1")), ("sec-websocket-protocol", Some("v0"))];
    assert_eq!(accepted(&changes).subprotocols, ["v2", "v1", "v0"]);
}

fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).unwrap()
}

/// What is answered to an offer.
fn answer(offer: &str, settings: Option<&Settings>) -> Option<(Parameters, String)> {
    let headers = headers(&[("Sec-WebSocket-Extensions", Some(offer))]);
    let handshake = Handshake::over_http1(b"GET", 1, bytes(&headers), settings).unwrap().unwrap();
    let mut response = handshake.response_headers(None);
    let value = response.find(|(name, _)| *name == "sec-websocket-extensions");
    let value = value.map(|(_, value)| value.to_owned());
    assert_eq!(handshake.deflate.is_some(), value.is_some());
    handshake.deflate.zip(value)
}

#[test]
fn offers_that_are_accepted_as_uvicorn_does() {
    for (offer, expected) in [
        // Firefox
        ("permessage-deflate", "; server_max_window_bits=12"),
        // Chromium, websockets, aiohttp
        (
            "permessage-deflate; client_max_window_bits",
            "; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            "permessage-deflate; client_max_window_bits=10",
            "; server_max_window_bits=12; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; client_max_window_bits=15",
            "; server_max_window_bits=12; client_max_window_bits=12",
        ),
        ("permessage-deflate; server_max_window_bits=9", "; server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=15", "; server_max_window_bits=12"),
        ("permessage-deflate; server_max_window_bits=\"8\"", "; server_max_window_bits=8"),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
        ),
        // The first that can be accepted.
        ("x-webkit-deflate-frame, permessage-deflate", "; server_max_window_bits=12"),
        (
            "permessage-deflate; foo, permessage-deflate; server_max_window_bits=10",
            "; server_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            "; server_max_window_bits=10",
        ),
    ] {
        let answer = answer(offer, Some(&Settings::default())).map(|(_, answer)| answer);
        assert_eq!(answer, Some(format!("permessage-deflate{expected}")), "{offer}");
    }
}

#[test]
fn what_was_agreed_on() {
    let settings = Settings::default();
    let (parameters, _) = answer("permessage-deflate", Some(&settings)).unwrap();
    let expected = Parameters {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: bits(12),
        client_max_window_bits: bits(15), // it was not told that it might be less
    };
    assert_eq!(parameters, expected);

    let offer = "permessage-deflate; client_max_window_bits=9; server_no_context_takeover";
    let (parameters, _) = answer(offer, Some(&settings)).unwrap();
    let expected = Parameters {
        server_no_context_takeover: true,
        client_max_window_bits: bits(9),
        ..expected
    };
    assert_eq!(parameters, expected);
}

#[test]
fn settings_of_the_server() {
    let settings = Settings {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
    };
    for (offer, expected) in [
        ("permessage-deflate", ""),
        ("permessage-deflate; client_max_window_bits", ""),
        ("permessage-deflate; client_max_window_bits=11", "; client_max_window_bits=11"),
        ("permessage-deflate; server_max_window_bits=15", "; server_max_window_bits=15"),
    ] {
        let (_, answer) = answer(offer, Some(&settings)).unwrap();
        let always = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        assert_eq!(answer, format!("{always}{expected}"), "{offer}");
    }
    assert_eq!(answer("permessage-deflate", None), None, "turned off");
}

#[test]
fn offers_that_are_declined() {
    for offer in [
        "x-webkit-deflate-frame",
        "permessage-deflat",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=0x9",
        "permessage-deflate; server_max_window_bits=265",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
    ] {
        assert_eq!(answer(offer, Some(&Settings::default())), None, "{offer}");
    }
}
