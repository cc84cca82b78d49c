//! The edge to C: what every entry point runs in, so that neither an error nor a panic of ours
//! leaves it in any other way than C expects.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::ffi;

use super::error::{Builtin, Raised, Result, raise};
use super::object::Owned;

/// Runs the body of an entry point from C; a panic becomes `SystemError`.
#[inline(always)]
pub(super) fn edge<R>(on_error: R, body: impl FnOnce() -> Result<R>) -> R {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(Raised)) => on_error,
        Err(payload) => {
            raise_panic(&*payload);
            on_error
        }
    }
}

#[cold]
fn raise_panic(payload: &(dyn std::any::Any + Send)) {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    let Raised = raise(Builtin::System, &format!("vivace: internal error: {text}"));
}

/// The same for a function that returns an object.
#[inline(always)]
pub(super) fn edge_object(body: impl FnOnce() -> Result<Owned>) -> *mut ffi::PyObject {
    edge(std::ptr::null_mut(), || body().map(Owned::into_ptr))
}
