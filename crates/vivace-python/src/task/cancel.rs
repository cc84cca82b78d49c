//! `cancel`, `uncancel`, `cancelling`.

use super::Task;
use crate::ffi::{Args, Instance, Object, Owned, Result, imports, names, text};
use crate::future::Future;
use crate::future::await_iter::core_of;
use crate::see::trace;

/// `cancel(msg=None)`: asks whatever it waits for to cancel, or throws at its next step.
pub(super) fn cancel(this: &Instance<Task>, args: &Args<'_>) -> Result<Owned> {
    let [message] = args.parse("cancel", ["msg"], 0, 1)?;
    Ok(text::boolean(cancel_task(this, message)?))
}

pub(super) fn cancel_task(this: &Instance<Task>, message: Option<&Object>) -> Result<bool> {
    this.core.silence();
    if !this.core.is_pending() {
        return Ok(false);
    }
    this.cancel_requests.set(this.cancel_requests.get() + 1);
    if trace::is_on() {
        this.in_trace(trace::cancelled);
    }
    this.note_cancellation();
    if let Some(waits_for) = this.waits_for.get() {
        if cancel_waited(&waits_for, message)? {
            return Ok(true);
        }
    }
    this.must_cancel.set(true);
    this.core.set_cancel_message(message);
    Ok(true)
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
