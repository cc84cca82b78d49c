//! The heads of the frames that a client sends, read before the `h2` crate gets them.
//!
//! Frames that carry nothing are counted, for [`calm`](super::calm). And some frames are refused
//! here, since `h2` takes them, or ends the connection with another code than RFC 9113 wants:
//!
//! | frame | section | code |
//! |---|---|---|
//! | the first one, if it is not SETTINGS | 3.4 | `PROTOCOL_ERROR` |
//! | any whose kind has a fixed length, with another | 6.3 to 6.9 | `FRAME_SIZE_ERROR` |
//! | SETTINGS with a window that is too large | 6.5.2 | `FLOW_CONTROL_ERROR` |

use h2::Reason;

use super::PREFACE;

const HEAD: usize = 9;
const SETTING: usize = 6;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;

const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// What is inside the frame that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payload {
    /// Nothing that is looked at.
    Skipped,
    Settings,
}

/// Follows the frames of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of the preface, or of a payload, that are to come.
    ahead: usize,
    payload: Payload,
    /// A head, or a parameter of SETTINGS, as far as it has come.
    part: [u8; HEAD],
    known: usize,
    /// A whole head has come.
    begun: bool,
}

/// What some bytes held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// How many frames that carry nothing begin in them.
    pub(super) overhead: usize,
    /// A frame that is refused, and how many of the bytes came before it was known.
    pub(super) fault: Option<(usize, Reason)>,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            ahead: PREFACE.len(),
            payload: Payload::Skipped,
            part: [0; HEAD],
            known: 0,
            begun: false,
        }
    }
}

impl Frames {
    /// Reads these bytes, which follow those before. Nothing may follow a fault.
    pub(super) fn read(&mut self, data: &[u8]) -> Seen {
        let mut overhead = 0;
        let mut rest = data;
        loop {
            let before = data.len() - rest.len();
            if self.payload == Payload::Settings && self.ahead > 0 {
                let Some([high, low, value @ ..]) = self.collect::<SETTING>(&mut rest) else {
                    return Seen { overhead, fault: None };
                };
                self.ahead -= SETTING;
                let too_large = u32::from_be_bytes(value) > MAX_WINDOW;
                if u16::from_be_bytes([high, low]) == INITIAL_WINDOW_SIZE && too_large {
                    return Seen { overhead, fault: Some((before, Reason::FLOW_CONTROL_ERROR)) };
                }
                continue;
            }
            let passed = self.ahead.min(rest.len());
            self.ahead -= passed;
            rest = &rest[passed..];
            let before = before + passed;
            let Some([high, middle, low, kind, flags, ..]) = self.collect::<HEAD>(&mut rest) else {
                return Seen { overhead, fault: None };
            };
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            let first = !std::mem::replace(&mut self.begun, true);
            if let Some(reason) = fault(kind, flags, length, first) {
                return Seen { overhead, fault: Some((before, reason)) };
            }
            self.ahead = length;
            self.payload = if kind == SETTINGS { Payload::Settings } else { Payload::Skipped };
            overhead += usize::from(is_overhead(kind, length));
        }
    }

    /// The next `N` bytes, if all of them have come.
    fn collect<const N: usize>(&mut self, rest: &mut &[u8]) -> Option<[u8; N]> {
        let new = (N - self.known).min(rest.len());
        self.part[self.known..self.known + new].copy_from_slice(&rest[..new]);
        self.known += new;
        *rest = &rest[new..];
        if self.known < N {
            return None;
        }
        self.known = 0;
        self.part.first_chunk().copied()
    }
}

/// Whether a frame asks for work and carries nothing: all but DATA with content, HEADERS,
/// RST_STREAM (which is counted with its stream), GOAWAY, WINDOW_UPDATE and CONTINUATION.
fn is_overhead(kind: u8, length: usize) -> bool {
    match kind {
        DATA => length == 0,
        HEADERS | RST_STREAM | GOAWAY | WINDOW_UPDATE | CONTINUATION => false,
        _ => true,
    }
}

