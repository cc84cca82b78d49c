//! Which of very many tasks may be part of a deadlock: told by the code that they are suspended in,
//! for a fraction of what a look at their frames costs.
//!
//! What a function means is told by `vivace.see._many`: a task in `asyncio.sleep` waits for nobody,
//! one in `Lock.acquire` for whoever has it.

use std::collections::HashSet;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use vivace_sys::clock::ticks;

use super::lost::{for_each_of, list, loop_of};
use crate::ffi::interop::into_pyo3;
use crate::ffi::{Instance, Owned, code};
use crate::future::Future;
use crate::task::Task;

/// More awaits inside each other are not followed.
const DEEPEST: usize = 1000;

/// What the code of a task says.
enum Verdict {
    /// No other task has to do anything for it to go on.
    Alone,
    /// Another task may have to.
    Tied,
    /// Nobody has said yet what this code means.
    Unknown(Owned),
}

/// `see_candidates(loop, seconds, skip, number, meanings)`: passes over `skip` pending tasks of the
/// loop, and looks at the `number` after them. The answer is those that have waited for so long and
/// may wait for another task; how many to pass over the next time, or 0; and codes without a
/// meaning. A meaning is `(code, what)` by the identity of the code: `True` if the wait is nobody
/// else's, `False` if it may be, `None` if what is awaited further in says so.
///
/// Without meanings it is all tasks.
#[pyfunction]
#[allow(clippy::type_complexity)]
pub(super) fn see_candidates(
    py: Python<'_>,
    event_loop: &Bound<'_, PyAny>,
    seconds: f64,
    skip: usize,
    number: usize,
    meanings: Option<&Bound<'_, PyDict>>,
) -> PyResult<(Vec<Py<PyAny>>, usize, Vec<Py<PyAny>>)> {
    let event_loop = loop_of(event_loop)?;
    let (now, scale) = (ticks(), event_loop.see.scale());
    let rests = |task: &Instance<Task>| {
        let since = scale.duration(now.saturating_sub(task.see.ready_since()));
        task.is_parked() && since as f64 / 1e9 >= seconds
    };
    let (mut found, mut passed, mut next) = (Vec::new(), 0, 0);
    for_each_of(event_loop, |task| {
        passed += 1;
        if passed > skip + number {
            next = skip + number;
            return false;
        }
        if passed > skip && (meanings.is_none() || rests(task)) {
            found.push(task.object().new_ref());
        }
        true
    });
    let Some(meanings) = meanings else { return Ok((list(py, found), next, Vec::new())) };
    let (mut tied, mut known, mut unknown) = (Vec::new(), HashSet::new(), Vec::new());
    for object in found {
        let Some(task) = object.downcast::<Task>() else { continue };
        match verdict(task, meanings)? {
            Verdict::Alone => continue,
            Verdict::Tied => {}
            Verdict::Unknown(code) => {
                if known.insert(code.address()) {
                    unknown.push(into_pyo3(py, code));
                }
            }
        }
        tied.push(object);
    }
    Ok((list(py, tied), next, unknown))
}

fn verdict(task: &Instance<Task>, meanings: &Bound<'_, PyDict>) -> PyResult<Verdict> {
    let Some(waited) = task.waited() else { return Ok(Verdict::Tied) };
    let mut next = task.coroutine();
    for _ in 0..DEEPEST {
        let Some(frame) = next else { break };
        let Some(code) = code::code(&frame) else {
            // The end of the chain, unless it is an object that hides more of it.
            let is_end = frame.address() == waited.address()
                || code::class_name(&frame).ends_with("FutureIter");
            if is_end {
                break;
            }
            return Ok(Verdict::Tied);
        };
        let Some(meaning) = meanings.get_item(code.address())? else {
            return Ok(Verdict::Unknown(code));
        };
        match meaning.get_item(1)?.extract::<Option<bool>>()? {
            Some(true) => return Ok(Verdict::Alone),
            Some(false) => return Ok(Verdict::Tied),
            None => next = code::awaited(&frame),
        }
    }
    // A future that somebody is to set; whom a shield stands for is behind another callback.
    let bare = waited.exact::<Future>().is_some_and(|future| future.core.callbacks().is_one());
    Ok(if bare { Verdict::Alone } else { Verdict::Tied })
}
