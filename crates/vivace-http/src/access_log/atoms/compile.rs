//! Reads a pattern of atoms, in the way of Python's `%` operator.

use super::{Atom, AtomLine, Piece};
use crate::access_log::escape::push_text;
use crate::access_log::phrases::Phrases;
use crate::access_log::time_text::CommonLogTime;
use jiff::tz::TimeZone;
use std::fmt;

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// Where, in bytes from the beginning.
    pub position: usize,
    /// What is there.
    pub fault: PatternFault,
}

/// The kinds of wrong patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternFault {
    /// There is no atom of this name.
    UnknownAtom(String),
    /// A `%(` without a `)`.
    Unclosed,
    /// What follows the atom is not `s`, nor `d` after a number.
    Conversion(String),
    /// A `%` that is followed by neither `(` nor `%`.
    LonePercent,
    /// A character that would break the line.
    ControlCharacter,
    /// No atom at all: every line would be the same.
    NoAtom,
}

impl fmt::Display for PatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "access log format, byte {}: ", self.position)?;
        match &self.fault {
            PatternFault::UnknownAtom(name) => write!(
                formatter,
                "there is no atom %({name})s; there are {}, {{header}}i, {{header}}o, {{variable}}e",
                NAMES.join(", ")
            ),
            PatternFault::Unclosed => formatter.write_str("%( is not closed by )"),
            PatternFault::Conversion(name) => write!(
                formatter,
                "%({name}) must be followed by s, or by d if it is a whole number"
            ),
            PatternFault::LonePercent => {
                formatter.write_str("% must be followed by ( or, to stand for itself, by %")
            }
            PatternFault::ControlCharacter => {
                formatter.write_str("a control character would break the line")
            }
            PatternFault::NoAtom => formatter
                .write_str("neither text, json, logfmt nor a pattern with atoms, such as %(h)s"),
        }
    }
}

impl std::error::Error for PatternError {}

/// All names without braces, for the error message.
const NAMES: &[&str] = &[
    "h",
    "l",
    "u",
    "t",
    "r",
    "m",
    "U",
    "q",
    "H",
    "s",
    "B",
    "b",
    "f",
    "a",
    "T",
    "M",
    "D",
    "L",
    "p",
    "client_addr",
    "request_line",
    "status_code",
    "route",
    "request_id",
    "scheme",
];

