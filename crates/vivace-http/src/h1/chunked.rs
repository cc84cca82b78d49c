//! Content in chunks (RFC 9112, section 7.1), up to the last one; trailers are not read here.
//!
//! ```text
//! Size ─;─► Extension         AfterData ◄── Data ◄──┐
//!  │            │                 │CR               │ size > 0
//!  └─────CR─────┴──► SizeEnd ─LF──┼─────────────────┤
//!  ▲                              ▼                 │ size = 0
//!  └───────────LF───────────── DataEnd              └─► Last
//! ```
//!
//! A size is at most 16 hexadecimal digits, without white space after them. An extension is passed
//! over; CR and LF in it, even in quotes, are refused, as others would see the end of a line there.

use super::reject::Reject;

/// The most bytes of extensions with one chunk.
const MOST_EXTENSION_BYTES: u16 = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64, bytes: u16 },
    SizeEnd { size: u64 },
    Data { remaining: u64 },
    AfterData,
    DataEnd,
    Last,
}

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Data(&'a [u8]),
    LastChunk,
    NeedsMore,
}

/// Where in the chunks we are.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    state: State,
}

const FIRST: State = State::Size { size: 0, digits: 0 };

impl Chunks {
    pub(super) fn new() -> Self {
        Self { state: FIRST }
    }

    /// Takes from the front of `input` what it returns, and what is between.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Piece<'a>, Reject> {
        loop {
            match self.state {
                State::Last => return Ok(Piece::LastChunk),
                State::Data { remaining } => {
                    if input.is_empty() {
                        return Ok(Piece::NeedsMore);
                    }
                    let count = usize::try_from(remaining).unwrap_or(usize::MAX).min(input.len());
                    let (data, rest) = input.split_at(count);
                    *input = rest;
                    self.state = match remaining - count as u64 {
                        0 => State::AfterData,
                        remaining => State::Data { remaining },
                    };
                    return Ok(Piece::Data(data));
                }
                state => {
                    let Some((&byte, rest)) = input.split_first() else {
                        return Ok(Piece::NeedsMore);
                    };
                    *input = rest;
                    self.state = after(state, byte).map_err(Reject::bad_request)?;
                }
            }
        }
    }
}

