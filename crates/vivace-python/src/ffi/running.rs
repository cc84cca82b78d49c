//! The calls that run Python code, safe for daemon threads when the interpreter ends.
//!
//! Up to CPython 3.13 a daemon thread that wants the GIL while the interpreter shuts down is
//! ended by `pthread_exit`, which unwinds its stack through whatever C called: through us. Rust
//! may not be unwound so (the process would abort), and its destructors would touch Python
//! objects without the GIL. So the first frame of ours that the unwinding meets parks the
//! thread for good instead; the process ends without it, as 3.14 does by itself.

use std::ffi::c_int;
use std::time::Duration;

use pyo3::ffi;

mod raw {
    use super::{c_int, ffi};

    // Declared again, since PyO3's declarations promise that nothing unwinds.
    unsafe extern "C-unwind" {
        pub(super) fn PyObject_Vectorcall(
            callable: *mut ffi::PyObject,
            args: *const *mut ffi::PyObject,
            nargsf: usize,
            kwnames: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject;
        pub(super) fn PyObject_VectorcallMethod(
            name: *mut ffi::PyObject,
            args: *const *mut ffi::PyObject,
            nargsf: usize,
            kwnames: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject;
        pub(super) fn PyObject_Call(
            callable: *mut ffi::PyObject,
            args: *mut ffi::PyObject,
            kwargs: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject;
        pub(super) fn PyIter_Send(
            iterator: *mut ffi::PyObject,
            argument: *mut ffi::PyObject,
            result: *mut *mut ffi::PyObject,
        ) -> c_int;
    }

    unsafe extern "C" {
        /// Public since 3.13; before, it is the same with an underscore.
        #[cfg_attr(not(Py_3_13), link_name = "_Py_IsFinalizing")]
        pub(super) fn Py_IsFinalizing() -> c_int;
    }
}

/// Whether the interpreter is on its way out, so that threads do not get the GIL any more. May be
/// asked from any thread, without the GIL.
pub(crate) fn is_finalizing() -> bool {
    // SAFETY: it has no arguments, reads one word of the runtime atomically, and the runtime is
    // static.
    unsafe { raw::Py_IsFinalizing() != 0 }
}

/// Dropped only when the thread is being unwound: then it never returns.
struct Park;

impl Drop for Park {
    fn drop(&mut self) {
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
}

#[inline(always)]
fn guarded<R>(call: impl FnOnce() -> R) -> R {
    let park = Park;
    let result = call();
    std::mem::forget(park);
    result
}

/// See CPython's function of the same name.
///
/// # Safety
/// As for CPython's function.
#[inline(always)]
pub(crate) unsafe fn vectorcall(
    callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    guarded(|| unsafe { raw::PyObject_Vectorcall(callable, args, nargsf, names) })
}

/// `PyObject_VectorcallMethod`.
///
/// # Safety
/// As for CPython's function.
#[inline(always)]
pub(crate) unsafe fn vectorcall_method(
    name: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    guarded(|| unsafe { raw::PyObject_VectorcallMethod(name, args, nargsf, std::ptr::null_mut()) })
}

/// `PyObject_Call` without keywords.
///
/// # Safety
/// As for CPython's function.
#[inline(always)]
pub(crate) unsafe fn call(
    callable: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    guarded(|| unsafe { raw::PyObject_Call(callable, args, std::ptr::null_mut()) })
}

/// `PyIter_Send`: the answer is a `PySendResult` as a number.
///
/// # Safety
/// As for CPython's function.
#[inline(always)]
pub(crate) unsafe fn send(
    iterator: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> c_int {
    // SAFETY: the caller's promise.
    guarded(|| unsafe { raw::PyIter_Send(iterator, argument, result) })
}
