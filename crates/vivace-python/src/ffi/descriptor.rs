//! Descriptors that are known by number only, because a Python object owns them.

use std::os::fd::{BorrowedFd, RawFd};

/// Lends a number to a system call; `None` for the number of something closed.
#[inline(always)]
pub(crate) fn borrow<'a>(fd: RawFd) -> Option<BorrowedFd<'a>> {
    // SAFETY: not -1. The transport that calls this owns the descriptor (natively, or through
    // a socket object that it alone closes) and sets its number to -1 when it closes it.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}
