//! Driving the coroutine of a task, and what it may yield.
//!
//! The rules and the texts of errors are those of CPython's `task_step_impl`. A step answers
//! `Err` only for what must leave the loop: `KeyboardInterrupt` and `SystemExit`.

use vivace_see::live::word;

use super::cancel::cancel_waited;
use super::{Task, current, leave_with, runtime_error, schedule_error, schedule_step};
use crate::event_loop::Loop;
use crate::ffi::coroutine::{self, Sent};
use crate::ffi::{
    Builtin, Instance, Object, Owned, Raised, Result, context, error, imports, names, outside_view,
    text,
};
use crate::future::FutureLike;
use crate::future::await_iter::core_of;
use crate::future::callbacks::Callback;
use crate::future::core::Core;
use crate::see::trace;

/// A task whose turn has come: its first step, a `yield`, or what it waits for has ended.
#[inline(always)]
pub(crate) fn run_ready(event_loop: &Instance<Loop>, task: &Instance<Task>) -> Result<()> {
    current::show(event_loop, task)?;
    let waited = task.waits_for.take();
    let outcome = task.environment.run(&event_loop.contexts, || {
        let exception = match waited {
            None => None,
            Some(waited) => {
                if core_of(&waited).is_some() {
                    outside_view::hide_waiting(task.object(), &waited)?;
                }
                failure_of(&waited)?
            }
        };
        step(task, exception)
    });
    coroutine::forget_stop_value();
    outcome.map(drop)
}

/// The exception that a finished future of ours has for the task that waited for it.
#[inline(always)]
fn failure_of(waited: &Object) -> Result<Option<Owned>> {
    match core_of(waited) {
        Some(core) if core.succeeded() => Ok(None),
        Some(core) => failure_of_core(core),
        None => Ok(None),
    }
}

#[cold]
fn failure_of_core(core: &Core) -> Result<Option<Owned>> {
    if core.is_pending() {
        return Ok(None);
    }
    Ok(core.outcome()?.err())
}

/// The end of a foreign future, reported through its public `add_done_callback`.
pub(super) fn wake_up(task: &Instance<Task>, future: &Object) -> Result<()> {
    if let Some(discard) = &imports().discard_from_awaited_by {
        discard.call(&[future, task.object()])?;
    }
    let exception = if core_of(future).is_some() {
        failure_of(future)?
    } else {
        match future.call_method(&names().result, &[]) {
            Ok(_result) => None,
            Err(raised) => Some(raised.fetch()),
        }
    };
    step_as_callback(task, exception)
}

/// A step inside a callback that already runs in the task's context.
pub(super) fn step_as_callback(task: &Instance<Task>, exception: Option<Owned>) -> Result<()> {
    let event_loop = task.core().event_loop()?;
    if let Some(native) = event_loop.downcast::<Loop>() {
        if native.is_running() {
            current::show(native, task)?;
            let interrupted = native.see.enter_step(&task.see, task.object().address());
            let outcome = step(task, exception);
            coroutine::forget_stop_value();
            let took = native.see.leave_step(&task.see, &interrupted);
            if trace::is_on() {
                trace::stepped_as_callback(native, task, interrupted.begin + took, took);
            }
            return outcome;
        }
    }
    let before = current::swap(&event_loop, Some(task.object()))?;
    let outcome = step(task, exception).map_err(Raised::fetch);
    let restored = current::swap(&event_loop, before.as_deref()).map(drop);
    settle(outcome, restored)
}

/// Goes on with an exception that was kept aside, or with what came of tidying up.
fn settle(outcome: std::result::Result<(), Owned>, restored: Result<()>) -> Result<()> {
    match outcome {
        Ok(()) => restored,
        Err(exception) => {
            if let Err(raised) = restored {
                raised.clear();
            }
            Err(error::raise_instance(exception))
        }
    }
}

