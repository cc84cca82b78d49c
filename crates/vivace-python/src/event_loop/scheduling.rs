//! `call_soon` and its kin, the clock, futures and tasks.

use vivace_sys::clock;

use super::{Entry, Loop};
use crate::ffi::thread;
use crate::ffi::{
    Args, Builtin, ClassBuilder, Instance, Object, Owned, Result, allocate_with, imports, names,
    raise, text,
};
use crate::future::Future;
use crate::handles::{Parts, ThreadSafeHandle, TimerHandle};
use crate::task::{self, Start};

/// Debug mode: the thread and the callback are checked as asyncio does.
#[cold]
fn check(this: &Instance<Loop>, callback: &Object, method: &str, thread: bool) -> Result<()> {
    if thread {
        this.object().call_method(&names().check_thread, &[])?;
    }
    let method = text::string(method)?;
    this.object().call_method(&names().check_callback, &[callback, &method])?;
    Ok(())
}

fn call_soon(this: &Instance<Loop>, args: &Args<'_>) -> Result<Owned> {
    let ([callback], rest, context) = args.with_rest("call_soon", ["callback"])?;
    this.check_open()?;
    if this.debug() {
        check(this, callback, "call_soon", true)?;
    }
    let environment = this.contexts.environment(context)?;
    // Futures of others wake their tasks so.
    let for_thread = this.see.runs_for_thread();
    let parts = Parts::new(this, callback, rest, environment)?.queued_by_thread(for_thread);
    let handle = this.make_handle(|| parts.handle())?;
    this.push(Entry::Handle(handle.clone()));
    Ok(handle.into_owned())
}

fn call_soon_threadsafe(this: &Instance<Loop>, args: &Args<'_>) -> Result<Owned> {
    let ([callback], rest, context) = args.with_rest("call_soon_threadsafe", ["callback"])?;
    this.check_open()?;
    if this.debug() {
        check(this, callback, "call_soon_threadsafe", false)?;
    }
    let own = this.flags.thread.get() == thread::ident();
    if own {
        this.see.note_own_call(callback.address());
    }
    let environment = this.contexts.environment(context)?;
    let parts = Parts::new(this, callback, rest, environment)?.queued_by_thread(!own);
    if imports().threadsafe_handle_class.is_some() {
        let handle = this.make_handle(|| ThreadSafeHandle::new(parts.handle()))?;
        this.push_threadsafe(Entry::ThreadSafe(handle.clone()));
        return Ok(handle.into_owned());
    }
    let handle = this.make_handle(|| parts.handle())?;
    this.push_threadsafe(Entry::Handle(handle.clone()));
    Ok(handle.into_owned())
}

/// `loop.time()` in seconds, by the user's own clock if there is one.
pub(super) fn now(this: &Instance<Loop>) -> Result<f64> {
    if this.flags.custom_time.get() {
        return text::to_f64(&*this.object().call_method(&names().time, &[])?);
    }
    Ok(clock::seconds(clock::monotonic_nanoseconds()))
}

fn add_timer(
    this: &Instance<Loop>,
    when: f64,
    callback: &Object,
    rest: &[&Object],
    context: Option<&Object>,
) -> Result<Owned> {
    if when.is_nan() {
        return Err(raise(Builtin::Value, "the time of a timer must not be NaN"));
    }
    let environment = this.contexts.environment(context)?;
    let parts = Parts::new(this, callback, rest, environment)?;
    let timer = this.make_handle(|| TimerHandle::new(parts.handle(), when))?;
    this.timers.borrow_mut().push(when, timer.clone());
    Ok(timer.into_owned())
}

impl Instance<Loop> {
    /// `loop.time()`.
    pub(crate) fn now(&self) -> Result<f64> {
        now(self)
    }

    /// `loop.call_at(when, callback, *args)`.
    pub(crate) fn call_at(&self, when: f64, callback: &Object, args: &[&Object]) -> Result<Owned> {
        self.check_open()?;
        add_timer(self, when, callback, args, None)
    }
}

fn call_later(this: &Instance<Loop>, args: &Args<'_>) -> Result<Owned> {
    let ([delay, callback], rest, context) = args.with_rest("call_later", ["delay", "callback"])?;
    if delay.is_none() {
        return Err(raise(Builtin::Type, "delay must not be None"));
    }
    let delay = text::to_f64(delay)?;
    this.check_open()?;
    if this.debug() {
        check(this, callback, "call_later", true)?;
    }
    let when = now(this)? + delay;
    add_timer(this, when, callback, rest, context)
}

