//! Which task is the current one, in asyncio's own books.
//!
//! `asyncio.current_task()` reads a dictionary by loop up to CPython 3.13 and a field of the
//! thread from 3.14 on. Writing there costs more than queueing a step, so it is done only when
//! another task begins to run, and undone before anything else than a task runs.

use super::Task;
use crate::event_loop::Loop;
use crate::ffi::{Instance, Object, Owned, Result, imports, names, text};

/// Makes `task` (or nobody) the current one of `event_loop`; the answer is who was.
pub(super) fn swap(event_loop: &Object, task: Option<&Object>) -> Result<Option<Owned>> {
    if let Some(tasks) = &imports().current_tasks {
        let before = text::dict_get(tasks, event_loop)?;
        set(event_loop, tasks, task)?;
        return Ok(before);
    }
    let Some(swap) = &imports().swap_current_task else { return Ok(None) };
    let before = swap.call(&[event_loop, task.unwrap_or(text::none_ref())])?;
    Ok((!before.is_none()).then_some(before))
}

/// Undoes a `swap`.
pub(super) fn put_back(event_loop: &Object, before: Option<&Object>) -> Result<()> {
    match &imports().current_tasks {
        Some(tasks) => set(event_loop, tasks, before),
        None => swap(event_loop, before).map(drop),
    }
}

fn set(event_loop: &Object, tasks: &Object, task: Option<&Object>) -> Result<()> {
    match task {
        Some(task) => text::dict_set(tasks, event_loop, task),
        None => {
            text::dict_discard(tasks, event_loop);
            Ok(())
        }
    }
}

/// Tells asyncio that `task` runs now, unless it knows.
#[inline(always)]
pub(crate) fn show(event_loop: &Instance<Loop>, task: &Instance<Task>) -> Result<()> {
    if event_loop.shown.is(task.object()) {
        return Ok(());
    }
    match &imports().current_tasks {
        Some(tasks) => text::dict_set(tasks, event_loop.object(), task.object())?,
        None => drop(swap(event_loop.object(), Some(task.object()))?),
    }
    event_loop.shown.set(task.object().new_ref());
    Ok(())
}

/// Tells asyncio that no task runs, unless it knows.
#[inline(always)]
pub(crate) fn hide(event_loop: &Instance<Loop>) -> Result<()> {
    match event_loop.shown.take() {
        None => Ok(()),
        Some(shown) => hide_shown(event_loop, &shown),
    }
}

fn hide_shown(event_loop: &Instance<Loop>, _shown: &Object) -> Result<()> {
    match &imports().current_tasks {
        Some(tasks) => {
            text::dict_discard(tasks, event_loop.object());
            Ok(())
        }
        None => swap(event_loop.object(), None).map(drop),
    }
}

/// Whether the task's loop is the one that runs in this thread.
pub(super) fn loop_is_running(task: &Instance<Task>) -> Result<bool> {
    let event_loop = task.core().event_loop()?;
    if let Some(native) = event_loop.downcast::<Loop>() {
        return Ok(native.is_running());
    }
    event_loop.call_method(&names().is_running, &[])?.is_true()
}
