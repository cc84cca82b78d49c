//! This process: what is done at its end, and what it was started with.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};

static AT_EXIT: OnceLock<fn()> = OnceLock::new();

extern "C" fn run_at_exit() {
    if let Some(callback) = AT_EXIT.get() {
        // A panic must not leave a C function.
        let _ended = std::panic::catch_unwind(callback);
    }
}

/// Has a function called when the process ends in order, once its Python is gone: not if it is
/// killed. Only the first function that is given; also called in forked children that end so.
pub fn at_exit(callback: fn()) {
    if AT_EXIT.set(callback).is_ok() {
        // SAFETY: the function takes no arguments, returns nothing and does not unwind.
        let _room = unsafe { libc::atexit(run_at_exit) };
    }
}

/// The number of this process; 0: nobody has asked for it in this process yet.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// In a forked child, before anything else runs.
extern "C" fn become_child() {
    NUMBER.store(0, Ordering::Relaxed);
}

/// The number of this process, by a system call at the first time only.
#[inline]
pub fn number() -> u32 {
    match NUMBER.load(Ordering::Relaxed) {
        0 => ask_for_number(),
        number => number,
    }
}

#[cold]
fn ask_for_number() -> u32 {
    static HANDLER: Once = Once::new();
    let number = std::process::id();
    HANDLER.call_once(|| {
        // SAFETY: the handler stores a word, which is all right after a fork.
        let _memory = unsafe { libc::pthread_atfork(None, None, Some(become_child)) };
    });
    NUMBER.store(number, Ordering::Relaxed);
    number
}

/// The words that the process was started with.
pub fn arguments() -> Vec<String> {
    let bytes = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// The user on whose behalf it runs.
pub fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_has_a_number_of_its_own() {
        assert_eq!(number(), std::process::id());
        // SAFETY: the child makes system calls only, and ends at once.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: as above.
            unsafe { libc::_exit(i32::from(number() != std::process::id())) };
        }
        let mut status = -1;
        // SAFETY: a child of this process, and a place for its status.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        assert_eq!(number(), std::process::id());
    }
}
