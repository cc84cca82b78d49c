//! The extension module `vivace._native`: the list of what Python sees.
//!
//! | folder | what |
//! |---|---|
//! | `ffi` | the raw C-API: all the unsafe code of this crate |
//! | `event_loop` | the engine of `vivace.EventLoop` |
//! | `handles` | `Handle`, `TimerHandle` |
//! | `future`, `task` | `vivace.Future`, `vivace.Task` |
//! | `transports` | connections and listening sockets |
//! | `tls` | TLS over any transport |
//! | `serve` | HTTP connections and the ASGI applications behind them |
//! | `see` | the diagnostics |
#![deny(unsafe_code)]

mod event_loop;
mod ffi;
mod future;
mod handles;
mod see;
mod serve;
mod task;
mod tls;
mod transports;

use pyo3::prelude::*;

use crate::ffi::{Owned, Raised};

/// Hands an error of the raw layer to PyO3.
fn raised(py: Python<'_>) -> impl FnOnce(Raised) -> PyErr + '_ {
    move |_raised| PyErr::fetch(py)
}

#[pyfunction]
fn _all_tasks(py: Python<'_>) -> PyResult<Py<PyAny>> {
    // From 3.14 on asyncio has them in a list of its own.
    let all = if cfg!(Py_3_14) { Vec::new() } else { ffi::registry::all() };
    let tasks = ffi::text::list(all).map_err(raised(py))?;
    Ok(ffi::interop::into_pyo3(py, tasks))
}

// The engine relies on the GIL: on a free-threaded build, importing it turns the GIL on.
#[pymodule(name = "_native", gil_used = true)]
fn native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let add = |name: &str, class: Owned| module.add(name, ffi::interop::into_pyo3(py, class));
    ffi::state::initialise().map_err(raised(py))?;
    add("Loop", event_loop::make_class().map_err(raised(py))?)?;
    let (handle, timer_handle) = handles::make_classes().map_err(raised(py))?;
    add("Handle", handle)?;
    add("TimerHandle", timer_handle)?;
    if let Some(class) = handles::make_threadsafe_class().map_err(raised(py))? {
        add("ThreadSafeHandle", class)?;
    }
    add("FutureIter", future::await_iter::make_class().map_err(raised(py))?)?;
    add("Future", future::make_class().map_err(raised(py))?)?;
    add("Task", task::make_class().map_err(raised(py))?)?;
    let (stream, listener) = transports::make_classes().map_err(raised(py))?;
    add("StreamTransport", stream)?;
    add("Listener", listener)?;
    let (tls_protocol, tls_transport) = tls::make_classes().map_err(raised(py))?;
    add("SSLProtocol", tls_protocol)?;
    add("SSLTransport", tls_transport)?;
    let serving = serve::make_classes().map_err(raised(py))?;
    add("HttpService", serving.service)?;
    add("H1Protocol", serving.connection)?;
    add("Exchange", serving.exchange)?;
    add("WebSocket", serving.websocket)?;
    add("Operation", serving.operation)?;
    add("Metrics", serving.metrics)?;
    ffi::window::make_class().map_err(raised(py))?;
    module.add_function(wrap_pyfunction!(_all_tasks, module)?)?;
    see::add_functions(module)?;
    Ok(())
}
