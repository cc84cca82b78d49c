//! CLOCK_MONOTONIC: the clock of `time.monotonic()` and so of `loop.time()`.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since some point in the past.
#[inline]
pub fn monotonic_nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The same with the time in which the machine was suspended.
pub fn boot_nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Seconds since 1970, of the clock of the calendar.
#[inline]
pub fn unix_seconds() -> u64 {
    clock_gettime(ClockId::RealtimeCoarse).tv_sec as u64
}

/// Seconds since 1970 with their fractions.
pub fn unix_seconds_exact() -> f64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Seconds as Python's clock gives them: the nearest double to the nanoseconds.
#[inline]
pub fn seconds(nanoseconds: u64) -> f64 {
    // Two exact parts and one rounding, as CPython's _PyTime_AsSecondsDouble rounds once.
    nanoseconds as f64 / 1e9
}

/// A counter of the processor that goes forward at some fixed rate: a quarter of the price of
/// the clock, for deciding whether it is time to look at the clock.
#[inline(always)]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction, and it touches no memory.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    monotonic_nanoseconds()
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
