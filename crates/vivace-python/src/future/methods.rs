//! The methods and attributes that futures and tasks share.

use std::sync::OnceLock;

use super::FutureLike;
use super::await_iter::AwaitIter;
use super::core::State;
use crate::ffi::{
    Args, Builtin, ClassBuilder, Instance, Object, Owned, Result, allocate, imports, names, raise,
    text,
};

/// Whether this CPython wraps a `StopIteration` in a `RuntimeError` (gh-112182: 3.12.2, 3.13)
/// or refuses it with a `TypeError`.
pub(crate) fn wraps_stop_iteration() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        text::import("sys")
            .and_then(|sys| sys.getattr(&*text::interned("hexversion")?))
            .and_then(|version| text::to_i64(&version))
            .map_or_else(
                |raised| {
                    raised.clear();
                    true
                },
                |version| version >= 0x030C_0200,
            )
    })
}

fn result<T: FutureLike>(this: &Instance<T>) -> Result<Owned> {
    this.core().result()
}

fn exception<T: FutureLike>(this: &Instance<T>) -> Result<Owned> {
    this.core().exception()
}

fn add_done_callback<T: FutureLike>(this: &Instance<T>, args: &Args<'_>) -> Result<Owned> {
    let [function, context] = args.parse("add_done_callback", ["<fn>", "context"], 1, 1)?;
    let Some(function) = function else { return Ok(text::none()) };
    let context = context.filter(|context| !context.is_none());
    this.core().add_done_callback(this.object(), function, context)?;
    Ok(text::none())
}

fn remove_done_callback<T: FutureLike>(this: &Instance<T>, function: &Object) -> Result<Owned> {
    this.core().check_initialised()?;
    text::integer(this.core().callbacks().remove(function)? as i64)
}

fn cancelled<T: FutureLike>(this: &Instance<T>) -> Result<Owned> {
    Ok(text::boolean(this.core().state() == State::Cancelled))
}

fn done<T: FutureLike>(this: &Instance<T>) -> Result<Owned> {
    Ok(text::boolean(this.core().is_initialised() && !this.core().is_pending()))
}

fn get_loop<T: FutureLike>(this: &Instance<T>) -> Result<Owned> {
    this.core().event_loop()
}

fn make_cancelled_error<T: FutureLike>(this: &Instance<T>) -> Result<Owned> {
    this.core().make_cancelled_error()
}

fn await_iter<T: FutureLike>(this: &Instance<T>) -> Result<Owned> {
    this.core().check_initialised()?;
    Ok(allocate(AwaitIter::of(this.object()))?.into_owned())
}

fn state<T: FutureLike>(this: &Instance<T>) -> Result<Owned> {
    this.core().check_initialised()?;
    text::interned(match this.core().state() {
        State::Pending => "PENDING",
        State::Cancelled => "CANCELLED",
        State::Finished => "FINISHED",
    })
}

fn set_blocking<T: FutureLike>(this: &Instance<T>, value: Option<&Object>) -> Result<()> {
    this.core().check_initialised()?;
    let Some(value) = value else {
        return Err(raise(Builtin::Attribute, "cannot delete attribute"));
    };
    this.core().set_blocking(value.is_true()?);
    Ok(())
}

fn blocking<T: FutureLike>(this: &Instance<T>) -> Result<Owned> {
    let core = this.core();
    Ok(text::boolean(core.is_initialised() && core.blocking()))
}

fn set_log_traceback<T: FutureLike>(this: &Instance<T>, value: Option<&Object>) -> Result<()> {
    let Some(value) = value else {
        return Err(raise(Builtin::Attribute, "cannot delete attribute"));
    };
    if value.is_true()? {
        return Err(raise(Builtin::Value, "_log_traceback can only be set to False"));
    }
    this.core().silence();
    Ok(())
}

