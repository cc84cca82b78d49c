//! Compression: against zlib with a context of its own on the client's side, and against clients
//! that mean harm.

use flate2::{Compress, Compression, FlushCompress, Status};
use vivace_http::ws::deflate::{Parameters, Pool, WindowBits};
use vivace_http::ws::{Decoder, Encoder, Kind, Message};

use crate::client::{
    BINARY, CONTINUATION, Compressor, Decompressor, FIN, PING, RSV1, Seen, TEXT, decode, feed,
    frame, read_frame, text,
};
use crate::random::Random;

const LIMIT: usize = 1 << 20;

fn parameters(bits: u8, takeover: bool) -> Parameters {
    Parameters {
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        server_max_window_bits: WindowBits::new(bits).unwrap(),
        client_max_window_bits: WindowBits::new(bits).unwrap(),
    }
}

fn decoded(bytes: &[u8]) -> Vec<Seen> {
    decode(bytes, LIMIT, Some(&parameters(15, true)))
}

fn failure_code(bytes: &[u8], max_message: usize) -> u16 {
    let seen = decode(bytes, max_message, Some(&parameters(15, true)));
    match &seen[..] {
        [Seen::Failed(failure)] => failure.code.value(),
        seen => panic!("no failure, but {seen:?}"),
    }
}

