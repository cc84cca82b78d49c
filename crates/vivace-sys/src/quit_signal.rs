//! SIGQUIT as a question: a descriptor becomes readable when it comes.
//!
//! Only where nobody has said what SIGQUIT is to do. A program that does so later (`signal.signal`,
//! `add_signal_handler`, `faulthandler.register`) replaces this, as it would any handler.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::wake_fd::WakeFd;

static ASKED: OnceLock<WakeFd> = OnceLock::new();
static NUMBER: AtomicI32 = AtomicI32::new(-1);
static OWNER: AtomicU32 = AtomicU32::new(0);

extern "C" fn on_quit(signal: libc::c_int) {
    // SAFETY: all of these may be called in a handler; errno is what the interrupted code may be
    // about to read.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        if libc::getpid() as u32 == OWNER.load(Ordering::Relaxed) {
            let one = 1_u64;
            libc::write(NUMBER.load(Ordering::Relaxed), (&raw const one).cast(), size_of::<u64>());
        } else {
            // A forked child, in which nobody would answer: it ends as it would have without us.
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        *errno = before;
    }
}

/// Takes SIGQUIT if nobody has it: the descriptor that becomes readable when it comes; none if
/// somebody has. In a forked child it can be taken again.
pub fn take() -> Option<BorrowedFd<'static>> {
    if ASKED.get().is_none() {
        let _other = ASKED.set(WakeFd::new().ok()?);
    }
    let asked = ASKED.get()?.as_fd();
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the first call fills the struct, which zeros are valid for; the second hands over a
    // handler that only does what a handler may.
    unsafe {
        if libc::sigaction(libc::SIGQUIT, std::ptr::null(), action.as_mut_ptr()) != 0 {
            return None;
        }
        let known = action.assume_init_ref().sa_sigaction;
        let ours = on_quit as *const () as usize;
        if known != libc::SIG_DFL && known != ours {
            return None;
        }
        NUMBER.store(asked.as_raw_fd(), Ordering::Relaxed);
        OWNER.store(std::process::id(), Ordering::Relaxed);
        let action = action.assume_init_mut();
        action.sa_sigaction = ours;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        if libc::sigaction(libc::SIGQUIT, action, std::ptr::null_mut()) != 0 {
            return None;
        }
    }
    Some(asked)
}

/// Makes the descriptor unreadable again.
pub fn drain() {
    if let Some(asked) = ASKED.get() {
        asked.drain();
    }
}
