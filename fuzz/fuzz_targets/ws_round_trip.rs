//! `vivace_http::ws` on both ends of compressed connections.
//!
//! What must hold: what `Encoder` writes, a client with a context and a window of its own reads;
//! what a client sends, `Decoder` gives out; with several connections that share a pool, in any
//! order and pieces.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vivace_http::ws::deflate::{Parameters, Pool, WindowBits};
use vivace_http::ws::{Decoder, Encoder, Message};

#[allow(dead_code, clippy::unwrap_used)]
#[path = "../../crates/vivace-http/tests/ws/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../../crates/vivace-http/tests/ws/inflate.rs"]
mod inflate;

use client::{BINARY, Compressor, Decompressor, FIN, RSV1, Seen, feed, frame, read_frame};

#[derive(Arbitrary, Debug)]
struct Case {
    level: u8,
    connections: [Agreed; 3],
    steps: Vec<(u8, Step)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Agreed {
    /// What nearly all clients agree on: they share a compressor.
    Usual,
    Other {
        bits: u8,
        takeover: bool,
    },
}

#[derive(Arbitrary, Debug)]
enum Step {
    Send(Payload),
    /// To each of the connections.
    Broadcast(Payload),
    Receive(Payload, u16),
    Ping,
}

#[derive(Arbitrary, Debug)]
enum Payload {
    Bytes(Vec<u8>),
    /// Text that can be compressed.
    Words(Vec<u8>),
    /// A piece again and again.
    Repeated(Vec<u8>, u8),
    /// What was sent or received before.
    Again(u8),
}

/// One of few pieces of text, or something new.
fn text(word: u8) -> Vec<u8> {
    const TEXT: [&str; 7] =
        ["{\"identifier\":", "null,", "\"a longer piece of text\",", "true}", " ", "größer", "[]"];
    match TEXT.get(usize::from(word % 8)) {
        Some(text) => text.as_bytes().to_vec(),
        None => word.to_string().into_bytes(),
    }
}

struct Connection {
    encoder: Encoder,
    decoder: Decoder,
    /// Made when it is needed: it takes longer than most inputs.
    compressor: Option<Compressor>,
    agreed: (u8, bool),
    decompressor: Decompressor,
}

impl Connection {
    fn new(agreed: Agreed) -> Self {
        let (bits, takeover) = match agreed {
            Agreed::Usual => (12, true),
            Agreed::Other { bits, takeover } => (8 + bits % 8, takeover),
        };
        let window = WindowBits::new(bits).expect("from 8 to 15");
        let parameters = Parameters {
            server_no_context_takeover: !takeover,
            client_no_context_takeover: !takeover,
            server_max_window_bits: window,
            client_max_window_bits: window,
        };
        let mut encoder = Encoder::new(Some(&parameters));
        encoder.set_min_compressed(1);
        Self {
            encoder,
            decoder: Decoder::new(1 << 20, Some(&parameters)),
            compressor: None,
            agreed: (bits, takeover),
            decompressor: Decompressor::new(bits, takeover),
        }
    }

    fn send(&mut self, payload: &[u8], pool: &mut Pool) {
        let mut out = vec![];
        self.encoder.message(Message::Binary(payload), pool, &mut out);
        let mut rest = &out[..];
        let (first, received) = read_frame(&mut rest);
        assert!(rest.is_empty());
        match first {
            _ if first == FIN | BINARY => assert_eq!(received, payload),
            _ => {
                assert_eq!(first, FIN | RSV1 | BINARY);
                assert!(received.len() < payload.len());
                assert_eq!(self.decompressor.message(&received), payload);
            }
        }
    }

    fn receive(&mut self, payload: &[u8], split: usize, pool: &mut Pool) {
        let (bits, takeover) = self.agreed;
        let compressor =
            self.compressor.get_or_insert_with(|| Compressor::new(bits.max(9), takeover));
        let bytes = frame(FIN | RSV1 | BINARY, &compressor.message(payload));
        let (first, second) = bytes.split_at(split % bytes.len());
        let seen = feed(&mut self.decoder, pool, [first, second]);
        assert_eq!(seen, [Seen::Binary(payload.to_vec())]);
    }
}

fuzz_target!(|case: Case| {
    let mut pool = Pool::new((case.level % 10).into());
    let mut connections = case.connections.map(Connection::new);
    let mut earlier: Vec<Vec<u8>> = vec![b"hello".to_vec()];
    for (connection, step) in case.steps {
        let index = usize::from(connection) % 3;
        let mut bytes = |payload: Payload| {
            let bytes = match payload {
                Payload::Bytes(bytes) => bytes,
                Payload::Words(words) => words.iter().flat_map(|&word| text(word)).collect(),
                Payload::Repeated(piece, times) => piece.repeat(times.into()),
                Payload::Again(index) => earlier[usize::from(index) % earlier.len()].clone(),
            };
            earlier.push(bytes.clone());
            bytes
        };
        match step {
            Step::Send(payload) => connections[index].send(&bytes(payload), &mut pool),
            Step::Broadcast(payload) => {
                let payload = bytes(payload);
                connections.iter_mut().for_each(|it| it.send(&payload, &mut pool));
            }
            Step::Receive(payload, split) => {
                connections[index].receive(&bytes(payload), split.into(), &mut pool);
            }
            Step::Ping => {
                let decoder = &mut connections[index].decoder;
                let seen = feed(decoder, &mut pool, [&frame(0x89, b"?")[..]]);
                assert_eq!(seen, [Seen::Ping(b"?".to_vec())]);
            }
        }
    }
});
