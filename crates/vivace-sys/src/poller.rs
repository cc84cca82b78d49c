//! epoll: which file descriptors are ready.
//!
//! Descriptors are known by number, since asyncio's `add_reader` takes numbers: the poller does
//! not own them and copes with ones that were closed or reused behind its back.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

/// What a registration asks for, or an event reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Something can be read, or the peer ended.
    pub readable: bool,
    /// Something can be written, or the connection broke.
    pub writable: bool,
    /// The peer ended, or the connection broke: reported, never asked for.
    pub ended: bool,
}

/// How a descriptor is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Reported at every wait for as long as it is ready (asyncio's `add_reader`).
    Level,
    /// Reported once each time it becomes ready: its owner drains it.
    Edge,
    /// As `Level`, for a descriptor that several processes watch: one of those that wait is
    /// woken, the one that was added first. Cannot be changed, only removed and added again.
    Exclusive,
}

/// How long a wait may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// Not at all.
    Zero,
    /// At most so many nanoseconds; never less, unless there is an event.
    Nanoseconds(u64),
    /// Until there is an event.
    Never,
}

impl Timeout {
    /// The same, and no longer than so many nanoseconds.
    #[must_use]
    pub fn at_most(self, longest: Option<u64>) -> Self {
        match (self, longest) {
            (Self::Nanoseconds(own), Some(longest)) => Self::Nanoseconds(own.min(longest)),
            (Self::Never, Some(longest)) => Self::Nanoseconds(longest),
            (timeout, _) => timeout,
        }
    }
}

/// Events taken by one wait: few enough that what was read is still in the cache when the
/// callbacks run.
pub const BATCH: usize = 32;

/// Room for the events of one wait.
pub struct Events {
    buffer: [MaybeUninit<epoll::Event>; BATCH],
    /// So many of them the kernel has filled.
    filled: usize,
}

// SAFETY: the events hold numbers; the pointer variant of their data is never used.
unsafe impl Send for Events {}

impl Default for Events {
    fn default() -> Self {
        Self { buffer: [MaybeUninit::uninit(); BATCH], filled: 0 }
    }
}

impl Events {
    /// The descriptors with what they are ready for.
    pub fn iter(&self) -> impl Iterator<Item = (RawFd, Readiness)> + '_ {
        self.buffer[..self.filled].iter().map(|event| {
            // SAFETY: filled by the kernel.
            let event = unsafe { event.assume_init() };
            let (flags, data) = (event.flags, event.data);
            // An error or a hang-up wakes both sides: each finds out by its next call.
            let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            let readiness = Readiness {
                readable: broken || flags.intersects(EventFlags::IN | EventFlags::RDHUP),
                writable: broken || flags.contains(EventFlags::OUT),
                ended: broken || flags.contains(EventFlags::RDHUP),
            };
            (data.u64() as RawFd, readiness)
        })
    }

    /// Whether there may be more events than fitted.
    pub fn is_full(&self) -> bool {
        self.filled == BATCH
    }
}

/// An epoll instance.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    // epoll_pwait2 came with Linux 5.11; sandboxes refuse calls that they do not know.
    has_nanoseconds: AtomicBool,
}

