//! What gets lost: coroutines nobody awaits, failures nobody looks at, tasks that can never go on,
//! cancellations that are ignored. Here is what must be native; `vivace.see` judges and reports.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyWeakrefReference};
use vivace_sys::clock::monotonic_nanoseconds;

use crate::event_loop::Loop;
use crate::ffi::function::{Body, Function};
use crate::ffi::interop::{from_pyo3, into_pyo3, to_pyo3};
use crate::ffi::island::Islands;
use crate::ffi::{Instance, Object, Owned, Result, error, frames, names, registry, text};
use crate::raised;
use crate::task::{Task, provenance};

/// Where Python's part listens.
struct Listeners {
    /// Weak references to tasks that have failed while no task waited for them.
    failures: Py<PyList>,
    /// Called with a task that is going while nobody has looked at its failure.
    destroyed: Py<PyAny>,
    /// Called with a task that somebody cancels, if the dear detectors run.
    cancelled: Py<PyAny>,
}

static LISTENERS: PyOnceLock<Listeners> = PyOnceLock::new();

/// More failures than these are not remembered between two looks.
const MAXIMUM_FAILURES: usize = 10_000;

/// `see_listen(failures, destroyed, cancelled)`.
#[pyfunction]
fn see_listen(py: Python<'_>, failures: Py<PyList>, destroyed: Py<PyAny>, cancelled: Py<PyAny>) {
    let _already = LISTENERS.set(py, Listeners { failures, destroyed, cancelled });
}

/// Below this nobody looks which of them are gone.
const FEW_FAILURES: usize = 32;
/// From how many on it is looked again.
static PRUNED_AT: AtomicUsize = AtomicUsize::new(FEW_FAILURES);

/// Lets go of the weak references whose tasks are gone.
fn prune(failures: &Bound<'_, PyList>) {
    for index in (0..failures.len()).rev() {
        let gone = failures.get_item(index).is_ok_and(|weak| {
            weak.cast::<PyWeakrefReference>().is_ok_and(|weak| weak.upgrade().is_none())
        });
        if gone {
            if let Err(error) = failures.del_item(index) {
                error.write_unraisable(failures.py(), None);
            }
        }
    }
    PRUNED_AT.store(2 * failures.len() + FEW_FAILURES, Relaxed);
}

/// A task has failed, and no task waits for it. Runs no Python code: tracers would see it.
#[cold]
pub(crate) fn failed(task: &Instance<Task>) {
    if !super::is_on() {
        return;
    }
    Python::attach(|py| {
        let Some(listeners) = LISTENERS.get(py) else { return };
        let failures = listeners.failures.bind(py);
        if failures.len() >= FEW_FAILURES && failures.len() >= PRUNED_AT.load(Relaxed) {
            prune(failures);
        }
        if failures.len() < MAXIMUM_FAILURES {
            let noted = PyWeakrefReference::new(&to_pyo3(py, task.object()))
                .and_then(|weak| failures.append(weak));
            if let Err(error) = noted {
                error.write_unraisable(py, None);
            }
        }
    });
}

/// A task is going, and nobody has looked at its failure.
#[cold]
pub(crate) fn destroyed(task: &Instance<Task>) {
    if !super::is_on() {
        return;
    }
    tell(task, |listeners| &listeners.destroyed);
}

/// A task was asked to cancel, and the dear detectors run.
#[cold]
pub(crate) fn cancelled(task: &Instance<Task>) {
    tell(task, |listeners| &listeners.cancelled);
}

fn tell(task: &Instance<Task>, listener: impl Fn(&Listeners) -> &Py<PyAny>) {
    Python::attach(|py| {
        let Some(listeners) = LISTENERS.get(py) else { return };
        let told = listener(listeners).bind(py).call1((to_pyo3(py, task.object()),));
        if let Err(error) = told {
            error.write_unraisable(py, None);
        }
    });
}

