//! Between the raw layer and PyO3, which makes the module.

use pyo3::prelude::*;

use super::object::{Object, Owned};

/// Hands a reference over to PyO3.
pub(crate) fn into_pyo3(py: Python<'_>, object: Owned) -> Py<PyAny> {
    // SAFETY: the reference is given away; attached, as `py` shows.
    unsafe { Bound::from_owned_ptr(py, object.into_ptr()) }.unbind()
}

/// Borrows an object of PyO3's.
pub(crate) fn from_pyo3<'a>(object: &'a Bound<'_, PyAny>) -> &'a Object {
    // SAFETY: alive as long as the borrow; attached, as `Bound` shows.
    unsafe { Object::from_ptr(object.as_ptr()) }
}

/// A reference for PyO3.
pub(crate) fn to_pyo3<'py>(py: Python<'py>, object: &Object) -> Bound<'py, PyAny> {
    // SAFETY: a live object; attached, as `py` shows.
    unsafe { Bound::from_borrowed_ptr(py, object.as_ptr()) }
}
