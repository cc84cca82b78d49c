//! Messages, pings and pongs into a buffer of the caller. A server does not mask.

use super::deflate::{Deflation, Parameters, Pool};
use super::frame::{FrameHead, MAX_CONTROL_PAYLOAD, Opcode, Payload};
use super::message::{Kind, Message};

/// Shorter messages are sent as they are: compressing takes more time than their few bytes do,
/// next to the 40 of TCP and IP.
const MIN_COMPRESSED: usize = 128;

/// Writes the frames for one client.
#[derive(Debug)]
pub struct Encoder {
    /// With permessage-deflate agreed on.
    deflation: Option<Deflation>,
    min_compressed: usize,
}

impl Encoder {
    /// An encoder that compresses as was agreed on.
    pub fn new(deflate: Option<&Parameters>) -> Self {
        Self { deflation: deflate.map(Deflation::new), min_compressed: MIN_COMPRESSED }
    }

    /// Compresses messages of at least so many bytes.
    pub fn set_min_compressed(&mut self, bytes: usize) {
        self.min_compressed = bytes;
    }

    /// Appends a message as one frame.
    pub fn message(&mut self, message: Message<'_>, pool: &mut Pool, out: &mut Vec<u8>) {
        let (opcode, payload) = (opcode(message.kind()), message.payload());
        let compressed = match &mut self.deflation {
            Some(deflation) if payload.len() >= self.min_compressed => {
                deflation.compress(payload, pool)
            }
            _ => None,
        };
        match compressed {
            Some(payload) => write(opcode, Payload::Compressed, payload, out),
            None => write(opcode, Payload::Plain, payload, out),
        }
    }

    /// The head for a message of `len` bytes, which the caller sends after it as they are; `None`
    /// if they are to be compressed, by [`Self::message`].
    pub fn plain_head(&self, kind: Kind, len: usize) -> Option<FrameHead> {
        let is_plain = self.deflation.is_none() || len < self.min_compressed;
        is_plain.then(|| FrameHead::new(opcode(kind), Payload::Plain, len))
    }

    /// Appends a ping.
    ///
    /// # Panics
    ///
    /// If the payload is longer than [`MAX_CONTROL_PAYLOAD`].
    pub fn ping(&self, payload: &[u8], out: &mut Vec<u8>) {
        control(Opcode::Ping, payload, out);
    }

    /// Appends a pong.
    ///
    /// # Panics
    ///
    /// If the payload is longer than [`MAX_CONTROL_PAYLOAD`]; that of a ping never is.
    pub fn pong(&self, payload: &[u8], out: &mut Vec<u8>) {
        control(Opcode::Pong, payload, out);
    }
}

/// Appends a control frame.
pub(super) fn control(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    assert!(payload.len() <= MAX_CONTROL_PAYLOAD, "payload of a control frame is too long");
    write(opcode, Payload::Plain, payload, out);
}

fn write(opcode: Opcode, form: Payload, payload: &[u8], out: &mut Vec<u8>) {
    let head = FrameHead::new(opcode, form, payload.len());
    out.reserve(head.len() + payload.len());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
}

fn opcode(kind: Kind) -> Opcode {
    match kind {
        Kind::Text => Opcode::Text,
        Kind::Binary => Opcode::Binary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_as_the_rfc_shows_them() {
        // RFC 6455 section 5.7
        let (mut encoder, mut pool) = (Encoder::new(None), Pool::default());
        let mut out = vec![];
        encoder.message(Message::Text("Hello"), &mut pool, &mut out);
        assert_eq!(out, b"\x81\x05Hello");
        out.clear();
        encoder.ping(b"Hello", &mut out);
        assert_eq!(out, b"\x89\x05Hello");
        out.clear();
        encoder.message(Message::Binary(&[7; 256]), &mut pool, &mut out);
        assert_eq!(out[..4], *b"\x82\x7e\x01\x00");
        assert_eq!(out[4..], [7; 256]);
    }

    #[test]
    fn a_head_apart_is_the_same_head() {
        let (mut encoder, mut pool) = (Encoder::new(None), Pool::default());
        for len in [0, 125, 126, 65535, 65536] {
            let payload = vec![b'x'; len];
            let mut out = vec![];
            encoder.message(Message::Binary(&payload), &mut pool, &mut out);
            let head = encoder.plain_head(Kind::Binary, len).expect("nothing is compressed");
            assert_eq!([&head, &payload[..]].concat(), out);
        }
    }

    #[test]
    #[should_panic(expected = "payload of a control frame is too long")]
    fn a_ping_has_its_limit() {
        Encoder::new(None).ping(&[0; 126], &mut vec![]);
    }
}
