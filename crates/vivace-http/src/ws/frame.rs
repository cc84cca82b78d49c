//! The head of a frame (RFC 6455 section 5.2), read and written.
//!
//! ```text
//! byte 0: FIN RSV1 RSV2 RSV3 opcode(4)     byte 1: MASK length(7)
//! length 126: two more bytes hold it; 127: eight more; then, if masked, four with the key
//! ```
//!
//! What a head says by itself is checked here; what depends on the frames before it, in
//! `decoder`.

use std::ops::Deref;

use super::failure::Failure;

/// The longest payload of a control frame: close, ping, pong.
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// The longest head that a client sends.
pub(super) const MAX_MASKED_HEAD: usize = 14;
/// The longest head that a server sends.
const MAX_HEAD: usize = 10;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_3: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_IN_2: u8 = 126;
const LENGTH_IN_8: u8 = 127;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xa,
}

impl Opcode {
    fn read(byte: u8) -> Result<Self, Failure> {
        match byte & OPCODE {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xa => Ok(Self::Pong),
            _ => Err(Failure::protocol("reserved opcode")),
        }
    }

    pub(super) fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// Whether the payload of a message is compressed (RSV1, RFC 7692 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Plain,
    Compressed,
}

/// Whether another frame of the message follows (FIN).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    Last,
    MoreFollow,
}

/// The head of a frame from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReceivedHead {
    pub(super) opcode: Opcode,
    pub(super) position: Position,
    pub(super) payload: Payload,
    pub(super) len: u64,
    pub(super) key: [u8; 4],
}

impl ReceivedHead {
    /// Reads the head that `bytes` begin with, and how many of them it takes; `None` if it is not
    /// complete yet. What is wrong in its first two bytes is said as soon as these are there.
    ///
    /// `compression`: whether RSV1 may be set, because permessage-deflate was agreed on.
    pub(super) fn read(
        bytes: &[u8],
        compression: Payload,
    ) -> Result<Option<(Self, usize)>, Failure> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let (opcode, position, payload) = Self::first_byte(first, compression)?;
        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        if second & MASKED == 0 {
            return Err(Failure::protocol("frame from a client is not masked"));
        }
        let short = second & LENGTH;
        if opcode.is_control() && usize::from(short) > MAX_CONTROL_PAYLOAD {
            return Err(Failure::protocol("control frame with more than 125 bytes"));
        }
        let (len, rest) = match short {
            LENGTH_IN_2 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u16::from_be_bytes(*len).into(), rest)
            }
            LENGTH_IN_8 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from_be_bytes(*len), rest)
            }
            _ => (short.into(), rest),
        };
        if len >> 63 != 0 {
            return Err(Failure::protocol("frame length with its highest bit set"));
        }
        let least = match short {
            LENGTH_IN_2 => LENGTH_IN_2.into(),
            LENGTH_IN_8 => u64::from(u16::MAX) + 1,
            _ => 0,
        };
        if len < least {
            return Err(Failure::protocol("frame length takes more bytes than it needs"));
        }
        let Some((&key, rest)) = rest.split_first_chunk() else { return Ok(None) };
        Ok(Some((Self { opcode, position, payload, len, key }, bytes.len() - rest.len())))
    }

    fn first_byte(byte: u8, compression: Payload) -> Result<(Opcode, Position, Payload), Failure> {
        if byte & RSV2_AND_3 != 0 {
            return Err(Failure::protocol("reserved bit is set"));
        }
        let opcode = Opcode::read(byte)?;
        let position = if byte & FIN != 0 { Position::Last } else { Position::MoreFollow };
        if opcode.is_control() && position == Position::MoreFollow {
            return Err(Failure::protocol("control frame in several parts"));
        }
        let payload = if byte & RSV1 != 0 { Payload::Compressed } else { Payload::Plain };
        if payload == Payload::Compressed {
            if compression == Payload::Plain {
                return Err(Failure::protocol("reserved bit is set"));
            }
            // Only the first frame of a message says that it is compressed.
            if opcode.is_control() || opcode == Opcode::Continuation {
                return Err(Failure::protocol("compression bit on a frame that begins no message"));
            }
        }
        Ok((opcode, position, payload))
    }
}

/// The head of a frame to a client; the payload follows it as it is.
#[derive(Clone, Copy, Debug)]
pub struct FrameHead {
    bytes: [u8; MAX_HEAD],
    used: u8,
}

