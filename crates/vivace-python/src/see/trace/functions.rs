//! Begin, end and conversion of traces, for Python.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use vivace_see::ring::places;
use vivace_see::trace::convert::{Format, convert};
use vivace_see::trace::file::Head;
use vivace_see::trace::last::convert_last;
use vivace_see::trace::recorder::Recorder;
use vivace_sys::clock::{monotonic_nanoseconds, unix_seconds_exact};

use super::{EPOCH, ON, RECORDER};
use crate::see::{ring, settings};

/// `see_trace_begin(path, command, limit)`: records into a new file, of `limit` bytes at most.
#[pyfunction]
fn see_trace_begin(path: PathBuf, command: String, limit: u64) -> PyResult<()> {
    if !settings().is_on() {
        return Err(PyRuntimeError::new_err(
            "nothing can be traced while the diagnostics are off (VIVACE_DIAG=0)",
        ));
    }
    let mut current = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if current.is_some() {
        return Err(PyRuntimeError::new_err("a trace runs already"));
    }
    let head = Head {
        pid: std::process::id(),
        begin: monotonic_nanoseconds(),
        unix: unix_seconds_exact(),
        blocked: settings().blocked.as_nanos() as u64,
        command,
    };
    *current = Some(Arc::new(Recorder::create(&path, &head, limit)?));
    EPOCH.fetch_add(1, Relaxed);
    ON.store(true, Relaxed);
    Ok(())
}

/// `see_trace_end()`: writes what is left; whether a trace ran.
#[pyfunction]
fn see_trace_end() -> PyResult<bool> {
    ON.store(false, Relaxed);
    let recorder = RECORDER.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(recorder) = recorder else { return Ok(false) };
    recorder.finish(monotonic_nanoseconds())?;
    // Loops let go of theirs.
    EPOCH.fetch_add(1, Relaxed);
    Ok(true)
}

/// `see_trace_forget()`: the trace goes on without this process, which is a child of the one that
/// is traced.
#[pyfunction]
fn see_trace_forget() {
    ON.store(false, Relaxed);
    EPOCH.fetch_add(1, Relaxed);
    if let Ok(mut recorder) = RECORDER.try_lock() {
        // Not dropped: what its buffer holds is the parent's to write.
        std::mem::forget(recorder.take());
    }
}

/// `see_trace_convert(input, output)`: the format is that of the suffix; a summary as JSON.
#[pyfunction]
fn see_trace_convert(py: Python<'_>, input: PathBuf, output: PathBuf) -> PyResult<String> {
    let format = format_of(&output)?;
    py.detach(|| {
        let summary = convert(&input, &output, format)?;
        serde_json::to_string(&summary).map_err(|error| PyValueError::new_err(error.to_string()))
    })
}

/// `see_trace_last(process, seconds, output)`: a timeline of what took long in another process, of
/// this number or with this file; a summary as JSON.
#[pyfunction]
fn see_trace_last(
    py: Python<'_>,
    process: String,
    seconds: f64,
    output: PathBuf,
) -> PyResult<String> {
    let format = format_of(&output)?;
    let file = match process.parse() {
        Ok(pid) => ring::folder().join(places::file_name(pid)),
        Err(_) => PathBuf::from(process),
    };
    let last = (seconds * 1e9) as u64;
    let blocked = settings().blocked.as_nanos() as u64;
    py.detach(|| {
        let now = monotonic_nanoseconds();
        let summary = convert_last(&file, last, now, blocked, (&output, format))?;
        serde_json::to_string(&summary).map_err(|error| PyValueError::new_err(error.to_string()))
    })
}

fn format_of(output: &Path) -> PyResult<Format> {
    Format::of(output).ok_or_else(|| {
        let name = output.display();
        PyValueError::new_err(format!("{name}: traces are .html, .pftrace or .json"))
    })
}

/// Adds them to the module.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(see_trace_begin, module)?)?;
    module.add_function(wrap_pyfunction!(see_trace_end, module)?)?;
    module.add_function(wrap_pyfunction!(see_trace_forget, module)?)?;
    module.add_function(wrap_pyfunction!(see_trace_convert, module)?)?;
    module.add_function(wrap_pyfunction!(see_trace_last, module)?)?;
    Ok(())
}
