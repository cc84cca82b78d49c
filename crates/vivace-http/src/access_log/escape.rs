//! How bytes that a client chose get into a line without ending it, hiding in it or forging
//! another: three ways, for the three kinds of lines.
//!
//! | function | used by | a quote | a control character | a byte that is not UTF-8 |
//! |---|---|---|---|---|
//! | `push_text` | the formats of uvicorn and of atoms | `\"` | `\x1b` | `\xff` |
//! | `push_path`, `push_query` | the request line of uvicorn | `%22` | `%1B` | `%FF` |
//! | `push_json` | JSON and logfmt | `\"` | `\u001b` | `\\xff`: the text `\xff` |
//!
//! Control characters are those of Unicode, with DEL and the second half of Latin-1's. So that a
//! line cannot show something else than it says, what separates lines in Unicode, what reverses
//! the direction of writing and what cannot be seen at all is escaped like them.

use crate::target::QUOTED;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use serde::Serializer as _;
use serde_json::ser::{CompactFormatter, Formatter};
use std::io::{self, Write};

/// Adds `bytes` as they are to stand in a line of text, between quotes or not.
pub(super) fn push_text(out: &mut Vec<u8>, bytes: &[u8]) {
    if are_ordinary(bytes) {
        out.extend_from_slice(bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let mut buffer = [0; 4];
            let encoded = character.encode_utf8(&mut buffer).as_bytes();
            match character {
                '"' | '\\' => out.extend_from_slice(&[b'\\', encoded[0]]),
                hidden if is_hidden(hidden) => push_hexadecimal(out, encoded),
                _ => out.extend_from_slice(encoded),
            }
        }
        push_hexadecimal(out, chunk.invalid());
    }
}

/// Adds a decoded path percent-encoded as Python's `urllib.parse.quote` does it.
pub(super) fn push_path(out: &mut Vec<u8>, path: &[u8]) {
    push_percent(out, path, QUOTED);
}

/// Adds a query, with what must not be in one percent-encoded.
pub(super) fn push_query(out: &mut Vec<u8>, query: &[u8]) {
    const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"');
    push_percent(out, query, ENCODED);
}

/// Adds a JSON string, quotes included.
pub(super) fn push_json(out: &mut Vec<u8>, bytes: &[u8]) {
    if are_ordinary(bytes) {
        out.push(b'"');
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => push_json_string(out, text),
        Err(_) => {
            let mut text = String::with_capacity(bytes.len() + 8);
            let mut escaped = Vec::new();
            for chunk in bytes.utf8_chunks() {
                text.push_str(chunk.valid());
                escaped.clear();
                push_hexadecimal(&mut escaped, chunk.invalid());
                text.push_str(&String::from_utf8_lossy(&escaped));
            }
            push_json_string(out, &text);
        }
    }
}

/// Whether each of the bytes stands for itself in each kind of line.
fn are_ordinary(bytes: &[u8]) -> bool {
    // Looking at all of them, however it turns out, is what the compiler makes vectors of.
    bytes.iter().fold(true, |ordinary, &byte| ordinary & is_ordinary(byte))
}

/// Whether the byte stands for itself in each kind of line.
#[inline]
pub(super) fn is_ordinary(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\')
}

fn push_json_string(out: &mut Vec<u8>, text: &str) {
    let mut serializer = serde_json::Serializer::with_formatter(out, VisibleFormatter);
    serializer.serialize_str(text).expect("invariant: writing to a vector does not fail");
}

/// `serde_json`'s escapes, and hidden characters escaped besides.
struct VisibleFormatter;

impl Formatter for VisibleFormatter {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        let mut rest = fragment;
        while let Some((start, hidden)) = rest.char_indices().find(|&(_, each)| is_hidden(each)) {
            CompactFormatter.write_string_fragment(writer, &rest[..start])?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[start + hidden.len_utf8()..];
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

/// Whether a character is not seen, or changes how those around it are seen.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn push_percent(out: &mut Vec<u8>, bytes: &[u8], encoded: &'static AsciiSet) {
    for piece in percent_encode(bytes, encoded) {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// `\x1b` for each byte.
fn push_hexadecimal(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.extend_from_slice(b"\\x");
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(push: impl Fn(&mut Vec<u8>, &[u8]), bytes: &[u8]) -> String {
        let mut out = Vec::new();
        push(&mut out, bytes);
        String::from_utf8(out).expect("escaped text is UTF-8")
    }

    #[test]
    fn text_stays_on_its_line() {
        for (bytes, expected) in [
            (&b""[..], ""),
            (b"Mozilla/5.0 (X11)", "Mozilla/5.0 (X11)"),
            (b"a\"b\\c", r#"a\"b\\c"#),
            (b"a\r\nINFO:     forged", r"a\x0d\x0aINFO:     forged"),
            (b"\x1b[31mred\x7f\0\t", r"\x1b[31mred\x7f\x00\x09"),
            ("caf\u{e9} \u{1f600}".as_bytes(), "caf\u{e9} \u{1f600}"),
            ("\u{85}\u{9b}1m".as_bytes(), r"\xc2\x85\xc2\x9b1m"),
            ("a\u{202e}b\u{2028}".as_bytes(), r"a\xe2\x80\xaeb\xe2\x80\xa8"),
            (b"\xff\xc3(\xe2\x80", r"\xff\xc3(\xe2\x80"),
        ] {
            assert_eq!(pushed(push_text, bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn json_strings_read_back() {
        for (bytes, read) in [
            (&b""[..], ""),
            (b"plain", "plain"),
            (b"a\"b\\c\r\n\x1b\x7f\0", "a\"b\\c\r\n\x1b\x7f\0"),
            (
                "\u{9b}\u{2028}\u{202e}\u{e0041}\u{1f600}".as_bytes(),
                "\u{9b}\u{2028}\u{202e}\u{e0041}\u{1f600}",
            ),
            (b"a\xffb", "a\\xffb"),
        ] {
            let written = pushed(push_json, bytes);
            assert!(!written.chars().any(is_hidden), "{written:?}");
            assert_eq!(serde_json::from_str::<String>(&written).expect("JSON"), read);
        }
    }

    #[test]
    fn paths_are_quoted_as_python_does() {
        for (path, expected) in [
            (&b"/items/5"[..], "/items/5"),
            (
                b"/a b:c@d,e;f=g&h+i!j*k(l)~_.-",
                "/a%20b%3Ac%40d%2Ce%3Bf%3Dg%26h%2Bi%21j%2Ak%28l%29~_.-",
            ),
            ("/caf\u{e9}".as_bytes(), "/caf%C3%A9"),
            (b"/\"\r\n%", "/%22%0D%0A%25"),
        ] {
            assert_eq!(pushed(push_path, path), expected);
        }
        assert_eq!(pushed(push_query, b"a=1&b=\"\x1b \xff%20\\"), "a=1&b=%22%1B%20%FF%20\\");
    }
}
