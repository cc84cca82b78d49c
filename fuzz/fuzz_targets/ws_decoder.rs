//! `vivace_http::ws::Decoder` against the rules of RFC 6455, frame by frame.
//!
//! What must hold: it tells of frames what the model does, up to the first that breaks a rule,
//! and then of nothing more. The same bytes mean the same however they are split, be they
//! frames or not, compressed or not.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vivace_http::ws::deflate::{Parameters, Pool, WindowBits};
use vivace_http::ws::{CloseCode, Decoder};

#[allow(dead_code, clippy::unwrap_used)]
#[path = "../../crates/vivace-http/tests/ws/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../../crates/vivace-http/tests/ws/inflate.rs"]
mod inflate;

use client::{Compressor, Seen, feed, frame};

#[derive(Arbitrary, Debug)]
enum Input {
    /// Complete frames, uncompressed: the model knows what they mean.
    Frames(Vec<Frame>),
    /// Messages that a client compressed; those with `true` are text.
    Messages(Deflate, Vec<(bool, Payload)>),
    /// Anything, with or without compression.
    Bytes(Option<Deflate>, Vec<u8>),
    /// The payload of a compressed message.
    Compressed(Deflate, Vec<u8>, bool),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Deflate {
    takeover: bool,
}

#[derive(Arbitrary, Debug)]
struct Frame {
    first: First,
    payload: Payload,
}

#[derive(Arbitrary, Debug)]
enum First {
    Text,
    TextPart,
    BinaryPart,
    Part,
    End,
    Ping,
    Close,
    Any(u8),
}

#[derive(Arbitrary, Debug)]
enum Payload {
    Text(String),
    Bytes(Vec<u8>),
    /// Text, then anything.
    Both(String, Vec<u8>),
    Code(u16, String),
    Zeros(u16),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Limit {
    Low(u8),
    Any(u16),
}

#[derive(Arbitrary, Debug)]
struct Case {
    limit: Limit,
    splits: Vec<u8>,
    input: Input,
}

impl Case {
    fn max_message(&self) -> usize {
        match self.limit {
            Limit::Low(limit) => limit.into(),
            Limit::Any(limit) => limit.into(),
        }
    }
}

impl First {
    fn byte(&self) -> u8 {
        match self {
            Self::Text => 0x81,
            Self::TextPart => 0x01,
            Self::BinaryPart => 0x02,
            Self::Part => 0x00,
            Self::End => 0x80,
            Self::Ping => 0x89,
            Self::Close => 0x88,
            Self::Any(byte) => *byte,
        }
    }
}

impl Payload {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Both(text, bytes) => [text.as_bytes(), bytes].concat(),
            Self::Code(code, reason) => [&code.to_be_bytes(), reason.as_bytes()].concat(),
            Self::Zeros(count) => vec![0; (*count).into()],
        }
    }
}

/// What the frames mean; a failure as its code.
fn model(frames: &[(u8, Vec<u8>)], max_message: usize) -> Vec<Result<Seen, u16>> {
    let mut events = vec![];
    // The opcode of the message in progress, and what there is of it.
    let mut message: Option<(u8, Vec<u8>)> = None;
    for (first, payload) in frames {
        match one(*first, payload, &mut message, max_message) {
            Ok(None) => {}
            Ok(Some(seen)) => {
                let last = matches!(seen, Seen::Close(_));
                events.push(Ok(seen));
                if last {
                    break;
                }
            }
            Err(code) => {
                events.push(Err(code));
                break;
            }
        }
    }
    events
}

fn one(
    first: u8,
    payload: &[u8],
    message: &mut Option<(u8, Vec<u8>)>,
    max_message: usize,
) -> Result<Option<Seen>, u16> {
    let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
    if first & 0x70 != 0 || (3..8).contains(&opcode) || opcode > 10 {
        return Err(1002);
    }
    if opcode >= 8 {
        return match opcode {
            _ if !fin || payload.len() > 125 => Err(1002),
            9 => Ok(Some(Seen::Ping(payload.to_vec()))),
            10 => Ok(Some(Seen::Pong(payload.to_vec()))),
            _ => close(payload).map(Some),
        };
    }
    match (opcode, &message) {
        (0, None) | (1 | 2, Some(_)) => return Err(1002),
        (0, Some(_)) => {}
        _ => *message = Some((opcode, vec![])),
    }
    let Some((kind, all)) = message else { unreachable!("one begins above") };
    if all.len() + payload.len() > max_message {
        return Err(1009);
    }
    all.extend(payload);
    if *kind == 1 {
        match std::str::from_utf8(all) {
            Ok(_) => {}
            Err(error) if !fin && error.error_len().is_none() => {}
            Err(_) => return Err(1007),
        }
    }
    if !fin {
        return Ok(None);
    }
    Ok(message.take().map(|(kind, all)| match kind {
        1 => Seen::Text(String::from_utf8(all).expect("checked above")),
        _ => Seen::Binary(all),
    }))
}

