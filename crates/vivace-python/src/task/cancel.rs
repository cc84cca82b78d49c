//! `cancel`, `uncancel`, `cancelling`.

use super::Task;
use crate::ffi::error::{Builtin, raise};
use crate::ffi::{Args, Instance, Object, Owned, Result, imports, names, text};
use crate::future::Future;
use crate::future::await_iter::core_of;
use crate::see::trace;

/// `cancel(msg=None)`: asks whatever it waits for to cancel, or throws at its next step.
pub(super) fn cancel(this: &Instance<Task>, args: &Args<'_>) -> Result<Owned> {
    let [message] = args.parse("cancel", ["msg"], 0, 1)?;
    Ok(text::boolean(cancel_task(this, message)?))
}

/// Tasks that await each other are asked one after the other, not one inside another: a chain may be
/// long, and tasks may await each other in a circle.
pub(super) fn cancel_task(this: &Instance<Task>, message: Option<&Object>) -> Result<bool> {
    /// About where asyncio, which calls itself, gives up.
    const LONGEST: usize = 10_000;
    let mut awaited: Option<Owned> = None;
    for _ in 0..LONGEST {
        // Whatever is asked may run Python code: it stays alive.
        let current = awaited.clone();
        let task = current.as_ref().and_then(|task| task.exact::<Task>()).unwrap_or(this);
        task.core.silence();
        if !task.core.is_pending() {
            return Ok(false);
        }
        task.cancel_requests.set(task.cancel_requests.get() + 1);
        if trace::is_on() {
            task.in_trace(trace::cancelled);
        }
        task.note_cancellation();
        if let Some(waits_for) = task.waits_for.get() {
            // One that is done says no, and then this one has to know.
            if waits_for.exact::<Task>().is_some_and(|next| next.core.is_pending()) {
                awaited = Some(waits_for);
                continue;
            }
            if cancel_waited(&waits_for, message)? {
                return Ok(true);
            }
        }
        task.must_cancel.set(true);
        task.core.set_cancel_message(message);
        return Ok(true);
    }
    Err(raise(Builtin::Recursion, "maximum recursion depth exceeded while calling a Python object"))
}

/// `waited.cancel(msg=message)`.
pub(super) fn cancel_waited(waited: &Object, message: Option<&Object>) -> Result<bool> {
    if let (Some(_), Some(core)) = (waited.exact::<Future>(), core_of(waited)) {
        return core.cancel(waited, message);
    }
    if let Some(task) = waited.exact::<Task>() {
        return cancel_task(task, message);
    }
    let message = message.unwrap_or(text::none_ref());
    waited
        .getattr(&names().cancel)?
        .call_keywords(&[message], 0, &imports().message_keyword)?
        .is_true()
}

pub(super) fn cancelling(this: &Instance<Task>) -> Result<Owned> {
    text::integer(i64::from(this.cancel_requests.get()))
}

/// One request less; since CPython 3.13 the last one takes back a cancellation not yet begun.
pub(super) fn uncancel(this: &Instance<Task>) -> Result<Owned> {
    let requests = this.cancel_requests.get();
    if requests > 0 {
        this.cancel_requests.set(requests - 1);
        if requests == 1 {
            this.provenance.forget_cancellation();
        }
        if requests == 1 && cfg!(Py_3_13) {
            this.must_cancel.set(false);
        }
    }
    text::integer(i64::from(this.cancel_requests.get()))
}
