//! Built-in functions bound to an object, for callbacks that Python code can hold.

use std::ffi::{CStr, c_int};

use pyo3::ffi;

use super::edge::edge_object;
use super::error::Result;
use super::object::{Object, Owned};
use super::text;

/// The definition of a function with one argument or none, bound to an object.
pub(crate) struct Function(ffi::PyMethodDef);

// SAFETY: plain data that is never written; the pointers are to statics.
unsafe impl Sync for Function {}

/// What a function does: the object it is bound to, and its argument, or `None`.
pub(crate) trait Body {
    fn call(bound: &Object, argument: &Object) -> Result<Owned>;
}

unsafe extern "C" fn entry<B: Body>(
    bound: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: a function made by `bind` has an object bound to it.
    edge_object(|| unsafe { B::call(Object::from_ptr(bound), Object::from_ptr(argument)) })
}

unsafe extern "C" fn entry_without<B: Body>(
    bound: *mut ffi::PyObject,
    _nothing: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: a function made by `bind` has an object bound to it.
    edge_object(|| unsafe { B::call(Object::from_ptr(bound), text::none_ref()) })
}

impl Function {
    pub(crate) const fn new<B: Body>(name: &'static CStr) -> Self {
        Self::define(name, ffi::METH_O, entry::<B>)
    }

    pub(crate) const fn without_argument<B: Body>(name: &'static CStr) -> Self {
        Self::define(name, ffi::METH_NOARGS, entry_without::<B>)
    }

    const fn define(name: &'static CStr, flags: c_int, entry: ffi::PyCFunction) -> Self {
        Self(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunction: entry },
            ml_flags: flags,
            ml_doc: std::ptr::null(),
        })
    }

    /// The function as a Python object that keeps `bound` alive.
    pub(crate) fn bind(&'static self, bound: &Object) -> Result<Owned> {
        // SAFETY: the definition is static; CPython only reads it.
        unsafe {
            Owned::from_new(ffi::PyCFunction_NewEx(
                (&raw const self.0).cast_mut(),
                bound.as_ptr(),
                std::ptr::null_mut(),
            ))
        }
    }
}

/// The object that a built-in method is bound to.
#[inline(always)]
pub(crate) fn self_of_builtin(callable: &Object) -> Option<&Object> {
    // SAFETY: the type is checked before the field is read; it is borrowed from the callable.
    unsafe {
        if callable.class_ptr() != &raw mut ffi::PyCFunction_Type {
            return None;
        }
        let bound = (*callable.as_ptr().cast::<ffi::PyCFunctionObject>()).m_self;
        if bound.is_null() { None } else { Some(Object::from_ptr(bound)) }
    }
}