/// Whether coroutines are made to remember where they are made, on the diagnostics' behalf.
static ARMED: AtomicBool = AtomicBool::new(false);
/// Whether they ever were.
static WAS_ARMED: AtomicBool = AtomicBool::new(false);

/// `see_armed(armed)`.
#[pyfunction]
fn see_armed(armed: bool) {
    ARMED.store(armed, Relaxed);
    if armed {
        WAS_ARMED.store(true, Relaxed);
    }
}

/// Stands in for `warnings._warn_unawaited_coroutine`. It is no Python function, since the warning
/// is attributed to the frame below.
struct Unawaited;

static UNAWAITED: Function = Function::new::<Unawaited>(c"_warn_unawaited_coroutine");

impl Body for Unawaited {
    /// Bound to `(original, report)`.
    fn call(bound: &Object, coroutine: &Object) -> Result<Owned> {
        // A coroutine whose last reference goes has the one that keeps it for its finalizer;
        // with the collector there are those of the garbage that it belongs to, too.
        let by_collector = coroutine.references() > 1;
        // Told first: what is on its way is told by its age, and the warning makes many objects.
        let report = text::tuple_get(bound, 1);
        let reported = report
            .call(&[coroutine, &text::boolean(by_collector)])
            .map_err(crate::ffi::Raised::fetch);
        let warned = warn(text::tuple_get(bound, 0), coroutine);
        match (warned, reported) {
            (Ok(_), Err(exception)) => Err(error::raise_instance(exception)),
            (warned, _) => warned,
        }
    }
}

/// The standard warning. It must not show that coroutines remember their origin if the program
/// has not asked for it.
fn warn(original: &Object, coroutine: &Object) -> Result<Owned> {
    if !WAS_ARMED.load(Relaxed) {
        return original.call(&[coroutine]);
    }
    let origin = coroutine.getattr(&names().cr_origin)?;
    if origin.is_none() || text::tuple_len(&origin) != 1 {
        return original.call(&[coroutine]);
    }
    let name = coroutine.getattr(&*text::interned("__qualname__")?)?;
    let message = format!("coroutine '{}' was never awaited", text::to_string_lossy(&name));
    let category = crate::ffi::Builtin::RuntimeWarning.object();
    text::import("warnings")?.getattr(&*text::interned("warn")?)?.call(&[
        &*text::string(&message)?,
        category,
        &*text::integer(1)?,
        coroutine,
    ])
}

/// `see_unawaited(original, report)`: what to put in the place of the original.
#[pyfunction]
fn see_unawaited(
    py: Python<'_>,
    original: &Bound<'_, PyAny>,
    report: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let bound = text::tuple(&[from_pyo3(original), from_pyo3(report)]).map_err(raised(py))?;
    let function = UNAWAITED.bind(&bound).map_err(raised(py))?;
    Ok(into_pyo3(py, function))
}

/// `see_pass_over(globals)`: frames of this module are not where tasks are made.
#[pyfunction]
fn see_pass_over(globals: &Bound<'_, PyAny>) {
    frames::pass_over(from_pyo3(globals));
}

fn task_of<'a>(task: &'a Bound<'_, PyAny>) -> PyResult<&'a Instance<Task>> {
    from_pyo3(task).downcast::<Task>().ok_or_else(|| PyTypeError::new_err("not a task of vivace's"))
}

pub(super) fn loop_of<'a>(event_loop: &'a Bound<'_, PyAny>) -> PyResult<&'a Instance<Loop>> {
    from_pyo3(event_loop)
        .downcast::<Loop>()
        .ok_or_else(|| PyTypeError::new_err("not a loop of vivace's"))
}

type Pair = (Py<PyAny>, u32);

/// `see_created(task)`: a list of `(code, instruction)`, the innermost frame first.
#[pyfunction]
fn see_created(py: Python<'_>, task: &Bound<'_, PyAny>) -> PyResult<Vec<Pair>> {
    let sites = task_of(task)?.provenance.sites();
    Ok(sites.into_iter().map(|(code, at)| (into_pyo3(py, code), at)).collect())
}

