//! Dates in header fields: IMF-fixdate out, all three forms of RFC 9110 (section 5.6.7) in.
//!
//! There is no clock here. Whoever has one formats the date once a second and keeps it.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// The last second that has a date: the year has four digits.
const LAST: u64 = 253_402_300_799;

/// The date in the form to be sent, `Sun, 06 Nov 1994 08:49:37 GMT`; `seconds` since 1970.
#[must_use]
pub fn imf_fixdate(seconds: u64) -> [u8; 29] {
    let mut text = [0; 29];
    let date = HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds.min(LAST)));
    write!(&mut text[..], "{date}").expect("invariant: an IMF-fixdate has 29 bytes");
    text
}

/// Seconds since 1970 of a date as a client sends it, in `If-Modified-Since` for example.
///
/// `None` if it is no date, or one before 1970.
#[must_use]
pub fn parse(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let date: SystemTime = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_the_standard() {
        assert_eq!(&imf_fixdate(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse(b"Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse(b"Sunday, 06-Nov-94 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse(b"Sun Nov  6 08:49:37 1994"), Some(784_111_777));
    }

    #[test]
    fn the_edges() {
        assert_eq!(&imf_fixdate(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&imf_fixdate(951_782_400), b"Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(&imf_fixdate(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
        for seconds in (0..LAST).step_by(86_400 * 97 + 4321) {
            assert_eq!(parse(&imf_fixdate(seconds)), Some(seconds));
        }
    }

    #[test]
    fn what_is_no_date() {
        for bad in [&b""[..], b"now", b"Sun, 06 Nov 1994 08:49:37 CET", b"\xff", b"0"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
