//! What a client may send and what it may not; each input also split at every byte.

use vivace_http::ws::deflate::Pool;
use vivace_http::ws::{CloseCode, CloseFrame, Decoder, Encoder, Message};

use crate::client::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RSV1, Seen, decode, feed, frame, read_frame, text,
};
use crate::random::Random;

const LIMIT: usize = 100_000;

fn decoded(frames: &[Vec<u8>]) -> Vec<Seen> {
    decode(&frames.concat(), LIMIT, None)
}

/// The events before the failure, and its code.
fn failed(frames: &[Vec<u8>], max_message: usize) -> (Vec<Seen>, u16) {
    let mut seen = decode(&frames.concat(), max_message, None);
    match seen.pop() {
        Some(Seen::Failed(failure)) => (seen, failure.code.value()),
        last => panic!("no failure, but {last:?}"),
    }
}

const TEXT: u8 = crate::client::TEXT;

#[test]
fn messages_of_one_frame() {
    let long = "é".repeat(35_000);
    let seen = decoded(&[
        frame(FIN | TEXT, b""),
        frame(FIN | TEXT, "κόσμε".as_bytes()),
        frame(FIN | BINARY, b"\xff\x00"),
        frame(FIN | BINARY, &[7; 126]),
        frame(FIN | TEXT, long.as_bytes()),
        frame(FIN | TEXT, b"end"),
    ]);
    let expected = [
        text(""),
        text("κόσμε"),
        Seen::Binary(vec![0xff, 0]),
        Seen::Binary(vec![7; 126]),
        text(&long),
        text("end"),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn messages_in_parts_with_control_frames_between() {
    let seen = decoded(&[
        frame(TEXT, b"Hel"),
        frame(FIN | PING, b"1"),
        frame(CONTINUATION, b""),
        frame(FIN | PONG, b""),
        frame(CONTINUATION, "lö, W".as_bytes()),
        frame(FIN | PING, &[9; 125]),
        frame(FIN | CONTINUATION, b"orld"),
        frame(BINARY, b"\xf0"),
        frame(FIN | CONTINUATION, b""),
        frame(TEXT, b""),
        frame(FIN | CONTINUATION, b""),
    ]);
    let expected = [
        Seen::Ping(b"1".to_vec()),
        Seen::Pong(vec![]),
        Seen::Ping(vec![9; 125]),
        text("Hellö, World"),
        Seen::Binary(vec![0xf0]),
        text(""),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn characters_may_be_split_between_frames() {
    let seen = decoded(&[
        frame(TEXT, b"\xf0"),
        frame(CONTINUATION, b"\x9f"),
        frame(FIN | PING, b""),
        frame(CONTINUATION, b"\x98"),
        frame(FIN | CONTINUATION, b"\x80"),
    ]);
    assert_eq!(seen, [Seen::Ping(vec![]), text("😀")]);
}

#[test]
fn a_close_frame_is_the_end() {
    for (payload, code, reason) in [
        (&b""[..], None, ""),
        (b"\x03\xe8", Some(1000), ""),
        (b"\x0f\xa9see you", Some(4009), "see you"),
    ] {
        let seen = decoded(&[
            frame(TEXT, b"never ended"),
            frame(FIN | CLOSE, payload),
            frame(FIN | PING, b"too late"),
            b"no frame at all".to_vec(),
        ]);
        let code = code.map(|code| CloseCode::new(code).unwrap());
        assert_eq!(seen, [Seen::Close(CloseFrame { code, reason: reason.into() })]);
    }
}

#[test]
fn frames_that_break_a_rule() {
    let hello = frame(FIN | TEXT, b"hello");
    let mut unmasked = frame(FIN | TEXT, b"x");
    unmasked[1] &= 0x7f;
    for (name, frames, code) in [
        ("RSV1 without compression", vec![frame(FIN | RSV1 | TEXT, b"x")], 1002),
        ("RSV2", vec![frame(FIN | 0x20 | TEXT, b"x")], 1002),
        ("RSV3", vec![frame(FIN | 0x10 | PING, b"x")], 1002),
        ("data opcode 3", vec![frame(FIN | 3, b"")], 1002),
        ("data opcode 7", vec![frame(FIN | 7, b"x")], 1002),
        ("control opcode 11", vec![frame(FIN | 11, b"")], 1002),
        ("control opcode 15", vec![frame(FIN | 15, b"x")], 1002),
        ("no mask", vec![unmasked], 1002),
        ("ping in parts", vec![frame(PING, b"x")], 1002),
        ("close in parts", vec![frame(CLOSE, b"")], 1002),
        ("ping of 126 bytes", vec![frame(FIN | PING, &[0; 126])], 1002),
        ("close of 126 bytes", vec![frame(FIN | CLOSE, &[0; 126])], 1002),
        ("length 5 in two bytes", vec![b"\x81\xfe\x00\x05\0\0\0\0hello".to_vec()], 1002),
        ("length 126 in eight", vec![b"\x81\xff\0\0\0\0\0\0\0\x7e\0\0\0\0".to_vec()], 1002),
        ("negative length", vec![b"\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0".to_vec()], 1002),
        ("continuation of nothing", vec![frame(FIN | CONTINUATION, b"x")], 1002),
        ("part of nothing", vec![frame(CONTINUATION, b"x")], 1002),
        ("text in text", vec![frame(TEXT, b"a"), frame(FIN | TEXT, b"b")], 1002),
        ("binary in text", vec![frame(TEXT, b""), frame(BINARY, b"")], 1002),
        ("half a close code", vec![frame(FIN | CLOSE, b"\x03")], 1002),
        ("close code 1005", vec![frame(FIN | CLOSE, b"\x03\xed")], 1002),
        ("close reason", vec![frame(FIN | CLOSE, b"\x03\xe8\xc3")], 1007),
        ("text", vec![frame(FIN | TEXT, b"ab\xff")], 1007),
        ("text that ends early", vec![frame(FIN | TEXT, b"ab\xe2\x82")], 1007),
        ("text, part", vec![frame(TEXT, b"ab\xed\xa0")], 1007),
        (
            "text that ends early, in parts",
            vec![frame(TEXT, b"\xe2"), frame(FIN | CONTINUATION, b"\x82")],
            1007,
        ),
    ] {
        let frames = [vec![hello.clone()], frames, vec![hello.clone()]].concat();
        assert_eq!(failed(&frames, LIMIT), (vec![text("hello")], code), "{name}");
    }
}

#[test]
fn after_a_continued_message_there_is_nothing_to_continue() {
    let frames =
        [frame(TEXT, b"a"), frame(FIN | CONTINUATION, b"b"), frame(FIN | CONTINUATION, b"c")];
    assert_eq!(failed(&frames, LIMIT), (vec![text("ab")], 1002));
}

/// The first of `bytes` with which the decoder, fed one by one, fails.
fn fails_at(bytes: &[u8], max_message: usize) -> Option<usize> {
    let (mut decoder, mut pool) = (Decoder::new(max_message, None), Pool::default());
    bytes.chunks(1).position(|byte| !feed(&mut decoder, &mut pool, [byte]).is_empty())
}

#[test]
fn invalid_text_fails_before_the_message_is_complete() {
    let head = 6;
    let payload = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xf4\x90\x80\x80 and more";
    assert_eq!(fails_at(&frame(FIN | TEXT, payload), LIMIT), Some(head + 8));
    assert_eq!(fails_at(&frame(TEXT, payload), LIMIT), Some(head + 8));
}

#[test]
fn the_limit_counts_the_whole_message() {
    let message = |len: usize| frame(FIN | BINARY, &vec![1; len]);
    assert_eq!(decode(&message(10), 10, None), [Seen::Binary(vec![1; 10])]);
    assert_eq!(failed(&[message(11)], 10), (vec![], 1009));
    let parts = |last: usize| [frame(BINARY, &[1; 6]), frame(FIN | CONTINUATION, &vec![1; last])];
    assert_eq!(decode(&parts(4).concat(), 10, None), [Seen::Binary(vec![1; 10])]);
    assert_eq!(failed(&parts(5), 10), (vec![], 1009));
    // Each message anew, and control frames not at all.
    let twice = [message(10), frame(FIN | PING, &[2; 11]), message(10)];
    assert_eq!(decode(&twice.concat(), 10, None).len(), 3);
    assert_eq!(decode(&message(0), 0, None), [Seen::Binary(vec![])]);
    assert_eq!(failed(&[message(1)], 0), (vec![], 1009));
}

#[test]
fn a_length_that_is_too_long_fails_with_the_head() {
    let head = b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0";
    assert_eq!(fails_at(head, LIMIT), Some(13));
    // Without a limit it is waited for, and costs no memory.
    assert_eq!(fails_at(head, usize::MAX), None);
}

#[test]
fn a_failure_is_reported_once() {
    let (mut decoder, mut pool) = (Decoder::new(LIMIT, None), Pool::default());
    assert_eq!(feed(&mut decoder, &mut pool, [&frame(FIN | 3, b"")[..]]).len(), 1);
    let after = frame(FIN | TEXT, b"hello");
    assert_eq!(feed(&mut decoder, &mut pool, [&after[..], &after[..]]), []);
}

#[test]
fn any_messages_in_any_parts_and_pieces() {
    let mut random = Random(1);
    for round in 0..300 {
        let (mut bytes, mut expected) = (vec![], vec![]);
        for _ in 0..1 + random.below(6) {
            let len = random.len();
            let (opcode, payload) = match random.below(2) {
                0 => (TEXT, random.text(len).into_bytes()),
                _ => (BINARY, random.bytes(len)),
            };
            let mut rest = &payload[..];
            let mut opcode_of_part = opcode;
            while random.below(3) == 0 {
                let (part, others) = rest.split_at(random.below(rest.len() + 1));
                bytes.extend(frame(opcode_of_part, part));
                (rest, opcode_of_part) = (others, CONTINUATION);
                if random.below(2) == 0 {
                    let len = random.below(126);
                    let ping = random.bytes(len);
                    bytes.extend(frame(FIN | PING, &ping));
                    expected.push(Seen::Ping(ping));
                }
            }
            bytes.extend(frame(FIN | opcode_of_part, rest));
            expected.push(match opcode {
                TEXT => Seen::Text(String::from_utf8(payload).unwrap()),
                _ => Seen::Binary(payload),
            });
        }
        let mut pieces = vec![];
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, others) = rest.split_at((1 + random.len()).min(rest.len()));
            pieces.push(piece);
            rest = others;
        }
        let (mut decoder, mut pool) = (Decoder::new(LIMIT, None), Pool::default());
        assert_eq!(feed(&mut decoder, &mut pool, pieces), expected, "round {round}");
    }
}

#[test]
fn what_the_encoder_writes_a_client_reads() {
    let mut random = Random(2);
    let (mut encoder, mut pool, mut out) = (Encoder::new(None), Pool::default(), vec![]);
    let mut expected = vec![];
    for _ in 0..200 {
        let len = random.len();
        let payload = random.text(len);
        match random.below(3) {
            0 => {
                encoder.message(Message::Text(&payload), &mut pool, &mut out);
                expected.push((FIN | TEXT, payload.into_bytes()));
            }
            1 => {
                encoder.message(Message::Binary(payload.as_bytes()), &mut pool, &mut out);
                expected.push((FIN | BINARY, payload.into_bytes()));
            }
            _ => {
                let ping = random.bytes(125);
                encoder.ping(&ping, &mut out);
                encoder.pong(&ping[..5], &mut out);
                expected.push((FIN | PING, ping.clone()));
                expected.push((FIN | PONG, ping[..5].to_vec()));
            }
        }
    }
    let mut rest = &out[..];
    let read: Vec<_> = expected.iter().map(|_| read_frame(&mut rest)).collect();
    assert!(rest.is_empty());
    assert!(read == expected, "another frame");
}