type Cancelled = (Option<String>, Option<Py<PyAny>>, Option<Pair>, f64, Option<f64>);

/// `see_cancelled(task)`: of a request to cancel that was not taken back `(name, code, site,
/// asked, thrown)`: the canceller's name and the code of its coroutine, if a task asked; where; and
/// the seconds since, and since CancelledError was thrown.
#[pyfunction]
fn see_cancelled(py: Python<'_>, task: &Bound<'_, PyAny>) -> PyResult<Option<Cancelled>> {
    let Some(canceller) = task_of(task)?.provenance.canceller() else { return Ok(None) };
    let now = monotonic_nanoseconds();
    let since = |then: u64| now.saturating_sub(then) as f64 / 1e9;
    Ok(Some((
        canceller.name,
        canceller.coroutine.map(|code| into_pyo3(py, code)),
        canceller.site.map(|(code, at)| (into_pyo3(py, code), at)),
        since(canceller.asked),
        (canceller.thrown != 0).then(|| since(canceller.thrown)),
    )))
}

/// `see_line(code, instruction)`: the line, or 0.
#[pyfunction]
fn see_line(code: &Bound<'_, PyAny>, instruction: u32) -> i32 {
    frames::line_of(from_pyo3(code), instruction)
}

/// `see_tell(task, what)`: marks something as told of a task; whether it was before.
#[pyfunction]
fn see_tell(task: &Bound<'_, PyAny>, what: u8) -> PyResult<bool> {
    Ok(task_of(task)?.provenance.tell(what))
}

/// Shows the pending tasks of a loop, until `each` says no.
pub(super) fn for_each_of(
    event_loop: &Instance<Loop>,
    mut each: impl FnMut(&Instance<Task>) -> bool,
) {
    registry::for_each(|object| match object.downcast::<Task>() {
        Some(task) if task.core().is_of(event_loop) => each(task),
        _ => true,
    });
}

/// The tasks as Python is given them.
pub(super) fn list(py: Python<'_>, tasks: Vec<Owned>) -> Vec<Py<PyAny>> {
    tasks.into_iter().map(|task| into_pyo3(py, task)).collect()
}