impl Poller {
    /// Opens one.
    pub fn new() -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, has_nanoseconds: AtomicBool::new(true) })
    }

    fn flags(interest: Readiness, mode: Mode) -> EventFlags {
        let mut flags = EventFlags::empty();
        if interest.readable {
            flags |= EventFlags::IN;
        }
        if interest.writable {
            flags |= EventFlags::OUT;
        }
        match mode {
            Mode::Level => {}
            Mode::Edge => flags |= EventFlags::ET | EventFlags::RDHUP,
            Mode::Exclusive => flags |= EventFlags::EXCLUSIVE,
        }
        flags
    }

    /// Watches `fd`, which may be watched already.
    pub fn set(&self, fd: RawFd, interest: Readiness, mode: Mode) -> Result<(), Errno> {
        let source = borrow(fd)?;
        let data = EventData::new_u64(fd as u64);
        let flags = Self::flags(interest, mode);
        match epoll::modify(&self.epoll, source, data, flags) {
            Err(Errno::NOENT) => epoll::add(&self.epoll, source, data, flags),
            answer => answer,
        }
    }

    /// Watches `fd`, which is not watched, so far as the caller knows.
    pub fn add(&self, fd: RawFd, interest: Readiness, mode: Mode) -> Result<(), Errno> {
        let source = borrow(fd)?;
        let data = EventData::new_u64(fd as u64);
        let flags = Self::flags(interest, mode);
        match epoll::add(&self.epoll, source, data, flags) {
            Err(Errno::EXIST) => epoll::modify(&self.epoll, source, data, flags),
            answer => answer,
        }
    }

    /// Stops watching `fd`. One that was closed meanwhile is gone already.
    pub fn remove(&self, fd: RawFd) {
        if let Ok(source) = borrow(fd) {
            let _gone = epoll::delete(&self.epoll, source);
        }
    }

    /// Waits for events. An interrupted wait is `Err(Errno::INTR)`.
    pub fn wait(&self, events: &mut Events, timeout: Timeout) -> Result<(), Errno> {
        events.filled = 0;
        let nanoseconds = match timeout {
            Timeout::Zero => return self.wait_milliseconds(events, 0),
            Timeout::Never => return self.wait_milliseconds(events, -1),
            Timeout::Nanoseconds(nanoseconds) => nanoseconds,
        };
        if self.has_nanoseconds.load(Ordering::Relaxed) {
            match self.wait_nanoseconds(events, nanoseconds) {
                Err(Errno::NOSYS | Errno::PERM) => {
                    self.has_nanoseconds.store(false, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        // Rounded up: a wait must not end before its time.
        let milliseconds = nanoseconds.div_ceil(1_000_000).min(i32::MAX as u64);
        self.wait_milliseconds(events, milliseconds as i32)
    }

    fn wait_milliseconds(&self, events: &mut Events, milliseconds: i32) -> Result<(), Errno> {
        // SAFETY: the buffer has room for BATCH events; rustix's Event has the kernel's layout.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                events.buffer.as_mut_ptr().cast(),
                BATCH as i32,
                milliseconds,
            )
        };
        events.filled = check(count as libc::c_long)?;
        Ok(())
    }

    fn wait_nanoseconds(&self, events: &mut Events, nanoseconds: u64) -> Result<(), Errno> {
        let timeout = libc::timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as _,
            tv_nsec: (nanoseconds % 1_000_000_000) as _,
        };
        // SAFETY: as above; the timeout is read only, and no signal mask is given.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                events.buffer.as_mut_ptr(),
                BATCH as i32,
                &raw const timeout,
                std::ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        events.filled = check(count)?;
        Ok(())
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

fn check(count: libc::c_long) -> Result<usize, Errno> {
    usize::try_from(count)
        .map_err(|_| Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

/// A number from outside as a descriptor; a bad number is answered by the kernel.
fn borrow<'a>(fd: RawFd) -> Result<BorrowedFd<'a>, Errno> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: not -1. That the descriptor is open is not needed: it is only passed to
    // epoll_ctl, which answers EBADF if it is not.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wake_fd::WakeFd;

    const READ: Readiness = Readiness { readable: true, writable: false, ended: false };

    fn ready(poller: &Poller, timeout: Timeout) -> Vec<(RawFd, Readiness)> {
        let mut events = Events::default();
        poller.wait(&mut events, timeout).expect("not interrupted");
        events.iter().collect()
    }

    #[test]
    fn level_reports_again_and_edge_once() {
        for (mode, again) in [(Mode::Level, 1), (Mode::Edge, 0)] {
            let poller = Poller::new().expect("epoll");
            let wake = WakeFd::new().expect("eventfd");
            let fd = wake.as_fd().as_raw_fd();
            poller.add(fd, READ, mode).expect("registers");
            assert!(ready(&poller, Timeout::Zero).is_empty());
            wake.wake();
            assert_eq!(ready(&poller, Timeout::Never), [(fd, READ)]);
            assert_eq!(ready(&poller, Timeout::Zero).len(), again);
        }
    }

    #[test]
    fn closed_and_reused_descriptors_are_coped_with() {
        let poller = Poller::new().expect("epoll");
        let wake = WakeFd::new().expect("eventfd");
        let fd = wake.as_fd().as_raw_fd();
        poller.set(fd, READ, Mode::Level).expect("adds when not known");
        poller.add(fd, READ, Mode::Level).expect("changes when known");
        drop(wake);
        poller.remove(fd);
        poller.remove(-1);
        assert_eq!(poller.add(-1, READ, Mode::Level), Err(Errno::BADF));
    }

    #[test]
    fn a_wait_is_never_shorter_than_asked() {
        let poller = Poller::new().expect("epoll");
        for nanoseconds in [50_000, 300_000, 1_500_000] {
            let before = crate::clock::monotonic_nanoseconds();
            assert!(ready(&poller, Timeout::Nanoseconds(nanoseconds)).is_empty());
            assert!(crate::clock::monotonic_nanoseconds() - before >= nanoseconds);
        }
        poller.has_nanoseconds.store(false, Ordering::Relaxed);
        let before = crate::clock::monotonic_nanoseconds();
        assert!(ready(&poller, Timeout::Nanoseconds(300_000)).is_empty());
        assert!(crate::clock::monotonic_nanoseconds() - before >= 300_000);
    }
}