fn call_at(this: &Instance<Loop>, args: &Args<'_>) -> Result<Owned> {
    let ([when, callback], rest, context) = args.with_rest("call_at", ["when", "callback"])?;
    if when.is_none() {
        return Err(raise(Builtin::Type, "when cannot be None"));
    }
    let whole = text::is_exact_int(when);
    let when = text::to_f64(when)?;
    this.check_open()?;
    if this.debug() {
        check(this, callback, "call_at", true)?;
    }
    let timer = add_timer(this, when, callback, rest, context)?;
    if let Some(handle) = timer.downcast::<TimerHandle>().filter(|_| whole) {
        handle.set_whole();
    }
    Ok(timer)
}

fn time(_this: &Instance<Loop>) -> Result<Owned> {
    text::float(clock::seconds(clock::monotonic_nanoseconds()))
}

fn create_future(this: &Instance<Loop>) -> Result<Owned> {
    let future = allocate_with(Future::default)?;
    future.core.join(this);
    if this.debug() {
        future.core.remember_source()?;
    }
    Ok(future.into_owned())
}

fn create_task(this: &Instance<Loop>, args: &Args<'_>) -> Result<Owned> {
    this.check_open()?;
    if this.has_other_tasks() {
        return create_task_by_asyncio(this, args);
    }
    // asyncio's own takes `eager_start` from 3.14 on; its tasks can start eagerly from 3.12 on.
    let [coroutine, name, context, eager] = if imports().eager_task_factory.is_some() {
        args.parse("create_task", ["coro", "name", "context", "eager_start"], 1, 1)?
    } else {
        let [coroutine, name, context] =
            args.parse("create_task", ["coro", "name", "context"], 1, 1)?;
        [coroutine, name, context, None]
    };
    let Some(coroutine) = coroutine else { return Ok(text::none()) };
    let name = name.filter(|name| !name.is_none());
    let context = context.filter(|context| !context.is_none());
    let eager = match eager.filter(|eager| !eager.is_none()) {
        Some(eager) => eager.is_true()?,
        None => this.tasks.eager.get(),
    };
    let start = if eager { Start::Eager } else { Start::Soon };
    Ok(task::create(this, coroutine, name, context, start)?.into_owned())
}

/// The user's factory, or class, gets exactly what this CPython's own loop passes to it.
#[cold]
fn create_task_by_asyncio(this: &Instance<Loop>, args: &Args<'_>) -> Result<Owned> {
    let mut values = vec![this.object()];
    values.extend(args.positional());
    let positional = values.len();
    let mut keyword_names = Vec::new();
    for (name, value) in args.keywords() {
        keyword_names.push(name);
        values.push(value);
    }
    let keyword_names = text::tuple(&keyword_names)?;
    imports().base_create_task.call_keywords(&values, positional, &keyword_names)
}

fn set_task_factory(this: &Instance<Loop>, factory: &Object) -> Result<Owned> {
    if factory.is_none() {
        this.tasks.factory.clear();
        this.tasks.eager.set(false);
        return Ok(text::none());
    }
    if !factory.is_callable() {
        return Err(raise(Builtin::Type, "task factory must be a callable or None"));
    }
    // asyncio's eager factory makes asyncio's own tasks; ours start eagerly as well.
    let eager = imports().eager_task_factory.as_ref().is_some_and(|eager| eager.is(factory));
    this.tasks.eager.set(eager);
    this.tasks.factory.set(factory.new_ref());
    Ok(text::none())
}

pub(super) fn with_methods(builder: ClassBuilder<Loop>) -> ClassBuilder<Loop> {
    builder
        .keywords(
            c"call_soon",
            c"Has callback(*args) called in the next turn; returns a Handle.",
            call_soon,
        )
        .keywords(c"call_soon_threadsafe", c"call_soon() from any thread.", call_soon_threadsafe)
        .keywords(
            c"call_later",
            c"Has callback(*args) called after delay seconds; returns a TimerHandle.",
            call_later,
        )
        .keywords(
            c"call_at",
            c"Has callback(*args) called at a time of loop.time(); returns a TimerHandle.",
            call_at,
        )
        .noargs(c"time", c"The loop's clock, in seconds.", time)
        .noargs(c"create_future", c"A Future of this loop.", create_future)
        .keywords(c"create_task", c"A Task of this loop that runs a coroutine.", create_task)
        .keywords(
            c"set_task_factory",
            c"set_task_factory($self, /, factory)\n--\n\n\
              Sets what create_task() calls; None for the default.",
            |this: &Instance<Loop>, args: &Args<'_>| {
                let [factory] = args.parse("set_task_factory", ["factory"], 1, 1)?;
                set_task_factory(this, factory.unwrap_or(text::none_ref()))
            },
        )
        .noargs(c"get_task_factory", c"What set_task_factory() set.", |this: &Instance<Loop>| {
            Ok(this.tasks.factory.get_or_none())
        })
        .property(
            c"_task_factory",
            |this: &Instance<Loop>| Ok(this.tasks.factory.get_or_none()),
            |this: &Instance<Loop>, value: Option<&Object>| {
                set_task_factory(this, value.unwrap_or(text::none_ref())).map(drop)
            },
        )
}
