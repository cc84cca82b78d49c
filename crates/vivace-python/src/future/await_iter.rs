//! What `await future` drives: it yields the future once, then returns its result.

use super::Future;
use super::core::{Core, State};
use crate::ffi::coroutine::{Sent, stop_with};
use crate::ffi::{
    Args, Builtin, Class, ClassBuilder, ClassCell, Instance, Object, Owned, Result, Slot, Visitor,
    error, raise, text,
};
use crate::task::Task;

/// The iterator of one `await`.
pub(crate) struct AwaitIter {
    future: Slot,
}

impl AwaitIter {
    #[inline(always)]
    pub(crate) fn of(future: &Object) -> Self {
        Self { future: Slot::new(future.new_ref()) }
    }
}

impl Class for AwaitIter {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(256);
        &CELL
    }
    fn empty() -> Self {
        Self { future: Slot::empty() }
    }
    fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.future);
    }
    fn clear(&self) {
        self.future.clear();
    }
}

/// The state of a future or of a task, whichever the object is.
#[inline(always)]
pub(crate) fn core_of(object: &Object) -> Option<&Core> {
    if let Some(future) = object.exact::<Future>() {
        return Some(&future.core);
    }
    if let Some(task) = object.exact::<Task>() {
        return Some(task.core());
    }
    core_of_subclass(object)
}

#[cold]
fn core_of_subclass(object: &Object) -> Option<&Core> {
    object
        .downcast::<Future>()
        .map(|future| &future.core)
        .or_else(|| object.downcast::<Task>().map(|task| task.core()))
}

#[inline(always)]
fn advance(this: &Instance<AwaitIter>) -> Result<Sent> {
    let Some(future) = this.future.get() else {
        // Ended already: StopIteration(None).
        return Ok(Sent::Returned(text::none()));
    };
    let Some(core) = core_of(&future) else { return Ok(Sent::Returned(text::none())) };
    if core.state() == State::Pending {
        if core.blocking() {
            return Err(raise(Builtin::Runtime, "await wasn't used with future"));
        }
        core.set_blocking(true);
        return Ok(Sent::Yielded(future));
    }
    drop(this.future.take());
    core.result().map(Sent::Returned)
}

fn next(this: &Instance<AwaitIter>) -> Result<Owned> {
    match advance(this)? {
        Sent::Yielded(future) => Ok(future),
        Sent::Returned(result) => Err(stop_with(result)),
    }
}

fn send(this: &Instance<AwaitIter>, _value: &Object) -> Result<Owned> {
    match advance(this)? {
        Sent::Yielded(future) => Ok(future),
        // Called by hand, not by an `await`: an exception of its own, with `args`.
        Sent::Returned(result) if result.is_none() => {
            Err(error::raise_instance(Builtin::StopIteration.object().call(&[])?))
        }
        Sent::Returned(result) => {
            Err(error::raise_instance(Builtin::StopIteration.object().call(&[&result])?))
        }
    }
}

/// The exception that a `throw()` of a coroutine's is called with, in its old form or its new.
pub(crate) fn exception_to_throw(args: &Args<'_>) -> Result<Owned> {
    let [kind, value, traceback] = args.parse("throw", ["type", "value", "traceback"], 1, 3)?;
    let Some(kind) = kind else {
        return Err(raise(Builtin::Type, "throw() missing required argument 'type' (pos 1)"));
    };
    if cfg!(Py_3_12) && args.positional().len() > 1 {
        error::warn_deprecated(
            "the (type, exc, tb) signature of throw() is deprecated, \
             use the single-arg signature instead.",
        )?;
    }
    let value = value.filter(|value| !value.is_none());
    let traceback = traceback.filter(|traceback| !traceback.is_none());
    if traceback.is_some_and(|traceback| !error::is_traceback(traceback)) {
        return Err(raise(Builtin::Type, "throw() third argument must be a traceback"));
    }
    let exception = if error::is_exception_class(kind) {
        match value {
            Some(value) if error::is_exception_of(value, kind) => value.new_ref(),
            Some(value) if text::is_tuple(value) => kind.call_tuple(value)?,
            Some(value) => kind.call(&[value])?,
            None => kind.call(&[])?,
        }
    } else if error::is_exception_instance(kind) {
        if value.is_some() {
            return Err(raise(Builtin::Type, "instance exception may not have a separate value"));
        }
        kind.new_ref()
    } else {
        let name = kind.class().getattr(&*text::interned("__name__")?)?;
        let name = text::to_string_lossy(&name);
        return Err(raise(
            Builtin::Type,
            &format!(
                "exceptions must be classes deriving BaseException or \
                 instances of such a class, not {name}"
            ),
        ));
    };
    if let Some(traceback) = traceback {
        error::set_traceback(&exception, Some(traceback));
    }
    Ok(exception)
}

fn throw(this: &Instance<AwaitIter>, args: &Args<'_>) -> Result<Owned> {
    let exception = exception_to_throw(args)?;
    drop(this.future.take());
    Err(error::raise_instance(exception))
}

fn close(this: &Instance<AwaitIter>) -> Result<Owned> {
    drop(this.future.take());
    Ok(text::none())
}

/// Makes the class.
pub(crate) fn make_class() -> Result<Owned> {
    ClassBuilder::<AwaitIter>::new(c"vivace.FutureIter", c"What 'await future' drives.")
        .iter(|this: &Instance<AwaitIter>| Ok(this.object().new_ref()))
        .next(next)
        .send(advance)
        .onearg(c"send", c"Drives it one step; the value is not used.", send)
        .keywords(c"throw", c"Ends it with an exception.", throw)
        .noargs(c"close", c"Ends it.", close)
        .build(None)
}
