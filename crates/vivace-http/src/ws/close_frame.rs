//! Close frames (RFC 6455 sections 5.5.1 and 7.4): codes, reasons, and how both are read.

use super::failure::Failure;
use super::frame::MAX_CONTROL_PAYLOAD;
use super::text;

/// The longest reason in bytes: a control frame less its code.
pub const MAX_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

/// A close code that may stand in a frame.
///
/// 1005, 1006 and 1015 are no such codes: they tell an application what a connection lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: it has done what it was for.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server goes down, or the browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke a rule of the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that cannot be accepted.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: text that is not UTF-8, or compressed data that cannot be decompressed.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: against the application's rules.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message is longer than allowed.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1011: the server failed.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts; the client may connect again.
    pub const SERVICE_RESTART: Self = Self(1012);

    /// `code`, if it may stand in a frame: one that the RFC or IANA's registry defines for that,
    /// or one of those left to libraries and applications (3000 to 4999).
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn value(self) -> u16 {
        self.0
    }
}

/// What a close frame says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloseFrame {
    /// The code, if there is one.
    pub code: Option<CloseCode>,
    /// The reason; empty without a code.
    pub reason: String,
}

impl CloseFrame {
    /// Reads the payload of a close frame.
    pub(super) fn read(payload: &[u8]) -> Result<Self, Failure> {
        match *payload {
            [] => Ok(Self::default()),
            [_] => Err(Failure::protocol("close frame with half a code")),
            [high, low, ref reason @ ..] => {
                let code = CloseCode::new(u16::from_be_bytes([high, low]))
                    .ok_or(Failure::protocol("close frame with an invalid code"))?;
                let reason = text::complete(reason)
                    .map_err(|_| Failure::invalid_data("close reason is not valid UTF-8"))?;
                Ok(Self { code: Some(code), reason: reason.to_owned() })
            }
        }
    }
}

/// As much of `reason` as fits, cut between two characters.
pub(super) fn fitting(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_be_sent() {
        let valid: Vec<u16> =
            (0..=u16::MAX).filter(|&code| CloseCode::new(code).is_some()).collect();
        let mut expected: Vec<u16> =
            vec![1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
        expected.extend(3000..=4999);
        assert_eq!(valid, expected);
    }

    #[test]
    fn payloads() {
        let normal = Some(CloseCode::NORMAL);
        for (payload, expected) in [
            (&b""[..], Ok((None, ""))),
            (b"\x03", Err(CloseCode::PROTOCOL_ERROR)),
            (b"\x03\xe8", Ok((normal, ""))),
            (b"\x03\xe8bye", Ok((normal, "bye"))),
            (b"\x0f\xa9\xe2\x82\xac", Ok((CloseCode::new(4009), "€"))),
            (b"\x03\xe8\xe2\x82", Err(CloseCode::INVALID_DATA)),
            (b"\x03\xe8\xff", Err(CloseCode::INVALID_DATA)),
            (b"\x00\x00", Err(CloseCode::PROTOCOL_ERROR)),
            (b"\x03\xed", Err(CloseCode::PROTOCOL_ERROR)), // 1005
            (b"\x03\xee", Err(CloseCode::PROTOCOL_ERROR)), // 1006
            (b"\x03\xf7", Err(CloseCode::PROTOCOL_ERROR)), // 1015
            (b"\x13\x88", Err(CloseCode::PROTOCOL_ERROR)), // 5000
        ] {
            let expected =
                expected.map(|(code, reason)| CloseFrame { code, reason: reason.into() });
            assert_eq!(CloseFrame::read(payload).map_err(|failure| failure.code), expected);
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert_eq!(fitting("bye"), "bye");
        assert_eq!(fitting(&"a".repeat(123)).len(), 123);
        assert_eq!(fitting(&"a".repeat(124)).len(), 123);
        assert_eq!(fitting(&"€".repeat(42)), "€".repeat(41)); // 126 bytes; 41 take 123
        assert_eq!(fitting(&format!("a{}", "€".repeat(41))), format!("a{}", "€".repeat(40)));
    }
}
