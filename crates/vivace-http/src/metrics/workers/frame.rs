//! A snapshot on a socket: its length in four bytes, then JSON.

use crate::metrics::Snapshot;
use std::io;

/// More than any snapshot has.
const MOST_BYTES: usize = 64 << 20;

const PREFIX: usize = 4;

/// The bytes of a snapshot.
pub(super) fn encode(snapshot: &Snapshot) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; PREFIX];
    serde_json::to_writer(&mut frame, snapshot)?;
    let length = u32::try_from(frame.len() - PREFIX).map_err(io::Error::other)?;
    frame[..PREFIX].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Frames, put together from the pieces in which they arrive.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole snapshot.
    pub(super) fn next(&mut self) -> io::Result<Option<Snapshot>> {
        let Some((prefix, rest)) = self.bytes.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > MOST_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let snapshot = serde_json::from_slice(frame)?;
        self.bytes.drain(..PREFIX + length);
        Ok(Some(snapshot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Options, Registry};

    #[test]
    fn frames_arrive_in_pieces() {
        let registry = Registry::new(&Options::default());
        registry.request_begun();
        let sent = registry.snapshot();
        let bytes = [encode(&sent).expect("a frame"), encode(&sent).expect("a frame")].concat();
        let mut frames = Frames::default();
        let mut received = Vec::new();
        for piece in bytes.chunks(7) {
            frames.push(piece);
            received.extend(frames.next().expect("a snapshot"));
        }
        assert_eq!(received, [sent.clone(), sent]);
        assert!(frames.bytes.is_empty());
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for bytes in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x02{}", b"\0\0\0\x01x"] {
            let mut frames = Frames::default();
            frames.push(bytes);
            assert!(frames.next().is_err(), "{bytes:?}");
        }
    }
}