/// What is wrong with a frame that has this head.
fn fault(kind: u8, flags: u8, length: usize, first: bool) -> Option<Reason> {
    let acknowledges = kind == SETTINGS && flags & ACK != 0;
    if first && (kind != SETTINGS || acknowledges) {
        return Some(Reason::PROTOCOL_ERROR);
    }
    let fits = match kind {
        PRIORITY => length == 5,
        RST_STREAM | WINDOW_UPDATE => length == 4,
        SETTINGS if acknowledges => length == 0,
        SETTINGS => length % SETTING == 0,
        PING => length == 8,
        GOAWAY => length >= 8,
        _ => true,
    };
    (!fits).then_some(Reason::FRAME_SIZE_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.extend(payload);
        frame
    }

    fn begin() -> Vec<u8> {
        [PREFACE, &frame(SETTINGS, 0, &[])].concat()
    }

    /// What is counted, and where a fault is found, must not depend on how the bytes are split.
    fn read(all: &[u8]) -> (usize, Option<Reason>) {
        let results = (1..=all.len()).map(|size| {
            let mut frames = Frames::default();
            let mut overhead = 0;
            for (number, piece) in all.chunks(size).enumerate() {
                let seen = frames.read(piece);
                overhead += seen.overhead;
                if let Some((before, reason)) = seen.fault {
                    assert!(before <= piece.len(), "{before} of piece {number} of {size}");
                    return (overhead, Some(reason));
                }
            }
            (overhead, None)
        });
        let mut results: Vec<_> = results.collect();
        results.dedup();
        assert_eq!(results.len(), 1);
        results[0]
    }

    #[test]
    fn counts_what_carries_nothing() {
        let mut all = begin();
        for (kind, length) in
            [(1, 20), (0, 100), (0, 0), (6, 8), (8, 4), (3, 4), (2, 5), (200, 3), (9, 2)]
        {
            all.extend(frame(kind, 0, &vec![kind; length]));
        }
        assert_eq!(read(&all), (5, None));
    }

    #[test]
    fn the_first_frame_is_settings() {
        for (kind, flags) in [(PING, 0), (1, 4), (SETTINGS, ACK)] {
            let all = [PREFACE, &frame(kind, flags, &[])].concat();
            assert_eq!(read(&all), (0, Some(Reason::PROTOCOL_ERROR)), "{kind}");
        }
        assert_eq!(read(&begin()), (1, None));
        // All that came before the frame is handed on.
        let mut frames = Frames::default();
        let seen = frames.read(&[PREFACE, &frame(PING, 0, &[0; 8])].concat());
        assert_eq!(seen.fault, Some((PREFACE.len(), Reason::PROTOCOL_ERROR)));
    }

    #[test]
    fn lengths_that_are_fixed() {
        let wrong: [(u8, u8, &[usize]); 7] = [
            (PRIORITY, 0, &[0, 4, 6]),
            (RST_STREAM, 0, &[0, 3, 5]),
            (SETTINGS, 0, &[1, 5, 7, 13]),
            (SETTINGS, ACK, &[1, 6]),
            (PING, 0, &[0, 7, 9]),
            (GOAWAY, 0, &[0, 7]),
            (WINDOW_UPDATE, 0, &[0, 3, 5]),
        ];
        for (kind, flags, lengths) in wrong {
            for &length in lengths {
                let all = [begin(), frame(kind, flags, &vec![0; length])].concat();
                assert_eq!(read(&all), (1, Some(Reason::FRAME_SIZE_ERROR)), "{kind}: {length}");
            }
        }
        let mut all = begin();
        for (kind, flags, length) in [(SETTINGS, ACK, 0), (SETTINGS, 0, 12), (GOAWAY, 0, 100)] {
            all.extend(frame(kind, flags, &vec![0; length]));
        }
        assert_eq!(read(&all).1, None);
    }

    #[test]
    fn windows_that_are_too_large() {
        let settings = |value: u32| {
            let window = [&[0, 4][..], &value.to_be_bytes()].concat();
            // The same value is fine for another parameter.
            let other = [&[0, 6][..], &u32::MAX.to_be_bytes()].concat();
            [PREFACE, &frame(SETTINGS, 0, &[other, window].concat())].concat()
        };
        assert_eq!(read(&settings(MAX_WINDOW)), (1, None));
        assert_eq!(read(&settings(MAX_WINDOW + 1)), (1, Some(Reason::FLOW_CONTROL_ERROR)));
        assert_eq!(read(&settings(u32::MAX)), (1, Some(Reason::FLOW_CONTROL_ERROR)));
    }
}
