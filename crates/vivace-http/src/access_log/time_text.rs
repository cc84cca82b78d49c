//! The texts of a moment, made once a second: the calendar costs more than the rest of a line.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::{Duration, SystemTime};

/// The date of the common log format, `[21/Nov/2026:12:42:33 +0000]`, in local time.
pub(super) struct CommonLogTime {
    zone: TimeZone,
    second: Option<u64>,
    text: String,
}

/// The date of RFC 3339, `2026-11-21T12:42:33.123456Z`, in universal time.
#[derive(Default)]
pub(super) struct UniversalTime {
    second: Option<u64>,
    text: String,
}

impl CommonLogTime {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone, second: None, text: String::new() }
    }

    pub(super) fn push(&mut self, out: &mut Vec<u8>, time: SystemTime) {
        let second = since_epoch(time).as_secs();
        if self.second != Some(second) {
            self.text = timestamp(second)
                .to_zoned(self.zone.clone())
                .strftime("[%d/%b/%Y:%H:%M:%S %z]")
                .to_string();
            self.second = Some(second);
        }
        out.extend_from_slice(self.text.as_bytes());
    }
}

impl UniversalTime {
    pub(super) fn push(&mut self, out: &mut Vec<u8>, time: SystemTime) {
        let since_epoch = since_epoch(time);
        if self.second != Some(since_epoch.as_secs()) {
            self.text = timestamp(since_epoch.as_secs()).strftime("%Y-%m-%dT%H:%M:%S.").to_string();
            self.second = Some(since_epoch.as_secs());
        }
        out.extend_from_slice(self.text.as_bytes());
        push_padded(out, since_epoch.subsec_micros(), 6);
        out.push(b'Z');
    }
}

/// Adds a number with zeros in front: at least `width` digits.
pub(super) fn push_padded(out: &mut Vec<u8>, number: u32, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(digits.len())));
    out.extend_from_slice(digits.as_bytes());
}

/// A clock that was set before 1970 counts as 1970.
fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Times beyond the year 9999 become its end.
fn timestamp(second: u64) -> Timestamp {
    i64::try_from(second)
        .ok()
        .and_then(|second| Timestamp::from_second(second).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanoseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
    }

    #[test]
    fn universal_time_has_microseconds() {
        let mut time = UniversalTime::default();
        for (nanoseconds, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_795_264_953_000_001_999, "2026-11-21T12:42:33.000001Z"),
            (1_795_264_953_123_456_000, "2026-11-21T12:42:33.123456Z"),
            (1_795_264_954_000_000_000, "2026-11-21T12:42:34.000000Z"),
        ] {
            let mut out = Vec::new();
            time.push(&mut out, at(nanoseconds));
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
        let mut out = Vec::new();
        time.push(&mut out, SystemTime::UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(out, b"1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn the_common_log_has_local_time() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a rule of POSIX");
        let mut time = CommonLogTime::new(zone);
        for (second, expected) in [
            (1_795_264_953, "[21/Nov/2026:13:42:33 +0100]"),
            (1_795_264_954, "[21/Nov/2026:13:42:34 +0100]"),
            (1_785_000_000, "[25/Jul/2026:19:20:00 +0200]"),
        ] {
            for _ in 0..2 {
                let mut out = Vec::new();
                time.push(&mut out, at(second * 1_000_000_000));
                assert_eq!(String::from_utf8_lossy(&out), expected);
            }
        }
    }
}