fn close(payload: &[u8]) -> Result<Seen, u16> {
    let (code, reason) = match payload {
        [] => (None, ""),
        [_] => return Err(1002),
        [high, low, reason @ ..] => {
            let code = u16::from(*high) << 8 | u16::from(*low);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(1002);
            }
            let reason = std::str::from_utf8(reason).map_err(|_| 1007u16)?;
            (CloseCode::new(code), reason)
        }
    };
    Ok(Seen::Close(vivace_http::ws::CloseFrame { code, reason: reason.to_owned() }))
}

/// What compressed messages mean. What comes first in one decides: text that is none, or more
/// than may be.
fn model_of_compressed(messages: &[(bool, Vec<u8>)], max_message: usize) -> Vec<Result<Seen, u16>> {
    let mut events = vec![];
    for (text, payload) in messages {
        let allowed = &payload[..payload.len().min(max_message)];
        let too_long = payload.len() > max_message;
        let invalid = match std::str::from_utf8(allowed) {
            Err(error) => *text && (error.error_len().is_some() || !too_long),
            Ok(_) => false,
        };
        let event = match String::from_utf8(payload.clone()) {
            _ if invalid => Err(1007),
            _ if too_long => Err(1009),
            Ok(valid) if *text => Ok(Seen::Text(valid)),
            _ => Ok(Seen::Binary(payload.clone())),
        };
        let failed = event.is_err();
        events.push(event);
        if failed {
            break;
        }
    }
    events
}

/// What the decoder says of `bytes`, and that it says so however they are split.
fn decode(bytes: &[u8], case: &Case, deflate: Option<Deflate>) -> Vec<Seen> {
    let parameters = deflate.map(|deflate| Parameters {
        server_no_context_takeover: !deflate.takeover,
        client_no_context_takeover: !deflate.takeover,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
    });
    let mut pool = Pool::default();
    let new = || Decoder::new(case.max_message(), parameters.as_ref());
    let whole = feed(&mut new(), &mut pool, [bytes]);
    let mut pieces = vec![];
    let mut rest = bytes;
    for &len in case.splits.iter().cycle().take(if case.splits.is_empty() { 0 } else { 1000 }) {
        let (piece, others) = rest.split_at(rest.len().min(len.into()));
        pieces.push(piece);
        rest = others;
    }
    pieces.push(rest);
    assert_eq!(feed(&mut new(), &mut pool, pieces), whole, "split");
    assert_eq!(feed(&mut new(), &mut pool, bytes.chunks(1)), whole, "byte by byte");
    for seen in &whole {
        if let Seen::Text(text) = seen {
            assert!(text.len() <= case.max_message());
        }
        if let Seen::Binary(bytes) = seen {
            assert!(bytes.len() <= case.max_message());
        }
    }
    whole
}

/// The failure among `events` as its code.
fn codes(events: Vec<Seen>) -> Vec<Result<Seen, u16>> {
    let code = |seen| match seen {
        Seen::Failed(failure) => Err(failure.code.value()),
        seen => Ok(seen),
    };
    events.into_iter().map(code).collect()
}

fuzz_target!(|case: Case| {
    match &case.input {
        Input::Frames(frames) => {
            let frames: Vec<_> =
                frames.iter().map(|frame| (frame.first.byte(), frame.payload.bytes())).collect();
            let bytes: Vec<_> = frames.iter().flat_map(|(first, it)| frame(*first, it)).collect();
            let expected = model(&frames, case.max_message());
            assert_eq!(codes(decode(&bytes, &case, None)), expected);
        }
        Input::Messages(deflate, messages) => {
            let mut compressor = Compressor::new(15, deflate.takeover);
            let messages: Vec<_> =
                messages.iter().map(|(text, payload)| (*text, payload.bytes())).collect();
            let bytes = messages.iter().flat_map(|(text, payload)| {
                frame(if *text { 0xc1 } else { 0xc2 }, &compressor.message(payload))
            });
            let seen = codes(decode(&bytes.collect::<Vec<_>>(), &case, Some(*deflate)));
            assert_eq!(seen, model_of_compressed(&messages, case.max_message()));
        }
        Input::Bytes(deflate, bytes) => {
            decode(bytes, &case, *deflate);
        }
        Input::Compressed(deflate, payload, text) => {
            let bytes = frame(if *text { 0xc1 } else { 0xc2 }, payload);
            decode(&[&bytes[..], &bytes].concat(), &case, Some(*deflate));
        }
    }
});