impl FrameHead {
    /// The head of a whole message or control frame.
    pub(super) fn new(opcode: Opcode, payload: Payload, len: usize) -> Self {
        let mut bytes = [0; MAX_HEAD];
        bytes[0] = FIN | opcode as u8;
        if payload == Payload::Compressed {
            bytes[0] |= RSV1;
        }
        let used = if len < usize::from(LENGTH_IN_2) {
            bytes[1] = len as u8;
            2
        } else if let Ok(len) = u16::try_from(len) {
            bytes[1] = LENGTH_IN_2;
            bytes[2..4].copy_from_slice(&len.to_be_bytes());
            4
        } else {
            bytes[1] = LENGTH_IN_8;
            bytes[2..].copy_from_slice(&(len as u64).to_be_bytes());
            10
        };
        Self { bytes, used }
    }
}

impl Deref for FrameHead {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.used.into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<(ReceivedHead, usize)>, &'static str> {
        ReceivedHead::read(bytes, Payload::Plain).map_err(|failure| failure.reason)
    }

    #[test]
    fn lengths_in_each_of_the_three_forms() {
        for (bytes, len) in [
            (&b"\x82\x80abcd"[..], 0),
            (b"\x82\xfdabcd", 125),
            (b"\x82\xfe\x00\x7eabcd", 126),
            (b"\x82\xfe\xff\xffabcd", 65535),
            (b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00abcd", 65536),
            (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffabcd", u64::MAX >> 1),
        ] {
            let mut with_payload = bytes.to_vec();
            with_payload.extend(b"payload");
            let (head, used) = read(&with_payload).expect("valid").expect("complete");
            assert_eq!((head.len, used, head.key), (len, bytes.len(), *b"abcd"));
            assert_eq!((head.opcode, head.position), (Opcode::Binary, Position::Last));
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), Ok(None));
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_soon_as_it_is_there() {
        for (bytes, reason) in [
            (&b"\xc1"[..], "reserved bit is set"),
            (b"\xa1", "reserved bit is set"),
            (b"\x91", "reserved bit is set"),
            (b"\x83", "reserved opcode"),
            (b"\x87", "reserved opcode"),
            (b"\x8b", "reserved opcode"),
            (b"\x8f", "reserved opcode"),
            (b"\x09", "control frame in several parts"),
            (b"\x81\x05", "frame from a client is not masked"),
            (b"\x89\xfe", "control frame with more than 125 bytes"),
            (b"\x88\xff", "control frame with more than 125 bytes"),
            (b"\x82\xfe\x00\x7d", "frame length takes more bytes than it needs"),
            (b"\x82\xff\0\0\0\0\0\0\xff\xff", "frame length takes more bytes than it needs"),
            (b"\x82\xff\x80\0\0\0\0\0\0\0", "frame length with its highest bit set"),
        ] {
            assert_eq!(read(bytes), Err(reason), "{bytes:x?}");
            assert_eq!(read(&bytes[..bytes.len() - 1]), Ok(None), "{bytes:x?} less one");
        }
    }

    #[test]
    fn compression_is_for_the_first_frame_of_a_message() {
        let read = |first: u8| {
            ReceivedHead::read(&[first, 0x80, 1, 2, 3, 4], Payload::Compressed)
                .map(|head| head.map(|(head, _)| head.payload))
                .map_err(|failure| failure.reason)
        };
        assert_eq!(read(0xc1), Ok(Some(Payload::Compressed)));
        assert_eq!(read(0x42), Ok(Some(Payload::Compressed)));
        assert_eq!(read(0x81), Ok(Some(Payload::Plain)));
        let reason = "compression bit on a frame that begins no message";
        for first in [0x40, 0xc0, 0xc8, 0xc9, 0xca] {
            assert_eq!(read(first), Err(reason));
        }
        assert_eq!(read(0xe1), Err("reserved bit is set"));
    }

    #[test]
    fn written_heads() {
        for (len, expected) in [
            (0, &b"\x81\x00"[..]),
            (125, b"\x81\x7d"),
            (126, b"\x81\x7e\x00\x7e"),
            (65535, b"\x81\x7e\xff\xff"),
            (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
        ] {
            assert_eq!(*FrameHead::new(Opcode::Text, Payload::Plain, len), *expected);
        }
        assert_eq!(*FrameHead::new(Opcode::Binary, Payload::Compressed, 1), *b"\xc2\x01");
        assert_eq!(*FrameHead::new(Opcode::Close, Payload::Plain, 0), *b"\x88\x00");
    }
}