/// Who waits for it, for asyncio's call graph (CPython 3.14): the tasks among those who are
/// told, and whatever `gather`, `shield` and the like have entered in the base's own set.
fn awaited_by<T: FutureLike>(this: &Instance<T>) -> Result<Owned> {
    let mut waiters = this.core().callbacks().tasks();
    if let Some(descriptor) = &imports().future_awaited_by {
        let entered = descriptor.call_method(&names().get_descriptor, &[this.object()])?;
        if !entered.is_none() {
            waiters.extend(text::iterate(&entered)?);
        }
    }
    if waiters.is_empty() { Ok(text::none()) } else { text::frozenset(waiters) }
}

fn set_cancel_message<T: FutureLike>(this: &Instance<T>, value: Option<&Object>) -> Result<()> {
    let Some(value) = value else {
        return Err(raise(Builtin::Attribute, "cannot delete attribute"));
    };
    this.core().set_cancel_message(Some(value));
    Ok(())
}

fn set_result(this: &Instance<super::Future>, result: &Object) -> Result<Owned> {
    this.core().set_result(this.object(), result.new_ref())?;
    Ok(text::none())
}

fn set_exception(this: &Instance<super::Future>, exception: &Object) -> Result<Owned> {
    this.core().set_exception(this.object(), exception)?;
    Ok(text::none())
}

fn cancel(this: &Instance<super::Future>, args: &Args<'_>) -> Result<Owned> {
    let [message] = args.parse("cancel", ["msg"], 0, 1)?;
    this.core().check_initialised()?;
    Ok(text::boolean(this.core().cancel(this.object(), message)?))
}

/// What every future and every task has.
pub(crate) fn with_shared_methods<T: FutureLike>(builder: ClassBuilder<T>) -> ClassBuilder<T> {
    builder
        .iter_and_await(await_iter::<T>)
        .noargs(
            c"result",
            c"The result; raises the exception that was set, CancelledError, or \
              InvalidStateError while there is none.",
            result::<T>,
        )
        .noargs(c"exception", c"The exception that was set, or None.", exception::<T>)
        .keywords(
            c"add_done_callback",
            c"add_done_callback($self, fn, /, *, context=None)\n--\n\n\
              Has fn(self) called soon after the end.",
            add_done_callback::<T>,
        )
        .onearg(
            c"remove_done_callback",
            c"Takes out every callback equal to the argument; returns how many.",
            remove_done_callback::<T>,
        )
        .noargs(c"cancelled", c"Whether it was cancelled.", cancelled::<T>)
        .noargs(c"done", c"Whether it has ended.", done::<T>)
        .noargs(c"get_loop", c"The loop it belongs to.", get_loop::<T>)
        .noargs(
            c"_make_cancelled_error",
            c"The CancelledError to raise for it.",
            make_cancelled_error::<T>,
        )
        .getter(c"_state", state::<T>)
        .property(c"_asyncio_future_blocking", blocking::<T>, set_blocking::<T>)
        .getter(c"_loop", |this: &Instance<T>| Ok(this.core().event_loop_or_none()))
        .getter(c"_callbacks", |this: &Instance<T>| this.core().callbacks().to_python())
        .getter(c"_result", |this: &Instance<T>| Ok(this.core().result_slot()))
        .getter(c"_exception", |this: &Instance<T>| Ok(this.core().exception_slot()))
        .property(
            c"_log_traceback",
            |this: &Instance<T>| Ok(text::boolean(this.core().log_traceback())),
            set_log_traceback::<T>,
        )
        .getter(c"_source_traceback", |this: &Instance<T>| Ok(this.core().source_traceback()))
        .getter(c"_asyncio_awaited_by", awaited_by::<T>)
        .property(
            c"_cancel_message",
            |this: &Instance<T>| Ok(this.core().cancel_message()),
            set_cancel_message::<T>,
        )
}

/// The methods of a plain future.
pub(crate) fn with_future_methods(
    builder: ClassBuilder<super::Future>,
) -> ClassBuilder<super::Future> {
    with_shared_methods(builder)
        .onearg(c"set_result", c"Ends it with a result.", set_result)
        .onearg(c"set_exception", c"Ends it with an exception.", set_exception)
        .keywords(
            c"cancel",
            c"cancel($self, /, msg=None)\n--\n\nCancels it; False if it has ended.",
            cancel,
        )
}
