//! CLOCK_MONOTONIC: the clock of `time.monotonic()` and so of `loop.time()`.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since some point in the past.
#[inline]
pub fn monotonic_nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Seconds as Python's clock gives them: the nearest double to the nanoseconds.
#[inline]
pub fn seconds(nanoseconds: u64) -> f64 {
    // Two exact parts and one rounding, as CPython's _PyTime_AsSecondsDouble rounds once.
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_forward() {
        let before = monotonic_nanoseconds();
        let after = monotonic_nanoseconds();
        assert!(after >= before);
        assert!((seconds(1_500_000_000) - 1.5).abs() < f64::EPSILON);
    }
}