/// Takes the first step at once (`eager_start=True`).
pub(super) fn start_eagerly(task: &Instance<Task>) -> Result<()> {
    let event_loop = task.core().event_loop()?;
    let native = event_loop.downcast::<Loop>();
    let shown = native.and_then(|native| native.shown.take());
    let before = current::swap(&event_loop, Some(task.object()))?;
    super::enter(task)?;
    let interrupted =
        native.map(|native| native.see.enter_step(&task.see, task.object().address()));
    let outcome = match native {
        Some(native) => task.environment.run(&native.contexts, || step(task, None)).map(drop),
        None => task
            .context_or_none()
            .and_then(|context| context::run_in(&context, || step(task, None))),
    }
    .map_err(Raised::fetch);
    let restored = current::put_back(&event_loop, before.as_deref());
    if let (Some(native), Some(interrupted)) = (native, &interrupted) {
        let took = native.see.leave_step(&task.see, interrupted);
        if trace::is_on() {
            trace::stepped_inside(native, task, interrupted.begin + took, took);
        }
        drop(native.shown.replace(shown));
    }
    if !task.core().is_pending() {
        task.coroutine.clear();
        outside_view::hide_coroutine(task.object());
    }
    settle(outcome, restored)
}

/// One step: sends `None` or throws `exception`, then sees what came of it.
#[inline(always)]
fn step(task: &Instance<Task>, exception: Option<Owned>) -> Result<()> {
    if !task.core().is_pending() {
        return Err(already_done(task, exception.as_deref()));
    }
    let exception = if task.must_cancel.get() {
        task.must_cancel.set(false);
        Some(cancellation(task, exception)?)
    } else {
        exception
    };
    drop(task.waits_for.take());
    let Some(coroutine) = task.coroutine.get() else {
        return Err(crate::ffi::raise(Builtin::Runtime, "uninitialized Task object"));
    };
    let sent = match exception {
        None => coroutine::send(&coroutine, text::none_ref()),
        Some(exception) => {
            task.provenance.note_thrown(&exception);
            throw(&coroutine, &exception)
        }
    };
    match sent {
        Ok(Sent::Yielded(yielded)) => yielded_something(task, yielded),
        Ok(Sent::Returned(result)) => returned(task, result),
        Err(raised) => failed(task, raised.fetch()),
    }
}

fn throw(coroutine: &Object, exception: &Object) -> Result<Sent> {
    match coroutine.call_method(&names().throw, &[exception]) {
        Ok(yielded) => Ok(Sent::Yielded(yielded)),
        Err(raised) => coroutine::stop_value(raised).map(Sent::Returned),
    }
}

/// A cancellation asked for meanwhile takes the place of what would be thrown.
fn cancellation(task: &Instance<Task>, exception: Option<Owned>) -> Result<Owned> {
    match exception {
        Some(exception) if error::is_exception_of(&exception, &imports().cancelled_error) => {
            Ok(exception)
        }
        _ => task.core().make_cancelled_error(),
    }
}

#[cold]
fn already_done(task: &Instance<Task>, exception: Option<&Object>) -> Raised {
    let text = format!(
        "__step(): already done: {} {}",
        text::repr_lossy(task.object()),
        exception.map_or_else(String::new, text::repr_lossy)
    );
    error::raise_class(&imports().invalid_state_error, &text)
}

#[inline(always)]
fn returned(task: &Instance<Task>, result: Owned) -> Result<()> {
    task.leave()?;
    task.note_end(word::ENDED_OK);
    if task.must_cancel.get() {
        // Asked to cancel during its last step.
        task.must_cancel.set(false);
        return task.core().cancel_late(task.object());
    }
    task.core().set_result(task.object(), result)
}

#[cold]
fn failed(task: &Instance<Task>, exception: Owned) -> Result<()> {
    task.leave()?;
    if error::is_exception_of(&exception, &imports().cancelled_error) {
        task.note_end(word::ENDED_CANCELLED);
        return task.core().cancel_by(task.object(), exception);
    }
    task.note_end(word::ENDED_ERROR);
    let awaited = task.core().callbacks().wakes_a_task();
    task.core().set_exception(task.object(), &exception)?;
    if !awaited {
        crate::see::lost::failed(task);
    }
    if error::leaves_the_loop(&exception) && !is_contained(task, &exception) {
        return Err(leave_with(exception));
    }
    Ok(())
}

/// Whether the exception is a `SystemExit` in a task that keeps these to itself.
fn is_contained(task: &Task, exception: &Object) -> bool {
    task.contains_exit.get() && !error::interrupts(exception)
}

