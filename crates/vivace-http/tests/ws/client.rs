//! The client's side of a connection: frames with a mask, zlib with a context of its own.

use flate2::{Compress, Compression, FlushCompress};
use vivace_http::ws::deflate::{Parameters, Pool};
use vivace_http::ws::{CloseFrame, Decoder, Event, Failure, Message};

use crate::inflate::Inflate;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A frame as a client sends it.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len @ 126..65536 => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    // Another key for each length, so that a key which is kept by mistake shows.
    let key = (payload.len() as u32).wrapping_mul(0x9e37_79b9).to_be_bytes();
    bytes.extend(key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A frame of a server: its first byte and its payload; what follows it stays in `bytes`.
pub(crate) fn read_frame(bytes: &mut &[u8]) -> (u8, Vec<u8>) {
    let mut take = |len: usize| {
        let (taken, rest) = bytes.split_at(len);
        *bytes = rest;
        taken.to_vec()
    };
    let head = take(2);
    let len = match head[1] {
        126 => u16::from_be_bytes(take(2).try_into().unwrap()).into(),
        127 => u64::from_be_bytes(take(8).try_into().unwrap()),
        len => {
            assert!(len < 126, "a server does not mask");
            len.into()
        }
    };
    (head[0], take(len as usize))
}

/// What came out of a decoder, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(CloseFrame),
    Failed(Failure),
}

pub(crate) fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

/// Feeds `pieces` one after the other.
pub(crate) fn feed<'a>(
    decoder: &mut Decoder,
    pool: &mut Pool,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Seen> {
    let mut seen = vec![];
    for mut piece in pieces {
        loop {
            seen.push(match decoder.next_event(&mut piece, pool) {
                Ok(None) => break,
                Ok(Some(Event::Message(Message::Text(text)))) => Seen::Text(text.to_owned()),
                Ok(Some(Event::Message(Message::Binary(bytes)))) => Seen::Binary(bytes.to_vec()),
                Ok(Some(Event::Ping(payload))) => Seen::Ping(payload.to_vec()),
                Ok(Some(Event::Pong(payload))) => Seen::Pong(payload.to_vec()),
                Ok(Some(Event::Close(frame))) => Seen::Close(frame),
                Err(failure) => Seen::Failed(failure),
            });
        }
        assert!(piece.is_empty(), "all was read");
    }
    seen
}

/// What `bytes` are to a new decoder: in one piece, byte by byte, and split in two at each place.
/// It must always be the same.
pub(crate) fn decode(bytes: &[u8], max_message: usize, deflate: Option<&Parameters>) -> Vec<Seen> {
    let mut pool = Pool::default();
    let whole = feed(&mut Decoder::new(max_message, deflate), &mut pool, [bytes]);
    let mut decoder = Decoder::new(max_message, deflate);
    assert_eq!(feed(&mut decoder, &mut pool, bytes.chunks(1)), whole, "byte by byte");
    // A long input is split at its beginning, its end, and now and then between.
    let step = (bytes.len() / 300).max(1);
    for split in (0..bytes.len()).filter(|at| at % step == 0 || *at < 20 || at + 20 > bytes.len()) {
        let (first, second) = bytes.split_at(split);
        let mut decoder = Decoder::new(max_message, deflate);
        assert_eq!(feed(&mut decoder, &mut pool, [first, &[], second]), whole, "split at {split}");
    }
    whole
}

/// A client's compressor, which keeps its context in zlib's way.
pub(crate) struct Compressor {
    compress: Compress,
    takeover: bool,
}

impl Compressor {
    pub(crate) fn new(bits: u8, takeover: bool) -> Self {
        let compress = Compress::new_with_window_bits(Compression::new(6), false, bits);
        Self { compress, takeover }
    }

    /// The payload of a message.
    pub(crate) fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        if !self.takeover {
            self.compress.reset();
        }
        let mut out = Vec::with_capacity(payload.len() * 2 + 100);
        let before = self.compress.total_in();
        self.compress.compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
        if out.is_empty() {
            // zlib sees no reason to flush twice; section 7.2.3.6 says what nothing becomes.
            return vec![0];
        }
        assert_eq!(self.compress.total_in() - before, payload.len() as u64);
        assert_eq!(out[out.len() - 4..], [0, 0, 0xff, 0xff]);
        out.truncate(out.len() - 4);
        out
    }
}

/// A client's decompressor, with no more window than was agreed on.
pub(crate) struct Decompressor {
    inflate: Inflate,
    bits: u8,
    takeover: bool,
}

impl Decompressor {
    pub(crate) fn new(bits: u8, takeover: bool) -> Self {
        Self { inflate: Inflate::new(bits), bits, takeover }
    }

    pub(crate) fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        if !self.takeover {
            self.inflate = Inflate::new(self.bits);
        }
        self.inflate.message(&[payload, &[0, 0, 0xff, 0xff]].concat())
    }
}
