//! Flags that asyncio's own code reads as attributes; opening, closing, forking.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use super::{Entry, Loop, Waiting};
use crate::ffi::{
    Builtin, ClassBuilder, Instance, Object, Owned, Result, error, names, raise, text,
};
use crate::see::jobs;

/// `_open()`: called once by `EventLoop.__init__`.
fn open(this: &Instance<Loop>) -> Result<Owned> {
    let waiting = Waiting::open().map_err(|errno| error::raise_os(errno.raw_os_error()))?;
    this.descriptors.set_wake(waiting.wake.as_fd().as_raw_fd());
    let waiting = Arc::new(waiting);
    jobs::register(&waiting);
    *this.waiting.borrow_mut() = Some(waiting);
    this.see.open();
    Ok(text::none())
}

/// `_after_fork()`: in the child, the descriptors shared with the parent are replaced.
fn after_fork(this: &Instance<Loop>) -> Result<Owned> {
    if this.flags.closed.get() {
        return Ok(text::none());
    }
    let waiting = Waiting::open().map_err(|errno| error::raise_os(errno.raw_os_error()))?;
    this.descriptors.set_wake(waiting.wake.as_fd().as_raw_fd());
    this.descriptors.register_again(&waiting.poller);
    let waiting = Arc::new(waiting);
    jobs::register(&waiting);
    let old = this.waiting.borrow_mut().replace(waiting);
    drop(old);
    this.inbox.awake();
    if this.is_running() {
        this.flags.forked.set(true);
        this.flags.thread.set(0);
    }
    Ok(text::none())
}

/// `_close()`: everything that waits is dropped, the descriptors are closed.
fn close(this: &Instance<Loop>) -> Result<Owned> {
    this.flags.closed.set(true);
    crate::task::release_all(this);
    drop(this.ready.take());
    let timers = this.timers.borrow_mut().take();
    drop(timers);
    drop(this.inbox.take());
    this.descriptors.clear();
    this.transports.clear();
    let waiting = this.waiting.borrow_mut().take();
    drop(waiting);
    this.see.close();
    Ok(text::none())
}

fn stop(this: &Instance<Loop>) -> Result<Owned> {
    this.flags.stopping.set(true);
    Ok(text::none())
}

/// An attribute of the instance is about to be set or deleted.
pub(super) fn notice(this: &Instance<Loop>, name: &Object) {
    if name.is(&names().call_soon) {
        this.flags.custom_call_soon.set(true);
    } else if name.is(&names().time) {
        this.flags.custom_time.set(true);
    }
}

fn truth(value: Option<&Object>) -> Result<bool> {
    value.map_or(Ok(false), Object::is_true)
}

fn thread_id(this: &Instance<Loop>) -> Result<Owned> {
    match this.flags.thread.get() {
        0 => Ok(text::none()),
        ident => text::unsigned(ident),
    }
}

fn set_thread_id(this: &Instance<Loop>, value: Option<&Object>) -> Result<()> {
    let ident = match value.filter(|value| !value.is_none()) {
        None => 0,
        Some(value) => text::to_u64(value)?,
    };
    this.flags.thread.set(ident);
    Ok(())
}

/// Marks what a subclass written in Python has replaced: called by `EventLoop.__init__`.
fn set_custom(this: &Instance<Loop>, args: &crate::ffi::Args<'_>) -> Result<Owned> {
    let [call_soon, time] = args.parse("_set_custom", ["call_soon", "time"], 2, 2)?;
    this.flags.custom_call_soon.set(truth(call_soon)?);
    this.flags.custom_time.set(truth(time)?);
    Ok(text::none())
}

fn init(_this: &Instance<Loop>, args: &crate::ffi::Args<'_>) -> Result<()> {
    if !args.positional().is_empty() || args.has_keywords() {
        return Err(raise(Builtin::Type, "Loop() takes no arguments"));
    }
    Ok(())
}

