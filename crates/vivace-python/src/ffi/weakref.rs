//! Weak references.

use pyo3::ffi;

use super::error::Result;
use super::object::{Object, Owned};

/// `weakref.ref(object)`.
pub(crate) fn make(object: &Object) -> Result<Owned> {
    // SAFETY: a live object; a type without weak references is answered with TypeError.
    unsafe { Owned::from_new(ffi::PyWeakref_NewRef(object.as_ptr(), std::ptr::null_mut())) }
}

/// What a weak reference refers to, if it still lives.
pub(crate) fn target(weak: &Object) -> Option<Owned> {
    // SAFETY: a weak reference (made above); the borrowed answer is taken over at once, before
    // any other code can run.
    #[cfg(not(Py_3_13))]
    unsafe {
        let object = Object::from_ptr(ffi::PyWeakref_GetObject(weak.as_ptr()));
        (!object.is_none()).then(|| object.new_ref())
    }
    // SAFETY: a weak reference (made above); the answer is a new reference or null.
    #[cfg(Py_3_13)]
    unsafe {
        let mut object = std::ptr::null_mut();
        match ffi::PyWeakref_GetRef(weak.as_ptr(), &mut object) {
            1 => Some(Owned::from_new_unchecked(object)),
            _ => None,
        }
    }
}
