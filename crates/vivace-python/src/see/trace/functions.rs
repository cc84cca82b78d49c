//! Begin, end and conversion of traces, for Python.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyLookupError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use vivace_see::answer::socket;
use vivace_see::ring::places::{self, Life, TRACE as LIVE};
use vivace_see::trace::convert::{Format, convert};
use vivace_see::trace::file::Head;
use vivace_see::trace::last::convert_last;
use vivace_see::trace::recorder::Recorder;
use vivace_see::view::find;
use vivace_sys::clock::{monotonic_nanoseconds, unix_seconds_exact};

use super::{EPOCH, ON, RECORDER};
use crate::see::{ring, settings};

/// How much longer than the trace its answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that a trace of a process that runs may record.
const LIVE_LIMIT: u64 = 1 << 30;

/// `see_trace_begin(path, command, limit)`: records into a new file, of `limit` bytes at most.
#[pyfunction]
fn see_trace_begin(path: PathBuf, command: String, limit: u64) -> PyResult<()> {
    if !settings().is_on() {
        return Err(PyRuntimeError::new_err(
            "nothing can be traced while the diagnostics are off (VIVACE_DIAG=0)",
        ));
    }
    if begin(&path, command, limit)? {
        Ok(())
    } else {
        Err(PyRuntimeError::new_err("a trace runs already"))
    }
}

/// Begins to record; `false` if a trace runs already.
fn begin(path: &Path, command: String, limit: u64) -> std::io::Result<bool> {
    let mut current = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if current.is_some() {
        return Ok(false);
    }
    let head = Head {
        pid: std::process::id(),
        begin: monotonic_nanoseconds(),
        unix: unix_seconds_exact(),
        blocked: settings().blocked.as_nanos() as u64,
        command,
    };
    *current = Some(Arc::new(Recorder::create(path, &head, limit)?));
    EPOCH.fetch_add(1, Relaxed);
    ON.store(true, Relaxed);
    Ok(true)
}

/// Records what the loops of this process do for so long, beside its file. Not for the thread of a
/// loop. `wait` takes that time, and says whether whoever asked is still there.
pub(crate) fn live(duration: Duration, wait: &dyn Fn(Duration) -> bool) -> Result<(), String> {
    let path = ring::path().ok_or("no loop has run yet")?.with_extension(LIVE);
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let others = RECORDER.lock().unwrap_or_else(PoisonError::into_inner).is_some();
    if !others {
        // Of somebody who ended between the answer and taking it.
        let _none = std::fs::remove_file(&path);
    }
    if others || !begin(&path, "vivace trace --for".to_owned(), LIVE_LIMIT).map_err(told)? {
        return Err("it is being traced already".to_owned());
    }
    let heard = wait(duration);
    let ended = end().map_err(told);
    if !heard || ended.is_err() {
        forget_live();
    }
    ended.map(drop)
}

/// Removes what was recorded for somebody who has gone.
pub(crate) fn forget_live() {
    if let Some(path) = ring::path() {
        let _none = std::fs::remove_file(path.with_extension(LIVE));
    }
}

/// `see_trace_end()`: writes what is left; whether a trace ran.
#[pyfunction]
fn see_trace_end() -> PyResult<bool> {
    Ok(end()?)
}

fn end() -> std::io::Result<bool> {
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
    forget();
}

/// See `see_trace_forget`.
pub(crate) fn forget() {
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
        // In whichever folder that process has it; if there is none, the usual one is named.
        Ok(pid) => find::by_pid(pid, &ring::folder())
            .map_or_else(|_| ring::folder().join(places::file_name(pid)), |found| found.path),
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

/// `see_trace_live(process, seconds, output)`: a timeline of what another process does from now on;
/// a summary as JSON.
#[pyfunction]
fn see_trace_live(py: Python<'_>, process: u32, seconds: f64, output: PathBuf) -> PyResult<String> {
    let format = format_of(&output)?;
    let traced = py.detach(|| {
        let found = find::by_pid(process, &ring::folder())?;
        if found.life != Life::Running {
            return Err(format!("process {process} does not run"));
        }
        let request = serde_json::json!({"do": "trace", "seconds": seconds});
        let patience = Duration::try_from_secs_f64(seconds).unwrap_or_default() + PATIENCE;
        let answer = socket::ask(&found.socket(), &request, patience);
        match answer.map_err(|error| format!("process {process} does not answer: {error}")) {
            Ok(answer) => match answer["error"].as_str() {
                None => Ok(found.socket().with_extension(LIVE)),
                Some(error) => Err(error.to_owned()),
            },
            Err(error) => Err(error),
        }
    });
    let recording = traced.map_err(PyLookupError::new_err)?;
    py.detach(|| {
        // It goes at once, whatever becomes of us, and is read by its descriptor.
        let file = File::open(&recording)?;
        std::fs::remove_file(&recording)?;
        let opened = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let summary = convert(&opened, &output, format)?;
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
    module.add_function(wrap_pyfunction!(see_trace_live, module)?)?;
    Ok(())
}