/// What is ready and was queued with a handle; steps of tasks and the like have none.
fn ready_handles(this: &Instance<Loop>) -> Result<Owned> {
    let mut handles = Vec::new();
    this.ready.for_each(|entry| match entry {
        Entry::Handle(handle) => handles.push(handle.object().new_ref()),
        Entry::ThreadSafe(handle) => handles.push(handle.object().new_ref()),
        Entry::Timer(timer) => handles.push(timer.object().new_ref()),
        _ => {}
    });
    text::list(handles)
}

fn timer_handles(this: &Instance<Loop>) -> Result<Owned> {
    let mut handles = Vec::new();
    this.timers.borrow().for_each(|timer| handles.push(timer.object().new_ref()));
    text::list(handles)
}

pub(super) fn with_methods(builder: ClassBuilder<Loop>) -> ClassBuilder<Loop> {
    builder
        .init(init)
        .noargs(c"_open", c"Opens the descriptors that the loop waits with.", open)
        .noargs(c"_after_fork", c"Replaces them in a forked child.", after_fork)
        .noargs(c"_close", c"Drops everything that waits and closes them.", close)
        .keywords(c"_set_custom", c"Says which methods a subclass replaced.", set_custom)
        .noargs(c"stop", c"Stops the loop at the end of this turn.", stop)
        .noargs(c"is_running", c"Whether the loop runs.", |this: &Instance<Loop>| {
            Ok(text::boolean(this.is_running()))
        })
        .noargs(c"is_closed", c"Whether the loop was closed.", |this: &Instance<Loop>| {
            Ok(text::boolean(this.flags.closed.get()))
        })
        .noargs(c"get_debug", c"Whether debug mode is on.", |this: &Instance<Loop>| {
            Ok(text::boolean(this.debug()))
        })
        .noargs(c"_is_open", c"Whether the loop holds descriptors.", |this: &Instance<Loop>| {
            Ok(text::boolean(this.waiting().is_some()))
        })
        .noargs(c"_ready_handles", c"The handles that are ready.", ready_handles)
        .noargs(c"_timer_handles", c"The timers that are held.", timer_handles)
        .noargs(c"_clear_ready", c"Drops what is ready.", |this: &Instance<Loop>| {
            crate::task::release_all(this);
            drop(this.ready.take());
            Ok(text::none())
        })
        .noargs(c"_clear_timers", c"Drops the timers.", |this: &Instance<Loop>| {
            let timers = this.timers.borrow_mut().take();
            drop(timers);
            Ok(text::none())
        })
        .noargs(c"_ready_length", c"How many callbacks are ready.", |this: &Instance<Loop>| {
            text::integer(this.ready_length() as i64)
        })
        .onearg(
            c"_fuzz_schedule",
            c"Has tasks run in an order of chance, by this seed.",
            |this: &Instance<Loop>, seed: &Object| {
                this.fuzz.arm(text::to_u64(seed)?);
                Ok(text::none())
            },
        )
        .noargs(c"_timer_count", c"How many timers are held.", |this: &Instance<Loop>| {
            text::integer(this.timers.borrow().len() as i64)
        })
        .property(
            c"_closed",
            |this: &Instance<Loop>| Ok(text::boolean(this.flags.closed.get())),
            |this: &Instance<Loop>, value: Option<&Object>| {
                this.flags.closed.set(truth(value)?);
                Ok(())
            },
        )
        .getter(c"_forked", |this: &Instance<Loop>| Ok(text::boolean(this.flags.forked.get())))
        .property(
            c"_stopping",
            |this: &Instance<Loop>| Ok(text::boolean(this.flags.stopping.get())),
            |this: &Instance<Loop>, value: Option<&Object>| {
                this.flags.stopping.set(truth(value)?);
                Ok(())
            },
        )
        .property(
            c"_debug",
            |this: &Instance<Loop>| Ok(text::boolean(this.debug())),
            |this: &Instance<Loop>, value: Option<&Object>| {
                this.flags.debug.set(truth(value)?);
                Ok(())
            },
        )
        .getter(c"_see_counters", crate::see::numbers::of_loop)
        .getter(c"_see_number", |this: &Instance<Loop>| text::unsigned(this.see.number() as u64))
        .property(c"_thread_id", thread_id, set_thread_id)
}
