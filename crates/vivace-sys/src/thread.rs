//! Threads as the kernel numbers them.

/// The number of this thread, as in `/proc/self/task`.
pub fn number() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}
