//! Threads as the kernel numbers them, and their own clocks.

/// The number of this thread, as in `/proc/self/task`.
pub fn number() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// Nanoseconds of processor time that a thread of this process has used; none if it has ended.
pub fn processor_time(number: u32) -> Option<u64> {
    // The kernel's encoding: the complement of the number, "of one thread", "scheduled time".
    const OF_A_THREAD: u32 = 4;
    const SCHEDULED: u32 = 2;
    let clock = ((!number << 3) | OF_A_THREAD | SCHEDULED) as libc::clockid_t;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the struct, or refuses a number that it does not know.
    let answer = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (answer == 0).then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Lets no signal be handled by this thread.
pub fn block_signals() {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the first call fills the set, the second reads it; neither keeps it.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_computes_uses_time() {
        let own = number();
        let before = processor_time(own).expect("this thread lives");
        let mut sum = 0_u64;
        while processor_time(own).expect("it lives") < before + 1_000_000 {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
        assert_eq!(processor_time(u32::MAX >> 4), None);
    }
}