#[test]
fn the_examples_of_rfc_7692() {
    // Section 7.2.3, each from its part of it.
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let one = frame(FIN | RSV1 | TEXT, hello);
    assert_eq!(decoded(&one), [text("Hello")]);
    let in_parts = [frame(RSV1 | TEXT, &hello[..3]), frame(FIN | CONTINUATION, &hello[3..])];
    assert_eq!(decoded(&in_parts.concat()), [text("Hello")]);
    let with_takeover = [one.clone(), frame(FIN | RSV1 | TEXT, b"\xf2\x00\x11\x00\x00")];
    assert_eq!(decoded(&with_takeover.concat()), [text("Hello"), text("Hello")]);
    let stored = frame(FIN | RSV1 | TEXT, b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00");
    assert_eq!(decoded(&stored), [text("Hello")]);
    let last_block = frame(FIN | RSV1 | TEXT, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00");
    assert_eq!(decoded(&last_block), [text("Hello")]);
    let two_blocks = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";
    assert_eq!(decoded(&frame(FIN | RSV1 | TEXT, two_blocks)), [text("Hello")]);
    let empty = frame(FIN | RSV1 | TEXT, b"\x00");
    assert_eq!(decoded(&empty), [text("")]);
}

#[test]
fn a_last_block_does_not_end_the_context() {
    let first = frame(FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    // "Hello" as a reference back to the message before, in a block that calls itself the last
    // one; and after it in the same message once more, likewise.
    let again = frame(FIN | RSV1 | TEXT, b"\xf3\x00\x11\x00\xf3\x00\x11\x00\x00");
    assert_eq!(decoded(&[first, again].concat()), [text("Hello"), text("HelloHello")]);
}

#[test]
fn a_stream_after_a_last_block_refers_to_earlier_messages() {
    let mut random = Random(7);
    let (earlier, between) = (random.bytes(3000), b"other words".to_vec());
    let mut compress = Compress::new(Compression::new(6), false);
    let mut finish = |dictionary: &[u8], payload: &[u8]| {
        compress.reset();
        compress.set_dictionary(dictionary).unwrap();
        let mut out = Vec::with_capacity(4000);
        let status = compress.compress_vec(payload, &mut out, FlushCompress::Finish).unwrap();
        assert_eq!(status, Status::StreamEnd);
        out
    };
    let first = finish(&earlier, &between);
    let second = finish(&[&earlier[..], &between].concat(), &earlier);
    assert!(second.len() < 100, "a reference to all of it");
    let bytes = [
        frame(FIN | RSV1 | BINARY, &Compressor::new(15, true).message(&earlier)),
        frame(FIN | RSV1 | BINARY, &[&first[..], &second, &[0]].concat()),
    ];
    let expected = [Seen::Binary(earlier.clone()), Seen::Binary([between, earlier].concat())];
    assert_eq!(decoded(&bytes.concat()), expected);
}

#[test]
fn plain_messages_and_control_frames_between_compressed_ones() {
    let mut compressor = Compressor::new(15, true);
    let payload = compressor.message("Grüße, Grüße".as_bytes());
    let bytes = [
        frame(FIN | TEXT, b"plain"),
        frame(RSV1 | TEXT, &payload[..4]),
        frame(FIN | PING, b"?"),
        frame(CONTINUATION, b""),
        frame(FIN | CONTINUATION, &payload[4..]),
        frame(FIN | BINARY, b"\xff"),
        frame(FIN | RSV1 | BINARY, &compressor.message("Grüße".as_bytes())),
    ];
    let expected = [
        text("plain"),
        Seen::Ping(b"?".to_vec()),
        text("Grüße, Grüße"),
        Seen::Binary(vec![0xff]),
        Seen::Binary("Grüße".into()),
    ];
    assert_eq!(decoded(&bytes.concat()), expected);
}

#[test]
fn only_the_first_frame_says_that_it_is_compressed() {
    for bytes in [
        [frame(TEXT, b"a"), frame(FIN | RSV1 | CONTINUATION, b"\x00")].concat(),
        [frame(RSV1 | TEXT, b"\xf2"), frame(FIN | RSV1 | CONTINUATION, b"\x00")].concat(),
        frame(FIN | RSV1 | PING, b""),
    ] {
        assert_eq!(failure_code(&bytes, LIMIT), 1002);
    }
}

#[test]
fn data_that_no_compressor_writes() {
    for payload in [
        &b"\x07\x00"[..],                 // a kind of block that does not exist
        b"\x00\x05\x00\x05\x00hello\x00", // a length that does not match its complement
        b"\xf2\x00\x11\x00\x00",          // refers to what was before the beginning
    ] {
        assert_eq!(failure_code(&frame(FIN | RSV1 | BINARY, payload), LIMIT), 1007);
        assert_eq!(failure_code(&frame(FIN | RSV1 | TEXT, payload), LIMIT), 1007);
    }
}

#[test]
fn without_takeover_nothing_is_remembered() {
    let bytes = [
        frame(FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00"),
        frame(FIN | RSV1 | TEXT, b"\xf2\x00\x11\x00\x00"),
    ];
    let seen = decode(&bytes.concat(), LIMIT, Some(&parameters(15, false)));
    assert!(matches!(&seen[..], [Seen::Text(_), Seen::Failed(f)] if f.code.value() == 1007));
}

#[test]
fn invalid_text_is_noticed_before_the_message_is_complete() {
    let mut payload = b"a".repeat(5000);
    payload.extend(b"\xff");
    payload.extend(Random(3).bytes(5000));
    let bytes = frame(FIN | RSV1 | TEXT, &Compressor::new(15, true).message(&payload));
    assert_eq!(failure_code(&bytes, LIMIT), 1007);
    let (mut decoder, mut pool) =
        (Decoder::new(LIMIT, Some(&parameters(15, true))), Pool::default());
    let noticed =
        bytes.chunks(1).position(|byte| !feed(&mut decoder, &mut pool, [byte]).is_empty());
    assert!(noticed.unwrap() < 500, "{noticed:?}");
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    // 1000 to 1, which is about as much as there can be.
    let bomb = Compressor::new(15, true).message(&vec![0; 50 << 20]);
    assert!(bomb.len() < 60_000);
    for first in [TEXT, BINARY] {
        let bytes = frame(FIN | RSV1 | first, &bomb);
        let (mut decoder, mut pool) =
            (Decoder::new(LIMIT, Some(&parameters(15, true))), Pool::default());
        // It is in the bytes that become a bit more than the limit.
        let (start, rest) = bytes.split_at(LIMIT / 1100);
        assert_eq!(feed(&mut decoder, &mut pool, [start]), []);
        let seen = feed(&mut decoder, &mut pool, [&rest[..200]]);
        assert!(matches!(&seen[..], [Seen::Failed(f)] if f.code.value() == 1009), "{seen:?}");
    }
    let exactly = Compressor::new(15, true).message(&vec![0; LIMIT]);
    assert_eq!(decoded(&frame(FIN | RSV1 | BINARY, &exactly)), [Seen::Binary(vec![0; LIMIT])]);
    let one_more = Compressor::new(15, true).message(&vec![0; LIMIT + 1]);
    assert_eq!(failure_code(&frame(FIN | RSV1 | BINARY, &one_more), LIMIT), 1009);
    let nothing = frame(FIN | RSV1 | BINARY, b"\x00");
    assert_eq!(decode(&nothing, 0, Some(&parameters(15, true))), [Seen::Binary(vec![])]);
}

#[test]
fn what_comes_first_decides() {
    // Invalid text within the limit, then too much: 1007, however it is split.
    let mut payload = vec![b'a'; 100];
    payload[98] = 0xff;
    let bytes = frame(FIN | RSV1 | TEXT, &Compressor::new(15, true).message(&payload));
    assert_eq!(failure_code(&bytes, 99), 1007);
    assert_eq!(failure_code(&bytes, 98), 1009);
}

/// Some connections of one thread, each with the zlib of its client.
struct Connection {
    encoder: Encoder,
    decoder: Decoder,
    compressor: Compressor,
    decompressor: Decompressor,
}

impl Connection {
    fn new(bits: u8, takeover: bool) -> Self {
        let parameters = parameters(bits, takeover);
        let mut encoder = Encoder::new(Some(&parameters));
        encoder.set_min_compressed(1);
        Self {
            encoder,
            decoder: Decoder::new(LIMIT, Some(&parameters)),
            compressor: Compressor::new(bits.max(9), takeover),
            decompressor: Decompressor::new(bits, takeover),
        }
    }

    /// From the server to the client. Says whether it was compressed.
    fn send(&mut self, payload: &str, pool: &mut Pool) -> bool {
        let mut out = vec![];
        self.encoder.message(Message::Text(payload), pool, &mut out);
        let mut rest = &out[..];
        let (first, received) = read_frame(&mut rest);
        assert!(rest.is_empty());
        let compressed = first == FIN | RSV1 | TEXT;
        if compressed {
            assert!(received.len() < payload.len());
            assert!(self.decompressor.message(&received) == payload.as_bytes());
        } else {
            assert_eq!(first, FIN | TEXT);
            assert!(received == payload.as_bytes());
        }
        compressed
    }

    /// From the client to the server, in pieces.
    fn receive(&mut self, payload: &str, random: &mut Random, pool: &mut Pool) {
        let bytes = frame(FIN | RSV1 | TEXT, &self.compressor.message(payload.as_bytes()));
        let (first, second) = bytes.split_at(random.below(bytes.len()));
        let pieces = if random.below(2) == 0 { vec![&bytes[..]] } else { vec![first, second] };
        assert!(feed(&mut self.decoder, pool, pieces) == [Seen::Text(payload.to_owned())]);
    }
}

#[test]
fn any_messages_both_ways_on_connections_that_share_a_pool() {
    for level in [1, 2, 3, 6, 9] {
        let mut random = Random(level);
        let mut pool = Pool::new(level as u32);
        let mut connections: Vec<_> = (8..=15)
            .flat_map(|bits| [Connection::new(bits, true), Connection::new(bits, false)])
            .chain([Connection::new(12, true), Connection::new(12, true)])
            .collect();
        let mut compressed = 0;
        for _ in 0..600 {
            let len = random.len();
            let payload = random.text(len);
            let count = connections.len();
            let connection = &mut connections[random.below(count)];
            // At times the same one several times: it goes on with its compressor.
            for _ in 0..1 + random.below(2) * random.below(4) {
                compressed += u32::from(connection.send(&payload, &mut pool));
                connection.receive(&payload, &mut random, &mut pool);
            }
        }
        assert!(compressed > 500, "most were compressed: {compressed}");
    }
}

#[test]
fn a_connection_may_change_from_pool_to_pool() {
    let mut random = Random(4);
    let mut pools = [Pool::default(), Pool::default()];
    let mut connections = [Connection::new(12, true), Connection::new(12, true)];
    for _ in 0..300 {
        let len = random.below(400);
        let payload = random.text(len);
        let pool = &mut pools[random.below(2)];
        let connection = &mut connections[random.below(2)];
        connection.send(&payload, pool);
        connection.receive(&payload, &mut random, pool);
    }
}

#[test]
fn messages_in_progress_on_many_connections_of_one_pool() {
    let mut pool = Pool::default();
    let mut connections: Vec<_> = (0..20).map(|_| Connection::new(12, true)).collect();
    let mut random = Random(5);
    for _ in 0..5 {
        let payloads: Vec<_> = connections.iter().map(|_| random.text(3000)).collect();
        let frames = connections.iter_mut().zip(&payloads).map(|(connection, payload)| {
            frame(FIN | RSV1 | TEXT, &connection.compressor.message(payload.as_bytes()))
        });
        let frames: Vec<_> = frames.collect();
        for (connection, frame) in connections.iter_mut().zip(&frames) {
            assert_eq!(feed(&mut connection.decoder, &mut pool, [&frame[..50]]), []);
        }
        for ((connection, frame), payload) in connections.iter_mut().zip(&frames).zip(payloads) {
            let seen = feed(&mut connection.decoder, &mut pool, [&frame[50..]]);
            assert_eq!(seen, [Seen::Text(payload)]);
        }
    }
}

#[test]
fn similar_messages_become_small() {
    let mut pool = Pool::default();
    let parameters = parameters(12, true);
    let mut encoders = [Encoder::new(Some(&parameters)), Encoder::new(Some(&parameters))];
    let message = |index: usize| {
        format!(
            "{{\"id\":{index},\"user\":\"somebody\",\"text\":\"a message of usual length\",\
            \"tags\":[\"one\",\"two\"],\"created\":\"2026-01-01T00:00:{index:02}Z\",\"read\":false}}"
        )
    };
    let mut sizes = vec![];
    for index in 0..10 {
        // In turns: each time with a dictionary.
        for encoder in &mut encoders {
            let mut out = vec![];
            encoder.message(Message::Text(&message(index)), &mut pool, &mut out);
            sizes.push(out.len());
        }
    }
    assert!(sizes[0] > 100 && sizes[1] > 100, "{sizes:?}");
    assert!(sizes[2..].iter().all(|&size| size < 40), "{sizes:?}");
}

#[test]
fn what_becomes_hardly_smaller_is_compressed_all_the_same() {
    let mut random = Random(8);
    let digits: String = (0..50_000).map(|_| format!("{:x}", random.below(16))).collect();
    for len in [1000, 4096, 50_000] {
        let mut connection = Connection::new(12, true);
        assert!(connection.send(&digits[..len], &mut Pool::new(6)), "{len}");
    }
}

#[test]
fn short_messages_and_such_that_do_not_compress_are_sent_as_they_are() {
    let mut pool = Pool::default();
    let mut encoder = Encoder::new(Some(&parameters(12, true)));
    let noise = Random(6).bytes(5000);
    for (payload, compressed) in [
        (&b"aaaaaaaaaaaaaaaaaaaaaaaa"[..], false),
        (&[b'a'; 127], false),
        (&[b'a'; 128], true),
        (&noise, false),
        (b"", false),
    ] {
        let mut out = vec![];
        encoder.message(Message::Binary(payload), &mut pool, &mut out);
        let (first, received) = read_frame(&mut &out[..]);
        assert_eq!(first & RSV1 != 0, compressed);
        assert_eq!(received == payload, !compressed);
        let head = encoder.plain_head(Kind::Binary, payload.len());
        assert_eq!(head.is_some(), payload.len() < 128);
    }
    encoder.set_min_compressed(4);
    assert!(encoder.plain_head(Kind::Text, 3).is_some());
    assert!(encoder.plain_head(Kind::Text, 4).is_none());
}
