//! Looking at processes from outside, for `vivace top`, `ps` and `doctor`: their functions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pyo3::exceptions::{PyLookupError, PyOSError};
use pyo3::prelude::*;
use vivace_screen::app::{App, Options};
use vivace_screen::order::Sort;
use vivace_screen::{once, session};
use vivace_see::answer::socket;
use vivace_see::ring::places::Life;
use vivace_see::view::find::{self, Found};
use vivace_see::view::{View, doctor, tree, words};
use vivace_sys::clock::monotonic_nanoseconds;

use super::ring;

/// A process by its number, or a file by its path.
fn find(target: &str) -> Result<Found, String> {
    match target.parse::<u32>() {
        Ok(pid) => find::by_pid(pid, &ring::folder()),
        Err(_) => find::by_path(Path::new(target)),
    }
}

/// What it looks like; `between` is the time over which rates are taken, if it runs.
fn look(found: &Found, between: Duration) -> Result<View, String> {
    let read = |before| {
        let now = monotonic_nanoseconds();
        found.touch(now);
        View::read(&found.reader, now, before).map_err(|problem| problem.to_string())
    };
    if found.life == Life::Running {
        // Its tasks as they are now, if its loop gets to it.
        let request = serde_json::json!({"do": "refresh"});
        let _stale = socket::ask(&found.socket(), &request, Duration::from_secs(1));
    }
    let (view, sample) = read(None)?;
    if view.life != Life::Running || between.is_zero() {
        return Ok(view);
    }
    std::thread::sleep(between);
    Ok(read(Some(&sample))?.0)
}

/// `see_look(target, what, sort, filter, seconds)`: the text, and whether something is wrong;
/// `what` is `top`, `ps`, `doctor`, or one of these with `-json` behind.
#[pyfunction]
fn see_look(
    py: Python<'_>,
    target: &str,
    what: &str,
    sort: &str,
    filter: &str,
    seconds: f64,
) -> PyResult<(String, bool)> {
    let between = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let looked = py.detach(|| {
        let view = look(&find(target)?, between)?;
        let checks = doctor::checks(&view);
        let text = match what {
            "ps" => tree::text(&view),
            "doctor" => doctor::text(&view, &checks),
            "doctor-json" => serde_json::json!({"checks": checks, "process": view}).to_string(),
            "top" => once::text(&view, Sort::of(sort).unwrap_or_default(), filter),
            _ => view.json(),
        };
        Ok((text, doctor::is_wrong(&checks)))
    });
    looked.map_err(PyLookupError::new_err::<String>)
}

/// `see_top(target, sort, filter, colour, seconds)`: the screens, until a key ends them.
#[pyfunction]
fn see_top(
    py: Python<'_>,
    target: Option<&str>,
    sort: &str,
    filter: &str,
    colour: bool,
    seconds: f64,
) -> PyResult<()> {
    let options = Options {
        folder: ring::folder(),
        sort: Sort::of(sort).unwrap_or_default(),
        filter: filter.to_owned(),
        colour,
        interval: seconds,
    };
    let found = target.map(find).transpose().map_err(PyLookupError::new_err)?;
    py.detach(|| session::run(App::new(options, found), monotonic_nanoseconds, find::by_pid))
        .map_err(|error| PyOSError::new_err(error.to_string()))
}

/// `see_sorts()`: what tasks can be sorted by.
#[pyfunction]
fn see_sorts() -> Vec<&'static str> {
    Sort::ALL.into_iter().map(Sort::name).collect()
}

/// `see_processes()`: `(pid, state, python, command)` of the processes of this user that have a
/// file, those that were killed included.
#[pyfunction]
fn see_processes() -> Vec<(u32, &'static str, String, String)> {
    let state = |life| match life {
        Life::Running => "running",
        Life::Stopped => "stopped",
        Life::Dead | Life::Reused => "dead",
    };
    find::all(&ring::folder())
        .into_iter()
        .map(|entry| {
            let about = &entry.about;
            (about.pid, state(entry.life), words::shown(&about.python), words::command(&about.argv))
        })
        .collect()
}

/// `see_path()`: the path of the file of this process, if it has one.
#[pyfunction]
fn see_path() -> Option<PathBuf> {
    ring::path()
}

/// Adds the functions to the module.
pub(super) fn add_functions(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(see_look, module)?)?;
    module.add_function(wrap_pyfunction!(see_top, module)?)?;
    module.add_function(wrap_pyfunction!(see_sorts, module)?)?;
    module.add_function(wrap_pyfunction!(see_processes, module)?)?;
    module.add_function(wrap_pyfunction!(see_path, module)?)?;
    Ok(())
}