#[inline(always)]
fn yielded_something(task: &Instance<Task>, yielded: Owned) -> Result<()> {
    if yielded.is_none() {
        return schedule_step(task);
    }
    if let Some(core) = native_core(&yielded) {
        if core.blocking() && same_direct_loop(task, core) && !yielded.is(task.object()) {
            core.set_blocking(false);
            if core.is_pending() {
                core.callbacks().push(Callback::Wake(task.counted()));
                outside_view::show_waiting(task.object(), &yielded)?;
            } else {
                schedule_step(task)?;
            }
            task.waits_for.set(yielded);
            return cancel_if_asked(task);
        }
    }
    yielded_foreign(task, yielded)
}

/// The state of a future or task of ours, not of a subclass with methods of its own.
#[inline(always)]
fn native_core(object: &Object) -> Option<&Core> {
    if let Some(future) = object.exact::<crate::future::Future>() {
        return Some(future.core());
    }
    object.exact::<Task>().map(|task| FutureLike::core(&**task))
}

#[inline(always)]
fn same_direct_loop(task: &Instance<Task>, core: &Core) -> bool {
    task.core().direct_loop().is_some_and(|event_loop| core.is_of(&event_loop))
}

/// A task that was asked to cancel while it took this step passes it on at once.
#[inline(always)]
fn cancel_if_asked(task: &Instance<Task>) -> Result<()> {
    if !task.must_cancel.get() {
        return Ok(());
    }
    let Some(waits_for) = task.waits_for.get() else { return Ok(()) };
    let message = task.core().cancel_message_opt();
    if cancel_waited(&waits_for, message.as_deref())? {
        task.must_cancel.set(false);
    }
    Ok(())
}

/// Anything that is not a future of ours on our loop: futures of others, and mistakes.
#[cold]
fn yielded_foreign(task: &Instance<Task>, yielded: Owned) -> Result<()> {
    match await_foreign(task, &yielded) {
        Ok(None) => Ok(()),
        Ok(Some(mistake)) => schedule_error(task, runtime_error(&mistake)?),
        Err(raised) => {
            let exception = raised.fetch_for_report()?;
            schedule_error(task, exception)
        }
    }
}

fn await_foreign(task: &Instance<Task>, yielded: &Object) -> Result<Option<String>> {
    let this = task.object();
    if yielded.is(this) {
        return Ok(Some(format!("Task cannot await on itself: {}", text::repr(this)?)));
    }
    let blocking = yielded.getattr_opt(&names().asyncio_future_blocking)?;
    let Some(blocking) = blocking.filter(|blocking| !blocking.is_none()) else {
        return mistaken_yield(this, yielded).map(Some);
    };
    if !loop_of(yielded)?.is(&*task.core().event_loop()?) {
        return Ok(Some(format!(
            "Task {} got Future {} attached to a different loop",
            text::repr(this)?,
            text::repr(yielded)?
        )));
    }
    if !blocking.is_true()? {
        return Ok(Some(format!(
            "yield was used instead of yield from in task {} with {}",
            text::repr(this)?,
            text::repr(yielded)?
        )));
    }
    yielded.setattr(&names().asyncio_future_blocking, &text::boolean(false))?;
    if let Some(add) = &imports().add_to_awaited_by {
        add.call(&[yielded, this])?;
    }
    let wakeup = task.wakeup_function()?;
    let context = task.context_or_none()?;
    yielded.getattr(&names().add_done_callback)?.call_keywords(
        &[&wakeup, &context],
        1,
        &imports().context_keyword,
    )?;
    task.waits_for.set(yielded.new_ref());
    cancel_if_asked(task)?;
    Ok(None)
}

fn loop_of(future: &Object) -> Result<Owned> {
    match future.getattr_opt(&names().get_loop)? {
        Some(get_loop) => get_loop.call(&[]),
        None => future.getattr(&names().loop_attr),
    }
}

fn mistaken_yield(task: &Object, yielded: &Object) -> Result<String> {
    let (task, text) = (text::repr(task)?, text::repr(yielded)?);
    Ok(if coroutine::is_generator(yielded) {
        format!("yield was used instead of yield from for generator in task {task} with {text}")
    } else {
        format!("Task got bad yield: {text}")
    })
}