/// `see_pending(loop)`: the pending tasks of a loop.
#[pyfunction]
fn see_pending(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<Vec<Py<PyAny>>> {
    let event_loop = loop_of(event_loop)?;
    let mut found = Vec::new();
    for_each_of(event_loop, |task| {
        found.push(task.object().new_ref());
        true
    });
    Ok(list(py, found))
}

/// `see_tasks(limit)`: some pending tasks of all loops, the newest first, and how many there are.
#[pyfunction]
fn see_tasks(py: Python<'_>, limit: usize) -> (Vec<Py<PyAny>>, usize) {
    let mut found = Vec::new();
    registry::for_each(|object| {
        if found.len() < limit && object.downcast::<Task>().is_some() {
            found.push(object.new_ref());
        }
        found.len() < limit
    });
    (list(py, found), registry::count())
}

/// `see_census(loop)`: for each place where pending tasks of the loop were made `(one of them,
/// how many)`.
#[pyfunction]
fn see_census(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<Vec<(Py<PyAny>, usize)>> {
    let event_loop = loop_of(event_loop)?;
    let mut numbers: HashMap<(usize, u32), usize> = HashMap::new();
    let mut found: Vec<(Owned, usize)> = Vec::new();
    // Of many tasks most were made where the one before was.
    let mut last = None;
    for_each_of(event_loop, |task| {
        let place = task.provenance.place();
        let number = match last {
            Some((known, number)) if known == place => number,
            _ => *numbers.entry(place).or_insert_with(|| {
                found.push((task.object().new_ref(), 0));
                found.len() - 1
            }),
        };
        last = Some((place, number));
        found[number].1 += 1;
        true
    });
    Ok(found.into_iter().map(|(task, count)| (into_pyo3(py, task), count)).collect())
}

/// `see_ignoring(loop, seconds)`: tasks of the loop that wait, although CancelledError was thrown
/// into them so long ago.
#[pyfunction]
fn see_ignoring(
    py: Python<'_>,
    event_loop: &Bound<'_, PyAny>,
    seconds: f64,
) -> PyResult<Vec<Py<PyAny>>> {
    /// How many had been thrown when no pending task was left that one was thrown into.
    static SETTLED: AtomicU64 = AtomicU64::new(0);
    let event_loop = loop_of(event_loop)?;
    let cancellations = provenance::cancellations();
    if SETTLED.load(Relaxed) == cancellations {
        return Ok(Vec::new());
    }
    let now = monotonic_nanoseconds();
    let (mut found, mut any) = (Vec::new(), false);
    registry::for_each(|object| {
        let Some(task) = object.downcast::<Task>() else { return true };
        let thrown = task.provenance.thrown();
        any |= thrown != 0;
        if thrown != 0
            && task.core().is_of(event_loop)
            && task.is_parked()
            && task.open_cancellations() > 0
            && now.saturating_sub(thrown) as f64 / 1e9 >= seconds
        {
            found.push(object.new_ref());
        }
        true
    });
    if !any {
        SETTLED.store(cancellations, Relaxed);
    }
    Ok(list(py, found))
}

/// `see_orphans(loop, skip, nanoseconds)`: passes over `skip` pending tasks of the loop and looks
/// at those that come next: at one at least, and at no more once `nanoseconds` have passed. The
/// answer is `(islands, next)`: lists of objects that nobody reaches but a task that waits, which
/// comes first; and where to go on, or -1 at the end.
#[pyfunction]
fn see_orphans(
    py: Python<'_>,
    event_loop: &Bound<'_, PyAny>,
    skip: usize,
    nanoseconds: u64,
) -> PyResult<(Vec<Vec<Py<PyAny>>>, isize)> {
    let event_loop = loop_of(event_loop)?;
    let end = monotonic_nanoseconds().saturating_add(nanoseconds);
    let (mut islands, mut number, mut next) = (Islands::default(), 0, -1);
    for_each_of(event_loop, |task| {
        number += 1;
        if number <= skip || !may_be_orphan(task) {
            return true;
        }
        islands.look::<Loop, Task>(task.object());
        if monotonic_nanoseconds() > end {
            next = isize::try_from(number).unwrap_or(-1);
            return false;
        }
        true
    });
    let lists = islands.into_lists().into_iter();
    let lists = lists.map(|list| list.into_iter().map(|object| into_pyo3(py, object)).collect());
    Ok((lists.collect(), next))
}

/// Waits, and is held by nobody but its loop, and what it waits for.
fn may_be_orphan(task: &Instance<Task>) -> bool {
    // From 3.14 on what it waits for has a second one, for asyncio's call graph.
    let from_these = if cfg!(Py_3_14) { 3 } else { 2 };
    registry::is_held(task) && task.is_parked() && task.object().references() <= from_these
}

/// Adds the functions to the module.
pub(super) fn add_functions(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(see_listen, module)?)?;
    module.add_function(wrap_pyfunction!(see_armed, module)?)?;
    module.add_function(wrap_pyfunction!(see_unawaited, module)?)?;
    module.add_function(wrap_pyfunction!(see_pass_over, module)?)?;
    module.add_function(wrap_pyfunction!(see_created, module)?)?;
    module.add_function(wrap_pyfunction!(see_cancelled, module)?)?;
    module.add_function(wrap_pyfunction!(see_line, module)?)?;
    module.add_function(wrap_pyfunction!(see_tell, module)?)?;
    module.add_function(wrap_pyfunction!(see_pending, module)?)?;
    module.add_function(wrap_pyfunction!(see_tasks, module)?)?;
    module.add_function(wrap_pyfunction!(see_census, module)?)?;
    module.add_function(wrap_pyfunction!(see_ignoring, module)?)?;
    module.add_function(wrap_pyfunction!(see_orphans, module)?)?;
    Ok(())
}
