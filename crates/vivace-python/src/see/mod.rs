//! The diagnostics inside the process: what watches the loop and its tasks.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the settings and the reporter of the process, and their functions for Python |
//! | `attend` | the thread that answers others |
//! | `jobs` | what others ask of the loop |
//! | `live` | the pages of numbers of the loops |
//! | `look` | looking at processes from outside |
//! | `probe` | what the loop and its tasks note while they run |
//! | `numbers` | the numbers as Python reads them |
//! | `metrics` | the numbers as Prometheus and OpenTelemetry read them |
//! | `scrape` | the same of other processes |
//! | `request` | the request of a task, as reports name it |
//! | `slow_request` | requests that take long |
//! | `mapping` | dictionaries and attributes, read without the GIL |
//! | `ring` | the file of this process, which others read |
//! | `trace` | what is recorded while a trace runs |
//! | `watchdog` | the thread that notices a blocked loop |
//! | `blocked` | what is reported of it |
//! | `cause` | why a thread does not go on, as the kernel tells |
//! | `thread_names` | what the program calls its threads |
//! | `subject` | what runs, as reports name it |
//! | `walk`, `memory` | stacks and objects, read without the GIL |
//! | `collector` | pauses of the garbage collector |
//! | `tick` | what is called once a second |
//! | `heard` | findings kept for the plugin for pytest |
//! | `value_stack` | the frames of suspended coroutines, for `vivace.see` |
//! | `candidates` | which of many tasks may be part of a deadlock |
//! | `lost` | coroutines nobody awaits, failures nobody looks at, tasks that never go on |
//!
//! `vivace-see` has what needs no Python: texts, formats, limits. `python/vivace/see` has what is
//! asked seldom and may take its time.

mod attend;
mod blocked;
mod candidates;
mod cause;
mod collector;
mod heard;
pub(crate) mod jobs;
pub(crate) mod live;
mod look;
pub(crate) mod lost;
mod mapping;
mod memory;
pub(crate) mod metrics;
pub(crate) mod numbers;
pub(crate) mod probe;
pub(crate) mod request;
pub(crate) mod ring;
mod scrape;
pub(crate) mod slow_request;
mod subject;
mod thread_names;
pub(crate) mod tick;
pub(crate) mod trace;
mod value_stack;
pub(crate) mod walk;
mod watchdog;

use std::sync::OnceLock;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use vivace_see::catalog;
use vivace_see::finding::{Finding, Origin};
use vivace_see::report::Reporter;
use vivace_see::settings::{Level, Settings};
use vivace_sys::clock::{monotonic_nanoseconds, unix_seconds_exact};

/// What the environment asked for when the first loop, or the first finding, was made.
pub(crate) fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| Settings::read(|name| std::env::var(name).ok()))
}

/// Whether anything is looked at.
#[inline]
pub(crate) fn is_on() -> bool {
    settings().is_on()
}

/// Whether the dear detectors run.
#[inline]
pub(crate) fn is_dev() -> bool {
    settings().level == Level::Dev
}

/// Where findings of this process go.
pub(crate) fn reporter() -> &'static Reporter {
    static REPORTER: OnceLock<Reporter> = OnceLock::new();
    REPORTER.get_or_init(|| {
        let reporter = Reporter::new(settings());
        metrics::count_findings(&reporter);
        reporter
    })
}

/// Reports a finding of a loop; whether it was reported, and not kept back as a repetition.
/// Takes no GIL.
pub(crate) fn report(finding: &Finding, event_loop: u32) -> bool {
    if !settings().is_on() {
        return false;
    }
    let origin =
        Origin { pid: std::process::id(), event_loop, time: unix_seconds_exact(), suppressed: 0 };
    reporter().report(finding, origin, monotonic_nanoseconds())
}

/// `see_report(finding, loop)`: `finding` is JSON of the fields of `Finding`.
#[pyfunction]
fn see_report(py: Python<'_>, finding: &str, event_loop: u32) -> PyResult<bool> {
    let finding: Finding = serde_json::from_str(finding)
        .map_err(|error| PyValueError::new_err(format!("not a finding: {error}")))?;
    if catalog::entry(&finding.code).is_none() {
        return Err(PyValueError::new_err(format!("no such code: {:?}", finding.code)));
    }
    // Writing may block, and another thread may be writing.
    Ok(py.detach(|| report(&finding, event_loop)))
}

/// `see_settings()`: `(level, blocked, control, deadlock)`; the level is 0 (off), 1 or 2 (`dev`).
#[pyfunction]
fn see_settings() -> (u8, f64, bool, f64) {
    let settings = settings();
    let level = match settings.level {
        Level::Off => 0,
        Level::On => 1,
        Level::Dev => 2,
    };
    let deadlock = settings.deadlock.as_secs_f64();
    (level, settings.blocked.as_secs_f64(), settings.control, deadlock)
}

/// `see_codes()`: a list of `(code, name, explanation)`.
#[pyfunction]
fn see_codes() -> Vec<(&'static str, &'static str, &'static str)> {
    catalog::ENTRIES.iter().map(|entry| (entry.code, entry.name, entry.explanation)).collect()
}

/// `see_before_fork()`: ends the threads, as a process with threads is warned of forking. The next
/// turn of a loop begins them again.
#[pyfunction]
fn see_before_fork(py: Python<'_>) {
    py.detach(|| {
        attend::stop();
        watchdog::pause();
        wait_until_gone();
    });
}

/// A thread that was joined is still counted for a moment by the kernel, and so by Python.
fn wait_until_gone() {
    const LOOKS: u32 = 200;
    const PAUSE: Duration = Duration::from_micros(100);
    let is_ours = |task: std::io::Result<std::fs::DirEntry>| {
        task.and_then(|task| std::fs::read_to_string(task.path().join("comm")))
            .is_ok_and(|name| matches!(name.trim_end(), "vivace-attend" | "vivace-watchdog"))
    };
    for _ in 0..LOOKS {
        if !std::fs::read_dir("/proc/self/task").is_ok_and(|mut tasks| tasks.any(is_ours)) {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Adds the functions of the diagnostics to the module.
pub(crate) fn add_functions(module: &Bound<'_, PyModule>) -> PyResult<()> {
    live::begin_calibration();
    trace::functions::add(module)?;
    module.add_function(wrap_pyfunction!(metrics::see_gauges, module)?)?;
    module.add_function(wrap_pyfunction!(metrics::see_job_waited, module)?)?;
    module.add_function(wrap_pyfunction!(metrics::see_metrics, module)?)?;
    module.add_function(wrap_pyfunction!(metrics::see_metrics_text, module)?)?;
    module.add_function(wrap_pyfunction!(scrape::see_scrape, module)?)?;
    module.add_function(wrap_pyfunction!(tick::see_again, module)?)?;
    module.add_function(wrap_pyfunction!(candidates::see_candidates, module)?)?;
    module.add_function(wrap_pyfunction!(see_report, module)?)?;
    module.add_function(wrap_pyfunction!(see_settings, module)?)?;
    module.add_function(wrap_pyfunction!(see_codes, module)?)?;
    module.add_function(wrap_pyfunction!(see_before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(value_stack::see_suspended, module)?)?;
    module.add_function(wrap_pyfunction!(heard::see_heard, module)?)?;
    ring::add_functions(module)?;
    module.add_function(wrap_pyfunction!(walk::see_line_table, module)?)?;
    module.add_function(wrap_pyfunction!(walk::see_walk, module)?)?;
    lost::add_functions(module)?;
    look::add_functions(module)?;
    jobs::add_functions(module)?;
    attend::add_functions(module)?;
    Ok(())
}
