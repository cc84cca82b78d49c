//! Driving coroutines, and giving a value to an `await`.

use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use pyo3::ffi;

use super::error::{Builtin, Raised, Result};
use super::object::{Object, Owned};
use super::running;

/// What a coroutine did when it was driven.
pub(crate) enum Sent {
    Yielded(Owned),
    Returned(Owned),
}

/// `coroutine.send(value)`.
#[inline(always)]
pub(crate) fn send(coroutine: &Object, value: &Object) -> Result<Sent> {
    let mut result = std::ptr::null_mut();
    // SAFETY: live objects; the result is a new reference unless the answer is an error.
    unsafe {
        match running::send(coroutine.as_ptr(), value.as_ptr(), &mut result) {
            NEXT => Ok(Sent::Yielded(Owned::from_new(result)?)),
            RETURN => Ok(Sent::Returned(Owned::from_new(result)?)),
            _ => Err(Raised),
        }
    }
}

// The numbers of PySendResult.
const RETURN: std::ffi::c_int = 0;
const NEXT: std::ffi::c_int = 1;

/// Takes the value out of a `StopIteration` that is set, or leaves another exception.
pub(crate) fn stop_value(raised: Raised) -> Result<Owned> {
    if !raised.matches(Builtin::StopIteration.object()) {
        return Err(raised);
    }
    let exception = raised.fetch();
    // SAFETY: an instance of StopIteration (or a subclass), whose struct starts so.
    unsafe {
        let value = (*exception.as_ptr().cast::<ffi::PyStopIterationObject>()).value;
        Ok(if value.is_null() { super::text::none() } else { Object::from_ptr(value).new_ref() })
    }
}

/// Whether the object is a native coroutine (`async def`), exactly.
#[inline(always)]
pub(crate) fn is_native(object: &Object) -> bool {
    // SAFETY: the address of a static type.
    object.class_ptr() == &raw mut ffi::PyCoro_Type
}

pub(crate) fn is_generator(object: &Object) -> bool {
    // SAFETY: the address of a static type.
    object.class_ptr() == &raw mut ffi::PyGen_Type
}

/// One `StopIteration`, used again while nobody else holds it: making one costs 130 ns, which
/// is a third of an `await`. Null, or a counted reference; guarded by the GIL.
static STOP: AtomicPtr<ffi::PyObject> = AtomicPtr::new(std::ptr::null_mut());

/// Raises `StopIteration(value)`, to end an iterator with a value.
#[inline]
pub(crate) fn stop_with(value: Owned) -> Raised {
    if value.is_none() {
        // A null without an exception is StopIteration(None), by tp_iternext's contract.
        return Raised;
    }
    // Taken out meanwhile: dropping what it held may run Python code that awaits as well.
    let kept = STOP.swap(std::ptr::null_mut(), Relaxed);
    // SAFETY: `kept` is null or our reference to a StopIteration. Its fields are written only
    // when that reference is the last one, so nobody sees the value change.
    unsafe {
        let stop = if !kept.is_null() && ffi::Py_REFCNT(kept) == 1 {
            let fields = kept.cast::<ffi::PyStopIterationObject>();
            ffi::Py_XDECREF(std::mem::replace(&mut (*fields).value, std::ptr::null_mut()));
            if !(*fields).traceback.is_null() {
                ffi::PyException_SetTraceback(kept, ffi::Py_None());
            }
            if !(*fields).context.is_null() {
                ffi::PyException_SetContext(kept, std::ptr::null_mut());
            }
            Owned::from_new_unchecked(kept)
        } else {
            ffi::Py_XDECREF(kept);
            // Without arguments: `args` would keep the value alive beyond the await.
            match Builtin::StopIteration.object().call(&[]) {
                Ok(fresh) => fresh,
                Err(raised) => return raised,
            }
        };
        // From here to the end nothing runs that could see or change it.
        let fields = stop.as_ptr().cast::<ffi::PyStopIterationObject>();
        let none = std::mem::replace(&mut (*fields).value, value.into_ptr());
        if STOP.load(Relaxed).is_null() {
            STOP.store(stop.new_ref().into_ptr(), Relaxed);
        }
        let raised = super::error::raise_instance(stop);
        // What a new StopIteration holds: None.
        ffi::Py_XDECREF(none);
        raised
    }
}

/// Lets go of the value that the last `await` was given, once the step is over.
#[inline(always)]
pub(crate) fn forget_stop_value() {
    let stop = STOP.load(Relaxed);
    if stop.is_null() {
        return;
    }
    // SAFETY: as in `stop_with`.
    unsafe {
        let fields = stop.cast::<ffi::PyStopIterationObject>();
        if !(*fields).value.is_null() && ffi::Py_REFCNT(stop) == 1 {
            let old = std::mem::replace(&mut (*fields).value, std::ptr::null_mut());
            ffi::Py_DECREF(old);
        }
    }
}
