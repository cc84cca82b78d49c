//! Shows Python the frames of suspended coroutines: `see_suspended(coroutine, missing)`.
//!
//! What holds a lock is on the value stack of whoever is inside its `async with`; see
//! `python/vivace/see/_owners.py`.

use pyo3::prelude::*;

use crate::ffi::{interop, suspended, text};
use crate::raised;

/// `(code, line, last instruction, globals, names, variables, stack)` of a coroutine, generator
/// or asynchronous generator that is suspended, else `None`. `missing` stands for variables
/// without a value.
#[pyfunction]
pub(super) fn see_suspended(
    object: &Bound<'_, PyAny>,
    missing: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let py = object.py();
    let frame = match suspended::read(interop::from_pyo3(object)) {
        Some(frame) => frame.to_python(interop::from_pyo3(missing)).map_err(raised(py))?,
        None => text::none(),
    };
    Ok(interop::into_pyo3(py, frame))
}
