//! Between the raw layer and PyO3, which makes the module.

use pyo3::prelude::*;

use super::object::Owned;

/// Hands a reference over to PyO3.
pub(crate) fn into_pyo3(py: Python<'_>, object: Owned) -> Py<PyAny> {
    // SAFETY: the reference is given away; attached, as `py` shows.
    unsafe { Bound::from_owned_ptr(py, object.into_ptr()) }.unbind()
}
