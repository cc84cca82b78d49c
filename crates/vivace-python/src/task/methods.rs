//! What a task has beside what it shares with futures: names, stacks, attributes.

use super::{Task, cancel, init};
use crate::ffi::{
    Args, Builtin, ClassBuilder, Instance, Object, Owned, Result, imports, raise, text,
};
use crate::future::methods::with_shared_methods;

fn set_result(_this: &Instance<Task>, _result: &Object) -> Result<Owned> {
    Err(raise(Builtin::Runtime, "Task does not support set_result operation"))
}

fn set_exception(_this: &Instance<Task>, _exception: &Object) -> Result<Owned> {
    Err(raise(Builtin::Runtime, "Task does not support set_exception operation"))
}

fn repr(this: &Instance<Task>) -> Result<Owned> {
    imports().task_repr.call(&[this.object()])
}

fn get_coro(this: &Instance<Task>) -> Result<Owned> {
    Ok(this.coroutine.get_or_none())
}

fn get_context(this: &Instance<Task>) -> Result<Owned> {
    this.context_or_none()
}

fn get_name(this: &Instance<Task>) -> Result<Owned> {
    this.name()
}

fn set_name(this: &Instance<Task>, name: &Object) -> Result<Owned> {
    this.set_name(name)?;
    Ok(text::none())
}

fn get_stack(this: &Instance<Task>, args: &Args<'_>) -> Result<Owned> {
    let [limit] = args.parse("get_stack", ["limit"], 0, 0)?;
    let limit = limit.unwrap_or(text::none_ref());
    imports().task_get_stack.call(&[this.object(), limit])
}

fn print_stack(this: &Instance<Task>, args: &Args<'_>) -> Result<Owned> {
    let [limit, file] = args.parse("print_stack", ["limit", "file"], 0, 0)?;
    let limit = limit.unwrap_or(text::none_ref());
    let file = file.unwrap_or(text::none_ref());
    imports().task_print_stack.call(&[this.object(), limit, file])
}

fn set_log_destroy_pending(this: &Instance<Task>, value: Option<&Object>) -> Result<()> {
    let Some(value) = value else {
        return Err(raise(Builtin::Attribute, "cannot delete attribute"));
    };
    this.log_destroy_pending.set(value.is_true()?);
    Ok(())
}

/// Makes the class.
pub(crate) fn make_class() -> Result<Owned> {
    with_shared_methods(ClassBuilder::<Task>::new(
        c"vivace.Task",
        if cfg!(Py_3_12) {
            c"Task(coro, *, loop=None, name=None, context=None, eager_start=False)\n--\n\n\
              A coroutine that is being run; an asyncio.Task."
        } else {
            c"Task(coro, *, loop=None, name=None, context=None)\n--\n\n\
              A coroutine that is being run; an asyncio.Task."
        },
    ))
    .onearg(c"set_result", c"Refused: a task sets its own.", set_result)
    .onearg(c"set_exception", c"Refused: a task sets its own.", set_exception)
    .keywords(
        c"cancel",
        c"cancel($self, /, msg=None)\n--\n\n\
          Has CancelledError raised inside the coroutine; False if the task has ended.",
        cancel::cancel,
    )
    .noargs(c"cancelling", c"How many requests to cancel are pending.", cancel::cancelling)
    .noargs(
        c"uncancel",
        c"Takes back one request to cancel; returns how many are left.",
        cancel::uncancel,
    )
    .noargs(c"get_coro", c"The coroutine.", get_coro)
    .noargs(c"get_context", c"The contextvars.Context it runs in.", get_context)
    .noargs(c"get_name", c"Its name.", get_name)
    .onearg(c"set_name", c"Gives it a name.", set_name)
    .keywords(
        c"get_stack",
        c"get_stack($self, /, *, limit=None)\n--\n\nThe frames where it waits or failed.",
        get_stack,
    )
    .keywords(
        c"print_stack",
        c"print_stack($self, /, *, limit=None, file=None)\n--\n\nPrints get_stack().",
        print_stack,
    )
    .property(
        c"_log_destroy_pending",
        |this: &Instance<Task>| Ok(text::boolean(this.log_destroy_pending.get())),
        set_log_destroy_pending,
    )
    .getter(c"_must_cancel", |this: &Instance<Task>| Ok(text::boolean(this.must_cancel.get())))
    .getter(c"_coro", get_coro)
    .getter(c"_see_numbers", |this: &Instance<Task>| {
        crate::see::numbers::of_task(&this.see, this.core.native_loop().as_deref())
    })
    .getter(c"_see_request", |this: &Instance<Task>| crate::see::numbers::request_of(&this.see))
    .getter(c"_fut_waiter", |this: &Instance<Task>| Ok(this.waits_for.get_or_none()))
    .getter(c"_num_cancels_requested", cancel::cancelling)
    .init(init)
    .repr(repr)
    .finalizer()
    .build(Some(&imports().task_class))
}
