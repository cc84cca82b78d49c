//! The extension module `vivace._native`: the list of what Python sees.
use pyo3::prelude::*;

#[pymodule(name = "_native")]
fn native(_m: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
