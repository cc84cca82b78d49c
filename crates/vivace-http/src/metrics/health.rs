//! Whether a worker lives and is ready: two words that the loop writes and other threads read.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// When the loop last turned, by the monotonic clock that the loop has read anyway.
///
/// A loop that beats before each turn and parks before it waits is never taken for a stalled one
/// while it merely has nothing to do. One that has a timer may just beat.
#[derive(Debug, Default)]
pub struct Heartbeat(AtomicU64);

/// Nothing has turned yet.
const NEVER: u64 = 0;

/// The loop waits for something to do.
const PARKED: u64 = u64::MAX;

impl Heartbeat {
    /// The loop turns; `now` is `CLOCK_MONOTONIC` in nanoseconds.
    #[inline]
    pub fn beat(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }

    /// The loop waits, and will beat when it goes on.
    #[inline]
    pub fn park(&self) {
        self.0.store(PARKED, Ordering::Relaxed);
    }

    /// For how long the loop has not turned although it had to; `None` before its first turn.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            NEVER => None,
            PARKED => Some(Duration::ZERO),
            // A loop that turned since the clock was read is ahead of it.
            beat => Some(Duration::from_nanos(monotonic_nanoseconds().saturating_sub(beat))),
        }
    }
}

fn monotonic_nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Whether requests should be sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Readiness {
    /// Not yet: the application starts.
    Starting,
    /// Yes.
    Ready,
    /// No more: the server ends, and answers what it has.
    Draining,
}

/// A readiness that one thread sets and others read.
#[derive(Debug, Default)]
pub struct ReadinessState(AtomicU8);

impl ReadinessState {
    /// Says how it is from now on.
    pub fn set(&self, readiness: Readiness) {
        self.0.store(readiness as u8, Ordering::Release);
    }

    /// How it is; at first, starting.
    #[must_use]
    pub fn now(&self) -> Readiness {
        match self.0.load(Ordering::Acquire) {
            0 => Readiness::Starting,
            1 => Readiness::Ready,
            _ => Readiness::Draining,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_heartbeat() {
        let heartbeat = Heartbeat::default();
        assert_eq!(heartbeat.age(), None);
        heartbeat.beat(monotonic_nanoseconds() - 3_000_000_000);
        assert!(heartbeat.age().is_some_and(|age| age >= Duration::from_secs(3)));
        heartbeat.beat(monotonic_nanoseconds() + 60_000_000_000);
        assert_eq!(heartbeat.age(), Some(Duration::ZERO));
        heartbeat.park();
        assert_eq!(heartbeat.age(), Some(Duration::ZERO));
    }

    #[test]
    fn readiness_is_what_was_set() {
        let state = ReadinessState::default();
        assert_eq!(state.now(), Readiness::Starting);
        for readiness in [Readiness::Ready, Readiness::Draining, Readiness::Starting] {
            state.set(readiness);
            assert_eq!(state.now(), readiness);
        }
    }
}
