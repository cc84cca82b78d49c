//! Threads and the GIL: letting go of it, and carrying references across.

use pyo3::ffi;

use super::error::{Raised, Result};

/// Runs `body` without the GIL. Objects cannot go in: they are not `Send`.
pub(crate) fn detached<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    // SAFETY: this thread is attached; the state saved is restored by the same thread. The
    // restore parks a thread that the interpreter, on its way out, would kill.
    unsafe {
        let state = ffi::PyEval_SaveThread();
        let result = body();
        ffi::PyEval_RestoreThread(state);
        result
    }
}

/// Runs the handlers of signals that arrived (`PyErr_CheckSignals`).
pub(crate) fn check_signals() -> Result<()> {
    // SAFETY: attached.
    match unsafe { ffi::PyErr_CheckSignals() } {
        0 => Ok(()),
        _ => Err(Raised),
    }
}

/// The number of this thread, as `threading.get_ident()` gives it.
pub(crate) fn ident() -> u64 {
    // SAFETY: no preconditions.
    unsafe { ffi::PyThread_get_thread_ident() as u64 }
}

/// Something that holds references and is handed from one attached thread to another.
pub(crate) struct Crossing<T>(pub(crate) T);

// SAFETY: the value is made, read and dropped by attached threads only: the queues that carry
// it are filled and emptied under the GIL, and it is never touched inside `detached`.
unsafe impl<T> Send for Crossing<T> {}