/// The state after one byte that is not data.
fn after(state: State, byte: u8) -> Result<State, &'static str> {
    match (state, byte) {
        (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
            if digits == 16 || size > i64::MAX as u64 >> 4 {
                return Err("a chunk size is too large");
            }
            let digit = (byte as char).to_digit(16).unwrap_or_default();
            Ok(State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
        }
        (State::Size { size, digits: 1.. }, b'\r') => Ok(State::SizeEnd { size }),
        (State::Size { size, digits: 1.. }, b';') => Ok(State::Extension { size, bytes: 0 }),
        (State::Size { .. }, _) => Err("a chunk size is not a hexadecimal number"),
        (State::Extension { size, .. }, b'\r') => Ok(State::SizeEnd { size }),
        (State::Extension { size, bytes }, b'\t' | b' '..=b'~' | 0x80..) => {
            if bytes == MOST_EXTENSION_BYTES {
                return Err("a chunk extension is too long");
            }
            Ok(State::Extension { size, bytes: bytes + 1 })
        }
        (State::Extension { .. }, _) => Err("a chunk extension holds a control byte"),
        (State::SizeEnd { size: 0 }, b'\n') => Ok(State::Last),
        (State::SizeEnd { size }, b'\n') => Ok(State::Data { remaining: size }),
        (State::SizeEnd { .. }, _) => Err("no LF after the CR of a chunk size"),
        (State::AfterData, b'\r') => Ok(State::DataEnd),
        (State::DataEnd, b'\n') => Ok(FIRST),
        (State::AfterData | State::DataEnd, _) => Err("no CRLF after the data of a chunk"),
        (State::Data { .. } | State::Last, _) => Ok(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of `text`, fed in pieces of `size`, and what is left; or what is wrong.
    fn read(text: &[u8], size: usize) -> Result<(Vec<u8>, usize), &'static str> {
        let mut chunks = Chunks::new();
        let mut data = Vec::new();
        let mut left = text.len();
        for piece in text.chunks(size) {
            let mut input = piece;
            loop {
                match chunks.next(&mut input).map_err(|reject| reject.reason)? {
                    Piece::Data(bytes) => {
                        assert!(!bytes.is_empty());
                        data.extend_from_slice(bytes);
                    }
                    Piece::LastChunk => return Ok((data, left - (piece.len() - input.len()))),
                    Piece::NeedsMore => break,
                }
            }
            assert!(input.is_empty());
            left -= piece.len();
        }
        Err("incomplete")
    }

    fn read_in_every_way(text: &[u8]) -> Result<(Vec<u8>, usize), &'static str> {
        let whole = read(text, text.len());
        for size in 1..text.len() {
            assert_eq!(read(text, size), whole, "{text:?} in pieces of {size}");
        }
        whole
    }

    #[test]
    fn chunks_are_joined() {
        let long = [&b"3;"[..], &[b'x'; 1024], b"\r\nabc\r\n0\r\n"].concat();
        for (text, data, left) in [
            (&b"0\r\n"[..], &b""[..], 0),
            (b"3\r\nabc\r\n0\r\n\r\n", b"abc", 2),
            (b"3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n", b"abcde", 8),
            (b"0003\r\nabc\r\n00\r\n", b"abc", 0),
            (b"0000000000000003\r\nabc\r\n0\r\n", b"abc", 0),
            (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n", b"01234567890123456789", 0),
            (b"2;a=b\r\n\r\n\r\n0;c=\"d e\"\r\n", b"\r\n", 0),
            (b"1;\r\na\r\n0; \t\xff\r\n", b"a", 0),
            (&long, b"abc", 0),
        ] {
            assert_eq!(read_in_every_way(text), Ok((data.to_vec(), left)), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_chunk() {
        let size = "a chunk size is not a hexadecimal number";
        let large = "a chunk size is too large";
        let end = "no CRLF after the data of a chunk";
        let extension = "a chunk extension holds a control byte";
        let long = [&b"3;"[..], &[b'x'; 1025], b"\r\nabc\r\n0\r\n"].concat();
        for (text, reason) in [
            (&b"\r\n"[..], size),
            (b"\n", size),
            (b";a\r\n", size),
            (b"g\r\n", size),
            (b"0x3\r\n", size),
            (b"+3\r\n", size),
            (b"-3\r\n", size),
            (b" 3\r\n", size),
            (b"3 \r\n", size),
            (b"3 ;a\r\n", size),
            (b"3_0\r\n", size),
            (b"3\n", size),
            (b"3\0", size),
            (b"3\rX", "no LF after the CR of a chunk size"),
            (b"00000000000000003\r\n", large),
            (b"8000000000000000\r\n", large),
            (b"ffffffffffffffff\r\n", large),
            (b"ffffffffffffffff0\r\n", large),
            (b"10000000000000003\r\n", large),
            (b"3;a\n", extension),
            (b"3;a\0\r\n", extension),
            (b"3;a=\"\n\"\r\n", extension),
            (b"3;a\x7f\r\n", extension),
            (b"3;a\rb\r\n", "no LF after the CR of a chunk size"),
            (&long, "a chunk extension is too long"),
            (b"3\r\nabcd\r\n", end),
            (b"3\r\nabc\n", end),
            (b"3\r\nabc0\r\n", end),
            (b"3\r\nabc\r0", end),
            (b"3\r\nab", "incomplete"),
            (b"7fffffffffffffff\r\nab", "incomplete"),
        ] {
            assert_eq!(read_in_every_way(text), Err(reason), "{text:?}");
        }
    }
}
