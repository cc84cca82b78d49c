//! This process: what is done at its end, and what it was started with.

use std::sync::OnceLock;

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
