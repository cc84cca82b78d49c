//! The texts of status codes, as Python's `http.HTTPStatus` has them: those of IANA's registry
//! since Python 3.13.

use crate::status::reason;

/// A status with its phrase: `404 Not Found`.
///
/// Python has changed four of them (`413 Content Too Large` was `Request Entity Too Large` until
/// 3.12), and a program may have added some, so the embedder can set each.
pub struct Phrases {
    /// From 100 to 599, one after the other.
    texts: Vec<String>,
}

const FIRST: u16 = 100;
const LAST: u16 = 599;

impl Default for Phrases {
    fn default() -> Self {
        Self { texts: (FIRST..=LAST).map(|code| format!("{code} {}", reason(code))).collect() }
    }
}

impl Phrases {
    /// Sets the phrase of a status between 100 and 599; others have none.
    pub fn set(&mut self, code: u16, phrase: &str) {
        if (FIRST..=LAST).contains(&code) {
            self.texts[usize::from(code - FIRST)] = format!("{code} {phrase}");
        }
    }

    /// The status with its phrase, or with the space alone where it has none.
    pub(super) fn push(&self, out: &mut Vec<u8>, code: u16) {
        match code.checked_sub(FIRST).and_then(|index| self.texts.get(usize::from(index))) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => {
                out.extend_from_slice(itoa::Buffer::new().format(code).as_bytes());
                out.push(b' ');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(phrases: &Phrases, code: u16) -> String {
        let mut out = Vec::new();
        phrases.push(&mut out, code);
        String::from_utf8(out).expect("phrases are UTF-8")
    }

    #[test]
    fn every_code_has_a_text() {
        let mut phrases = Phrases::default();
        for (code, expected) in [
            (0, "0 "),
            (99, "99 "),
            (100, "100 Continue"),
            (200, "200 OK"),
            (299, "299 "),
            (413, "413 Content Too Large"),
            (599, "599 "),
            (600, "600 "),
            (65535, "65535 "),
        ] {
            assert_eq!(text(&phrases, code), expected);
        }
        phrases.set(413, "Request Entity Too Large");
        phrases.set(999, "ignored");
        assert_eq!(text(&phrases, 413), "413 Request Entity Too Large");
        assert_eq!(text(&phrases, 999), "999 ");
    }
}
