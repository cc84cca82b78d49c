//! UTF-8 that arrives in pieces: what is wrong is seen with the first byte that cannot be right.

use simdutf8::{basic, compat};

use super::failure::Failure;

const INVALID: Failure = Failure::invalid_data("text is not valid UTF-8");

/// How far the text of a message that is not complete has been checked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Up to here it is whole characters; what follows may be the beginning of one.
    checked: usize,
}

impl Progress {
    /// Checks what has been added to `text` since the last time.
    pub(super) fn check(&mut self, text: &[u8]) -> Result<(), Failure> {
        let new = &text[self.checked..];
        match compat::from_utf8(new) {
            Ok(_) => self.checked = text.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(INVALID),
        }
        Ok(())
    }
}

/// A complete text.
///
/// One that was checked in pieces is checked again: there is no other way to a `str` in safe
/// code, and it takes 60 ns at most for each KiB.
pub(super) fn complete(text: &[u8]) -> Result<&str, Failure> {
    basic::from_utf8(text).map_err(|_| INVALID)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Index of the byte with which the text became impossible, fed one by one.
    fn fails_at(text: &[u8]) -> Option<usize> {
        let mut progress = Progress::default();
        (0..text.len()).find(|&index| progress.check(&text[..=index]).is_err())
    }

    #[test]
    fn characters_may_be_split_anywhere() {
        for text in ["", "a", "κόσμε", "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}"]
        {
            assert_eq!(fails_at(text.as_bytes()), None);
            assert_eq!(complete(text.as_bytes()), Ok(text));
        }
    }

    #[test]
    fn the_first_impossible_byte_is_noticed() {
        for (text, index) in [
            (&b"a\x80"[..], 1),
            (b"\xc0\xaf", 0),         // longer than it need be
            (b"\xe0\x80\xaf", 1),     // the same with three bytes
            (b"\xf0\x80\x80\xaf", 1), // and with four
            (b"\xed\xa0\x80", 1),     // a surrogate
            (b"\xf4\x90\x80\x80", 1), // beyond U+10FFFF
            (b"\xf5", 0),
            (b"\xce\xba\xe1\xbd\xb9\xff", 5),
            (b"\xe1\xbdx", 2),
        ] {
            assert_eq!(fails_at(text), Some(index), "{text:x?}");
            assert_eq!(complete(text), Err(INVALID));
        }
    }

    #[test]
    fn an_unfinished_character_is_wrong_at_the_end_only() {
        for text in [&b"\xc3"[..], b"\xe2\x82", b"ab\xf0\x9f\x98"] {
            assert_eq!(fails_at(text), None);
            assert_eq!(complete(text), Err(INVALID));
        }
    }
}
