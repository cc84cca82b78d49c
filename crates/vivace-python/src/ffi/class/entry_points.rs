//! How C reaches the functions of a class.
//!
//! Methods are plain safe functions. Each is passed to the builder as a value of its own
//! zero-sized function type, from which the C entry point is generated: no table, no boxed
//! closure, and a panic becomes a Python exception at that edge.

use std::ffi::{c_int, c_void};

use pyo3::ffi;

use super::{Class, Instance};
use crate::ffi::answer::Answer;
use crate::ffi::call::Args;
use crate::ffi::coroutine::Sent;
use crate::ffi::edge::{edge, edge_object};
use crate::ffi::error::{Raised, Result};
use crate::ffi::object::{Object, Owned};

/// Makes a value of a function type that has no size.
#[inline(always)]
fn conjure<F: Copy>() -> F {
    const { assert!(size_of::<F>() == 0, "methods are plain functions, without captures") };
    // SAFETY: a type without size has one value, and one was shown to the builder.
    unsafe { std::ptr::NonNull::<F>::dangling().read() }
}

pub(super) unsafe extern "C" fn entry_noargs<T: Class, F, A>(
    slf: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    F: Fn(&Instance<T>) -> A + Copy,
    A: Answer,
{
    // SAFETY: the method descriptor checked the type of `self`.
    edge_object(|| conjure::<F>()(unsafe { Instance::from_ptr(slf) }).into_python())
}

pub(super) unsafe extern "C" fn entry_onearg<T: Class, F, A>(
    slf: *mut ffi::PyObject,
    arg: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    F: Fn(&Instance<T>, &Object) -> A + Copy,
    A: Answer,
{
    // SAFETY: the method descriptor checked the type of `self`; the argument is alive.
    edge_object(|| unsafe {
        conjure::<F>()(Instance::from_ptr(slf), Object::from_ptr(arg)).into_python()
    })
}

pub(super) unsafe extern "C" fn entry_keywords<T: Class, F, A>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    F: Fn(&Instance<T>, &Args<'_>) -> A + Copy,
    A: Answer,
{
    // SAFETY: as above; the arguments are as vectorcall promises.
    edge_object(|| unsafe {
        conjure::<F>()(Instance::from_ptr(slf), &Args::from_raw(args, nargs, names)).into_python()
    })
}

pub(super) unsafe extern "C" fn entry_getter<T: Class, F, A>(
    slf: *mut ffi::PyObject,
    _: *mut c_void,
) -> *mut ffi::PyObject
where
    F: Fn(&Instance<T>) -> A + Copy,
    A: Answer,
{
    // SAFETY: the descriptor checked the type of `self`.
    edge_object(|| conjure::<F>()(unsafe { Instance::from_ptr(slf) }).into_python())
}

pub(super) unsafe extern "C" fn entry_setter<T: Class, F>(
    slf: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
    _: *mut c_void,
) -> c_int
where
    F: Fn(&Instance<T>, Option<&Object>) -> Result<()> + Copy,
{
    // SAFETY: as above; a null value means deletion.
    edge(-1, || unsafe {
        let value = if value.is_null() { None } else { Some(Object::from_ptr(value)) };
        conjure::<F>()(Instance::from_ptr(slf), value).map(|()| 0)
    })
}

pub(super) unsafe extern "C" fn entry_unary<T: Class, F>(
    slf: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    F: Fn(&Instance<T>) -> Result<Owned> + Copy,
{
    // SAFETY: a slot of the type, called with its instance.
    edge_object(|| conjure::<F>()(unsafe { Instance::from_ptr(slf) }))
}

pub(super) unsafe extern "C" fn entry_call<T: Class, F>(
    slf: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    F: Fn(&Instance<T>, &Args<'_>) -> Result<Owned> + Copy,
{
    // SAFETY: `tp_call` gets an instance, a tuple, and a dictionary or null.
    edge_object(|| unsafe {
        let keywords = if keywords.is_null() { None } else { Some(Object::from_ptr(keywords)) };
        Args::with_tuple(Object::from_ptr(args), keywords, |args| {
            conjure::<F>()(Instance::from_ptr(slf), args)
        })
    })
}

pub(super) unsafe extern "C" fn entry_init<T: Class, F>(
    slf: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> c_int
where
    F: Fn(&Instance<T>, &Args<'_>) -> Result<()> + Copy,
{
    // SAFETY: `tp_init` gets an instance, a tuple, and a dictionary or null.
    edge(-1, || unsafe {
        let keywords = if keywords.is_null() { None } else { Some(Object::from_ptr(keywords)) };
        Args::with_tuple(Object::from_ptr(args), keywords, |args| {
            conjure::<F>()(Instance::from_ptr(slf), args)
        })?;
        Ok(0)
    })
}

pub(super) unsafe extern "C" fn entry_send<T: Class, F>(
    slf: *mut ffi::PyObject,
    _value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult
where
    F: Fn(&Instance<T>) -> Result<Sent> + Copy,
{
    // SAFETY: `am_send` gets an instance and a place for the result.
    unsafe { *result = std::ptr::null_mut() };
    edge(ffi::PySendResult::PYGEN_ERROR, || {
        // SAFETY: as above.
        unsafe {
            match conjure::<F>()(Instance::from_ptr(slf))? {
                Sent::Yielded(value) => {
                    *result = value.into_ptr();
                    Ok(ffi::PySendResult::PYGEN_NEXT)
                }
                Sent::Returned(value) => {
                    *result = value.into_ptr();
                    Ok(ffi::PySendResult::PYGEN_RETURN)
                }
            }
        }
    })
}

pub(super) unsafe extern "C" fn entry_setattr<T: Class, F>(
    slf: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> c_int
where
    F: Fn(&Instance<T>, &Object) + Copy,
{
    // SAFETY: `tp_setattro` gets an instance, a name, and a value or null.
    edge(-1, || unsafe {
        conjure::<F>()(Instance::from_ptr(slf), Object::from_ptr(name));
        match ffi::PyObject_GenericSetAttr(slf, name, value) {
            0 => Ok(0),
            _ => Err(Raised),
        }
    })
}