impl AtomLine {
    /// Compiles a pattern. `environment` gives a variable of the process by its name.
    pub(in crate::access_log) fn compile(
        pattern: &str,
        zone: TimeZone,
        process: u32,
        environment: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Self, PatternError> {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = pattern;
        let mut named_any = false;
        while let Some(first) = rest.chars().next() {
            let position = pattern.len() - rest.len();
            let error = |fault| PatternError { position, fault };
            if first != '%' {
                if first.is_control() && first != '\t' {
                    return Err(error(PatternFault::ControlCharacter));
                }
                literal.extend_from_slice(&rest.as_bytes()[..first.len_utf8()]);
                rest = &rest[first.len_utf8()..];
            } else if let Some(after) = rest.strip_prefix("%%") {
                literal.push(b'%');
                rest = after;
            } else {
                let inner =
                    rest.strip_prefix("%(").ok_or_else(|| error(PatternFault::LonePercent))?;
                let (name, after) =
                    inner.split_once(')').ok_or_else(|| error(PatternFault::Unclosed))?;
                let meaning = meaning_of(name, &environment)
                    .ok_or_else(|| error(PatternFault::UnknownAtom(name.to_owned())))?;
                rest = after
                    .strip_prefix('s')
                    .or_else(|| after.strip_prefix('d').filter(|_| meaning.is_whole_number()))
                    .ok_or_else(|| error(PatternFault::Conversion(name.to_owned())))?;
                named_any = true;
                match meaning {
                    Meaning::Text(text) => literal.extend_from_slice(&text),
                    Meaning::Atom(atom) => {
                        if !literal.is_empty() {
                            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                        }
                        pieces.push(Piece::Atom(atom));
                    }
                }
            }
        }
        if !named_any {
            return Err(PatternError { position: 0, fault: PatternFault::NoAtom });
        }
        pieces.push(Piece::Literal(literal));
        Ok(Self { pieces, time: CommonLogTime::new(zone), phrases: Phrases::default(), process })
    }
}

/// What a name stands for.
enum Meaning {
    /// The same in every line, and escaped already.
    Text(Vec<u8>),
    Atom(Atom),
}

impl Meaning {
    fn is_whole_number(&self) -> bool {
        matches!(self, Self::Atom(Atom::Status | Atom::ResponseBytes | Atom::Duration { .. }))
    }
}

fn meaning_of(name: &str, environment: impl Fn(&str) -> Option<Vec<u8>>) -> Option<Meaning> {
    if let Some((inner, kind)) = name.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')) {
        let header = || inner.to_ascii_lowercase().into_bytes();
        return Some(match kind {
            "i" => Meaning::Atom(Atom::RequestHeader(header())),
            "o" => Meaning::Atom(Atom::ResponseHeader(header())),
            "e" => {
                let mut text = Vec::new();
                push_text(&mut text, environment(inner).as_deref().unwrap_or(b"-"));
                Meaning::Text(text)
            }
            _ => return None,
        });
    }
    Some(Meaning::Atom(match name {
        "h" => Atom::ClientHost,
        "client_addr" => Atom::ClientAddress,
        "l" => Atom::Dash,
        "u" => Atom::User,
        "t" => Atom::Time,
        "r" => Atom::RequestLine,
        "request_line" => Atom::DecodedRequestLine,
        "m" => Atom::Method,
        "U" => Atom::Path,
        "q" => Atom::Query,
        "H" => Atom::Protocol,
        "s" => Atom::Status,
        "status_code" => Atom::StatusWithPhrase,
        "b" | "B" => Atom::ResponseBytes,
        "f" => Atom::RequestHeader(b"referer".to_vec()),
        "a" => Atom::RequestHeader(b"user-agent".to_vec()),
        "T" => Atom::Duration { per_second: 1 },
        "M" => Atom::Duration { per_second: 1_000 },
        "D" => Atom::Duration { per_second: 1_000_000 },
        "L" => Atom::DecimalSeconds,
        "p" => Atom::Process,
        "route" => Atom::Route,
        "request_id" => Atom::RequestId,
        "scheme" => Atom::Scheme,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(pattern: &str) -> Result<AtomLine, PatternError> {
        AtomLine::compile(pattern, TimeZone::UTC, 7, |name| {
            (name == "HOME").then(|| b"/home/\x1b".to_vec())
        })
    }

    #[test]
    fn every_name_in_the_message_is_an_atom() {
        for name in NAMES {
            assert!(compile(&format!("%({name})s")).is_ok(), "{name}");
        }
    }

    #[test]
    fn wrong_patterns_are_named() {
        for (pattern, position, part) in [
            ("%(h)s %(x)s", 6, "there is no atom %(x)s; there are h, l, u"),
            ("%({accept}x)s", 0, "there is no atom %({accept}x)s"),
            ("%({accept)s", 0, "there is no atom %({accept)s"),
            ("%()s", 0, "there is no atom %()s"),
            ("ab %(h", 3, "not closed"),
            ("%(h)", 0, "%(h) must be followed by s"),
            ("%(h)d", 0, "%(h) must be followed by s"),
            ("%(D)f", 0, "%(D) must be followed by s"),
            ("%({accept}i)d", 0, "%({accept}i) must be followed by s"),
            ("100%", 3, "% must be followed"),
            ("% (h)s", 0, "% must be followed"),
            ("%h", 0, "% must be followed"),
            ("jsno", 0, "neither text, json, logfmt nor"),
            ("", 0, "neither text, json, logfmt nor"),
            ("a\nb", 1, "control character"),
            ("caf\u{e9} \u{9b}", 6, "control character"),
        ] {
            let error = compile(pattern).err().unwrap_or_else(|| panic!("{pattern} is accepted"));
            assert_eq!(error.position, position, "{pattern}");
            assert!(error.to_string().contains(part), "{pattern}: {error}");
        }
    }

    #[test]
    fn headers_are_known_in_advance() {
        let line = compile("%(a)s %({X-Trace}i)s %(u)s %({Server}o)s").expect("a pattern");
        let wanted: Vec<_> = line.request_headers().collect();
        assert_eq!(wanted, [&b"user-agent"[..], b"x-trace", b"authorization"]);
        assert_eq!(line.response_headers().collect::<Vec<_>>(), [b"server"]);
    }

    #[test]
    fn the_environment_is_read_once_and_escaped() {
        let line = compile("<%({HOME}e)s> %({NONE}e)s 100%%").expect("a pattern");
        assert!(
            matches!(&line.pieces[..], [Piece::Literal(text)] if text == b"</home/\\x1b> - 100%")
        );
    }
}
