//! Gathers the lines of a head, or of trailers, that come in pieces, up to the empty line.
//!
//! Each byte is looked at once, however few of them come at a time. What is decided depends on the
//! bytes only, not on the pieces: the first of an end of line without CR, the empty line and the
//! limit wins.

use super::reject::Reject;

/// Lines that are not complete yet, or just were.
#[derive(Debug, Default)]
pub(super) struct Section {
    bytes: Vec<u8>,
    /// Where the last line begins.
    line_start: usize,
}

/// Why there will be no empty line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    BareLineFeed,
    /// More than the limit; `lines` of them were complete.
    TooLarge {
        lines: Lines,
    },
}

/// How far a section that is too large came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    None,
    Some,
}

pub(super) const BARE_LINE_FEED: Reject =
    Reject::bad_request("a line ends in LF without CR before it");

impl Section {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the bytes, and the memory: heads in pieces are rare, idle connections are not.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes bytes from the front of `input`; `true` when the empty line is there.
    pub(super) fn gather(&mut self, input: &mut &[u8], limit: usize) -> Result<bool, Fault> {
        let mut taken = 0;
        while let Some(distance) = input[taken..].iter().position(|&byte| byte == b'\n') {
            let feed = self.bytes.len() + taken + distance;
            if feed >= limit {
                break;
            }
            let before = match (taken + distance).checked_sub(1) {
                Some(index) => Some(input[index]),
                None => self.bytes.last().copied(),
            };
            if before != Some(b'\r') {
                return Err(Fault::BareLineFeed);
            }
            taken += distance + 1;
            if feed - self.line_start == 1 {
                self.bytes.extend_from_slice(&input[..taken]);
                *input = &input[taken..];
                return Ok(true);
            }
            self.line_start = feed + 1;
        }
        if self.bytes.len() + input.len() > limit {
            let lines = if self.line_start == 0 { Lines::None } else { Lines::Some };
            return Err(Fault::TooLarge { lines });
        }
        self.bytes.extend_from_slice(input);
        *input = &[];
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of `text`, fed in pieces of `size`: the result, and how many bytes were taken.
    fn gathered(text: &[u8], size: usize, limit: usize) -> (Result<bool, Fault>, usize) {
        let mut section = Section::default();
        let mut taken = 0;
        for piece in text.chunks(size) {
            let mut input = piece;
            match section.gather(&mut input, limit) {
                Ok(false) => assert!(input.is_empty()),
                result => return (result, taken + piece.len() - input.len()),
            }
            taken += piece.len();
        }
        assert_eq!(section.bytes(), text);
        (Ok(false), taken)
    }

    #[test]
    fn the_same_however_it_is_cut() {
        for (text, limit, result) in [
            ("a\r\nb\r\n\r\nrest", 100, Ok(true)),
            ("\r\nrest", 100, Ok(true)),
            ("a\r\nb\r\n", 100, Ok(false)),
            ("a\r\n\n", 100, Err(Fault::BareLineFeed)),
            ("a\nb\r\n\r\n", 100, Err(Fault::BareLineFeed)),
            ("\n", 100, Err(Fault::BareLineFeed)),
            ("a\r\rb\r\n\r\n", 100, Ok(true)),
            ("a\r\nb\r\n\r\n", 8, Ok(true)),
            ("a\r\nb\r\n\r\n", 7, Err(Fault::TooLarge { lines: Lines::Some })),
            ("a\r\nb\n\r\n", 4, Err(Fault::TooLarge { lines: Lines::Some })),
            ("a\r\nb\n\r\n", 5, Err(Fault::BareLineFeed)),
            ("aaaaaaaa", 7, Err(Fault::TooLarge { lines: Lines::None })),
            ("aaaaaaaa", 8, Ok(false)),
        ] {
            let whole = gathered(text.as_bytes(), text.len(), limit);
            assert_eq!(whole.0, result, "{text:?} {limit}");
            for size in 1..text.len() {
                let pieces = gathered(text.as_bytes(), size, limit);
                assert_eq!(pieces.0, result, "{text:?} {limit} {size}");
                if result == Ok(true) {
                    assert_eq!(pieces, whole, "{text:?}");
                }
            }
        }
    }
}
