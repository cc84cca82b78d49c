//! `contextvars.Context`: the current one, copies, and running inside one.

use pyo3::ffi;

use super::error::{Raised, Result};
use super::object::{Object, Owned};

/// `contextvars.copy_context()`.
#[inline(always)]
pub(crate) fn copy_current() -> Result<Owned> {
    // SAFETY: attached; the reference is new or null.
    unsafe { Owned::from_new(ffi::PyContext_CopyCurrent()) }
}

/// `context.copy()`.
pub(crate) fn copy(context: &Object) -> Result<Owned> {
    // SAFETY: a live object; anything but a context is answered with TypeError.
    unsafe { Owned::from_new(ffi::PyContext_Copy(context.as_ptr())) }
}

/// Runs `body` inside `context`, as `context.run` does.
#[inline(always)]
pub(crate) fn run_in<R>(context: &Object, body: impl FnOnce() -> Result<R>) -> Result<R> {
    // SAFETY: a live object; anything but a context is answered with TypeError.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } < 0 {
        return Err(Raised);
    }
    let result = body();
    // SAFETY: entered above, and left by whoever entered later.
    if unsafe { ffi::PyContext_Exit(context.as_ptr()) } < 0 && result.is_ok() {
        return Err(Raised);
    }
    result
}

/// A new context without variables.
pub(crate) fn empty() -> Result<Owned> {
    // SAFETY: attached; the reference is new or null.
    unsafe { Owned::from_new(ffi::PyContext_New()) }
}
