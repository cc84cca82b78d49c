//! A timer of the kernel that stays set from one wait to the next.
//!
//! A wait with a timeout has the kernel set a timer and take it back again, which costs as much as
//! the wait itself (0.7 µs in a virtual machine). A loop whose next deadline is far away sets this
//! one, once, and then waits without a timeout until it rings. A deadline that has moved to a later
//! time meanwhile costs one wait that ends early.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// What `at` says while it is not set.
const NEVER: u64 = u64::MAX;

/// A timerfd. It is readable from when it has rung until it is set again: to be watched for edges.
#[derive(Debug)]
pub struct Alarm {
    fd: OwnedFd,
    /// CLOCK_MONOTONIC, in nanoseconds.
    at: AtomicU64,
}

impl Alarm {
    /// Makes one that is not set, and not inherited by child programs.
    pub fn new() -> Result<Self, Errno> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { fd, at: AtomicU64::new(NEVER) })
    }

    /// Has it ring when CLOCK_MONOTONIC is `at`, or earlier if it is set to that. Only for the
    /// thread that waits.
    #[inline]
    pub fn ring_by(&self, at: u64) -> Result<(), Errno> {
        if self.at.load(Relaxed) <= at { Ok(()) } else { self.set(at) }
    }

    #[cold]
    fn set(&self, at: u64) -> Result<(), Errno> {
        // A time of zero would unset it.
        let at = at.max(1);
        let time =
            Timespec { tv_sec: (at / 1_000_000_000) as _, tv_nsec: (at % 1_000_000_000) as _ };
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let wanted = Itimerspec { it_interval: once, it_value: time };
        timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &wanted)?;
        self.at.store(at, Relaxed);
        Ok(())
    }

    /// It has rung, and is not set any more.
    pub fn rang(&self) {
        self.at.store(NEVER, Relaxed);
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::clock::monotonic_nanoseconds;
    use crate::poller::{Events, Mode, Poller, Readiness, Timeout};

    const READ: Readiness = Readiness { readable: true, writable: false, ended: false };

    fn rings(poller: &Poller, timeout: Timeout) -> bool {
        let mut events = Events::default();
        poller.wait(&mut events, timeout).expect("not interrupted");
        events.iter().count() == 1
    }

    #[test]
    fn rings_at_the_earliest_time_it_was_set_to_and_again_when_set_again() {
        let (poller, alarm) = (Poller::new().expect("epoll"), Alarm::new().expect("timerfd"));
        poller.add(alarm.as_fd().as_raw_fd(), READ, Mode::Edge).expect("registers");
        for _ in 0..2 {
            let begin = monotonic_nanoseconds();
            alarm.ring_by(begin + 3_000_000).expect("sets");
            alarm.ring_by(begin + 60_000_000_000).expect("is set to an earlier time");
            assert!(rings(&poller, Timeout::Never));
            assert!(monotonic_nanoseconds() >= begin + 3_000_000, "not before its time");
            alarm.rang();
            assert!(!rings(&poller, Timeout::Zero), "once");
        }
        alarm.ring_by(0).expect("sets");
        assert!(rings(&poller, Timeout::Never), "a time that has passed");
    }
}
