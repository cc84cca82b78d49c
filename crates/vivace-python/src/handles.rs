//! `asyncio.Handle` and `asyncio.TimerHandle`, as the native loop makes them.
//!
//! Both are subclasses of asyncio's classes and take `__repr__`, comparison and hashing from
//! there: those read the attributes that the getters below provide. Up to three arguments are
//! kept inline; a tuple is made when somebody asks for `_args`.
//!
//! While a handle waits in the queue of a loop that runs, the garbage collector does not know of
//! it: the loop is alive and holds it, so it cannot be garbage, and most handles live no longer
//! than that. A handle that somebody else holds is shown to the collector when it leaves the
//! queue, and all of them when the loop stops.

use std::cell::{Cell, OnceCell};
use std::ops::Deref;

use crate::event_loop::Loop;
use crate::ffi::context::Contexts;
use crate::ffi::{
    Class, ClassBuilder, ClassCell, Environment, Instance, Object, Owned, Ref, Result, Slot,
    Visitor, allocate_with, imports, text,
};
use crate::ffi::{function, thread};
use crate::future::core::State;

/// Where threads wait for the end of a run: one gate for all, since it is hardly ever used.
mod run_gate {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::Duration;

    static GATE: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    /// Opening the gate is a system call, which is spared where nobody stands before it.
    static WAITING: AtomicUsize = AtomicUsize::new(0);

    /// Waits for the end of some run, or a moment: the caller looks again.
    pub(super) fn wait() {
        WAITING.fetch_add(1, SeqCst);
        let guard = GATE.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(GATE.1.wait_timeout(guard, Duration::from_millis(5)));
        WAITING.fetch_sub(1, SeqCst);
    }

    #[inline]
    pub(super) fn open() {
        if WAITING.load(SeqCst) != 0 {
            GATE.1.notify_all();
        }
    }
}

/// Dead handles kept for reuse: a burst of a thousand callbacks allocates nothing, and so does
/// not set off the garbage collector either.
const KEEP: usize = 2048;

/// How many arguments are kept without a tuple.
const INLINE: usize = 3;

/// The arguments of a callback.
#[derive(Default)]
struct Arguments {
    /// The arguments; or, if there are more, one tuple of them.
    inline: [Slot; INLINE],
    kept: Cell<Kept>,
}

/// How arguments are kept.
#[derive(Clone, Copy, Default)]
enum Kept {
    #[default]
    None,
    One,
    Two,
    Three,
    Tuple,
}

impl Arguments {
    /// The tuple that `new` needs for that many arguments.
    #[inline(always)]
    fn tuple_of(args: &[&Object]) -> Result<Option<Owned>> {
        if args.len() > INLINE { text::tuple(args).map(Some) } else { Ok(None) }
    }

    #[inline(always)]
    fn new(args: &[&Object], tuple: Option<Owned>) -> Self {
        let slot =
            |place: usize| args.get(place).map_or_else(Slot::empty, |arg| Slot::new(arg.new_ref()));
        let (first, kept) = match (tuple, args.len()) {
            (Some(tuple), _) => {
                let inline = [Slot::new(tuple), Slot::empty(), Slot::empty()];
                return Self { inline, kept: Cell::new(Kept::Tuple) };
            }
            (None, 0) => (Slot::empty(), Kept::None),
            (None, 1) => (slot(0), Kept::One),
            (None, 2) => (slot(0), Kept::Two),
            (None, _) => (slot(0), Kept::Three),
        };
        Self { inline: [first, slot(1), slot(2)], kept: Cell::new(kept) }
    }

    /// `callback(*args)`, with references of its own: the callback may cancel its handle.
    #[inline(always)]
    fn call(&self, callback: &Object) -> Result<Owned> {
        let [first, second, third] = &self.inline;
        match (self.kept.get(), first.get(), second.get(), third.get()) {
            (Kept::One, Some(a), _, _) => callback.call(&[&a]),
            (Kept::Two, Some(a), Some(b), _) => callback.call(&[&a, &b]),
            (Kept::Three, Some(a), Some(b), Some(c)) => callback.call(&[&a, &b, &c]),
            (Kept::Tuple, Some(tuple), _, _) => callback.call_tuple(&tuple),
            _ => callback.call(&[]),
        }
    }

    fn as_tuple(&self) -> Result<Owned> {
        let [first, ..] = &self.inline;
        if let (Kept::Tuple, Some(tuple)) = (self.kept.get(), first.get()) {
            return Ok(tuple);
        }
        let held: Vec<Owned> = self.inline.iter().filter_map(Slot::get).collect();
        text::tuple(&held.iter().map(|arg| &**arg).collect::<Vec<_>>())
    }

    fn traverse(&self, visitor: &mut Visitor) {
        self.inline.iter().for_each(|slot| visitor.slot(slot));
    }

    fn clear(&self) {
        self.kept.set(Kept::None);
        self.inline.iter().for_each(Slot::clear);
    }
}

/// What both kinds of handle hold.
#[derive(Default)]
pub(crate) struct Handle {
    callback: Slot,
    arguments: Arguments,
    environment: Environment,
    event_loop: Slot<Ref<Loop>>,
    cancelled: Cell<bool>,
    /// Another thread has queued it, or what that has queued.
    from_thread: Cell<bool>,
    /// In debug mode only.
    debug: OnceCell<Box<Debug>>,
}

/// What a handle remembers in debug mode.
#[derive(Default)]
struct Debug {
    source_traceback: Slot,
    /// How it looked before it was cancelled, while the callback could be seen.
    repr: Slot,
}

/// All that a handle is made of. Whatever can fail or run Python code has happened, so that the
/// struct can be made where it stays: moving it costs more than anything else of `call_soon`.
pub(crate) struct Parts<'a> {
    event_loop: &'a Instance<Loop>,
    callback: &'a Object,
    args: &'a [&'a Object],
    /// The arguments again, if there are too many for the struct.
    tuple: Option<Owned>,
    environment: Environment,
    /// In debug mode only.
    debug: OnceCell<Box<Debug>>,
    from_thread: bool,
}

impl<'a> Parts<'a> {
    /// For `callback(*args)` inside of `environment`.
    #[inline(always)]
    pub(crate) fn new(
        event_loop: &'a Instance<Loop>,
        callback: &'a Object,
        args: &'a [&'a Object],
        environment: Environment,
    ) -> Result<Self> {
        let debug = OnceCell::new();
        if event_loop.debug() {
            let remembered: &Debug = debug.get_or_init(Box::default);
            remembered.source_traceback.set(imports().extract_stack.call(&[])?);
        }
        let tuple = Arguments::tuple_of(args)?;
        Ok(Self { event_loop, callback, args, tuple, environment, debug, from_thread: false })
    }

    /// Notes whether another thread has queued it, or what that has queued.
    #[inline(always)]
    pub(crate) fn queued_by_thread(self, another: bool) -> Self {
        Self { from_thread: another, ..self }
    }

    /// The struct.
    #[inline(always)]
    pub(crate) fn handle(self) -> Handle {
        Handle {
            callback: Slot::new(self.callback.new_ref()),
            arguments: Arguments::new(self.args, self.tuple),
            environment: self.environment,
            event_loop: Slot::new(self.event_loop.counted()),
            cancelled: Cell::new(false),
            from_thread: Cell::new(self.from_thread),
            debug: self.debug,
        }
    }
}

impl Handle {
    #[cold]
    fn debug(&self) -> &Debug {
        self.debug.get_or_init(Box::default)
    }

    #[inline(always)]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    /// Whether another thread has queued it, or what that has queued.
    #[inline(always)]
    pub(crate) fn is_from_thread(&self) -> bool {
        self.from_thread.get()
    }

    /// What it calls.
    pub(crate) fn callback(&self) -> Option<Owned> {
        self.callback.get()
    }

    /// Whether the callback is a built-in method of one of our futures (`future.set_result`),
    /// which queues what it has to call instead of calling it.
    #[inline(always)]
    pub(crate) fn is_own_code(&self) -> bool {
        self.callback.get().is_some_and(|callback| {
            function::self_of_builtin(&callback)
                .is_some_and(|bound| bound.exact::<crate::future::Future>().is_some())
        })
    }

    /// What the callback of `asyncio.sleep` does, if it is that: resolves the future that the
    /// sleeper awaits. Says whether it was done; otherwise the callback is to be called.
    #[inline]
    pub(crate) fn end_sleep(&self) -> Result<bool> {
        let wakes = &imports().set_result_unless_cancelled;
        if !self.callback.is(wakes) || !matches!(self.arguments.kept.get(), Kept::Two) {
            return Ok(false);
        }
        let [future, result, _] = &self.arguments.inline;
        let (Some(future), Some(result)) = (future.get(), result.get()) else { return Ok(false) };
        let Some(future) = future.exact::<crate::future::Future>() else { return Ok(false) };
        match future.core.state() {
            State::Cancelled => Ok(true),
            // Queueing the sleeper runs no code that could tell the difference.
            State::Pending if future.core.direct_loop().is_some() => {
                future.core.set_result(future.object(), result).map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// Runs the callback in its context.
    #[inline(always)]
    fn call(&self, contexts: &Contexts) -> Result<()> {
        let Some(callback) = self.callback.get() else { return Ok(()) };
        self.environment.run(contexts, || self.arguments.call(&callback)).map(drop)
    }

    /// Lets go of the callback and its arguments.
    fn forget(&self) {
        self.callback.clear();
        self.arguments.clear();
    }

    fn traverse_fields(&self, visitor: &mut Visitor) {
        visitor.slot(&self.callback);
        self.arguments.traverse(visitor);
        self.environment.traverse(visitor);
        visitor.slot(&self.event_loop);
        if let Some(debug) = self.debug.get() {
            visitor.slot(&debug.source_traceback);
            visitor.slot(&debug.repr);
        }
    }

    fn clear_fields(&self) {
        self.forget();
        self.environment.clear();
        self.event_loop.clear();
        if let Some(debug) = self.debug.get() {
            debug.source_traceback.clear();
            debug.repr.clear();
        }
    }
}

/// A struct that has the fields of a handle: from it, the class of such handles.
pub(crate) trait AsHandle: Sized + 'static {
    fn cell() -> &'static ClassCell;
    fn empty() -> Self;
    fn handle(&self) -> &Handle;

    /// Runs the callback in its context; what it raises is for the caller.
    #[inline(always)]
    fn run(&self, contexts: &Contexts) -> Result<()> {
        self.handle().call(contexts)
    }

    /// Waits until no other thread runs the handle.
    fn wait_for_run(&self) -> Result<()> {
        Ok(())
    }
}

impl<T: AsHandle> Class for T {
    #[inline(always)]
    fn cell() -> &'static ClassCell {
        <T as AsHandle>::cell()
    }
    fn empty() -> Self {
        <T as AsHandle>::empty()
    }
    fn traverse(&self, visitor: &mut Visitor) {
        self.handle().traverse_fields(visitor);
    }
    fn clear(&self) {
        self.handle().clear_fields();
    }
}

impl AsHandle for Handle {
    #[inline(always)]
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(KEEP);
        &CELL
    }
    fn empty() -> Self {
        Self::default()
    }
    #[inline(always)]
    fn handle(&self) -> &Handle {
        self
    }
}

/// What `call_soon_threadsafe` returns from CPython 3.14 on: cancelling it while another thread
/// runs it waits for the end of the run.
pub(crate) struct ThreadSafeHandle {
    handle: Handle,
    /// The thread that runs it; 0 while none does.
    runner: Cell<u64>,
}

impl ThreadSafeHandle {
    #[inline(always)]
    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle, runner: Cell::new(0) }
    }
}

impl AsHandle for ThreadSafeHandle {
    #[inline(always)]
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(KEEP);
        &CELL
    }
    fn empty() -> Self {
        Self::new(Handle::default())
    }
    #[inline(always)]
    fn handle(&self) -> &Handle {
        &self.handle
    }
    fn run(&self, contexts: &Contexts) -> Result<()> {
        let outer = self.runner.replace(thread::ident());
        let outcome = self.handle.call(contexts);
        self.runner.set(outer);
        run_gate::open();
        outcome
    }
    fn wait_for_run(&self) -> Result<()> {
        let me = thread::ident();
        while self.runner.get() != 0 && self.runner.get() != me {
            thread::detached(run_gate::wait);
            thread::check_signals()?;
        }
        Ok(())
    }
}

/// A handle with a deadline.
pub(crate) struct TimerHandle {
    handle: Handle,
    when: Cell<f64>,
    /// `call_at` was given an int, which `when()` is to return.
    whole: Cell<bool>,
    scheduled: Cell<bool>,
}

/// Where a handle keeps its callback, as an offset from the object.
pub(crate) fn place_of_callback() -> usize {
    <Handle as Class>::cell().offset() + std::mem::offset_of!(Handle, callback)
}

/// The same of one that another thread may cancel.
pub(crate) fn place_of_threadsafe_callback() -> usize {
    <ThreadSafeHandle as Class>::cell().offset()
        + std::mem::offset_of!(ThreadSafeHandle, handle)
        + std::mem::offset_of!(Handle, callback)
}

/// The same of a timer.
pub(crate) fn place_of_timer_callback() -> usize {
    <TimerHandle as Class>::cell().offset()
        + std::mem::offset_of!(TimerHandle, handle)
        + std::mem::offset_of!(Handle, callback)
}

impl TimerHandle {
    #[inline(always)]
    pub(crate) fn new(handle: Handle, when: f64) -> Self {
        let (whole, scheduled) = (Cell::new(false), Cell::new(true));
        Self { handle, when: Cell::new(when), whole, scheduled }
    }

    /// The deadline was given as an int.
    pub(crate) fn set_whole(&self) {
        self.whole.set(true);
    }

    /// The timer has left the heap.
    pub(crate) fn unschedule(&self) {
        self.scheduled.set(false);
    }
}

impl<T: AsHandle> Instance<T> {
    /// The queue lets go of the handle, which may live on elsewhere.
    #[inline(always)]
    pub(crate) fn leave_queue(&self) {
        if self.object().references() > 1 {
            self.show_to_collector();
        }
    }
}

impl Deref for TimerHandle {
    type Target = Handle;
    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl AsHandle for TimerHandle {
    #[inline(always)]
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(KEEP);
        &CELL
    }
    fn empty() -> Self {
        Self::new(Handle::default(), f64::NAN)
    }
    #[inline(always)]
    fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// A handle for a callback that was queued without one, to name it in a report.
pub(crate) fn handle_for_report(
    event_loop: &Instance<Loop>,
    callback: &Object,
    argument: &Object,
    environment: &Environment,
) -> Result<Owned> {
    let args = [argument];
    let parts = Parts::new(event_loop, callback, &args, environment.duplicate())?;
    Ok(allocate_with(|| parts.handle())?.into_owned())
}

/// The methods and attributes that both kinds have.
fn with_handle_methods<T: AsHandle>(builder: ClassBuilder<T>) -> ClassBuilder<T> {
    builder
        .noargs(c"cancelled", c"Whether the handle was cancelled.", |this: &Instance<T>| {
            this.wait_for_run()?;
            Ok(text::boolean(this.handle().is_cancelled()))
        })
        .noargs(
            c"get_context",
            c"The contextvars.Context that the callback runs in.",
            |this: &Instance<T>| this.handle().environment.context_or_none(),
        )
        .noargs(c"_run", c"Runs the callback.", |this: &Instance<T>| {
            if let Some(event_loop) = this.handle().event_loop.get() {
                crate::event_loop::turn::run_handle(&event_loop, this)?;
            }
            Ok(text::none())
        })
        .getter(c"_callback", |this: &Instance<T>| Ok(this.handle().callback.get_or_none()))
        .getter(c"_args", |this: &Instance<T>| {
            let handle = this.handle();
            if handle.callback.is_some() { handle.arguments.as_tuple() } else { Ok(text::none()) }
        })
        .getter(c"_context", |this: &Instance<T>| this.handle().environment.context_or_none())
        .getter(c"_cancelled", |this: &Instance<T>| Ok(text::boolean(this.handle().is_cancelled())))
        .getter(c"_loop", |this: &Instance<T>| {
            let event_loop = this.handle().event_loop.get();
            Ok(event_loop.map_or_else(text::none, Ref::into_owned))
        })
        .getter(c"_source_traceback", |this: &Instance<T>| {
            let debug = this.handle().debug.get();
            Ok(debug.map_or_else(text::none, |debug| debug.source_traceback.get_or_none()))
        })
        .getter(c"_repr", |this: &Instance<T>| {
            let debug = this.handle().debug.get();
            Ok(debug.map_or_else(text::none, |debug| debug.repr.get_or_none()))
        })
}

/// Cancels, once. Says whether it was this call that did.
fn cancel_once<T: AsHandle>(this: &Instance<T>) -> Result<bool> {
    this.wait_for_run()?;
    let handle = this.handle();
    if handle.cancelled.replace(true) {
        return Ok(false);
    }
    if handle.event_loop.get().is_some_and(|event_loop| event_loop.debug()) {
        handle.debug().repr.set(text::string(&text::repr(this.object())?)?);
    }
    handle.forget();
    Ok(true)
}

fn cancel<T: AsHandle>(this: &Instance<T>) -> Result<Owned> {
    cancel_once(this)?;
    Ok(text::none())
}

fn cancel_timer(this: &Instance<TimerHandle>) -> Result<Owned> {
    if cancel_once(this)? && this.scheduled.get() {
        if let Some(event_loop) = this.event_loop.get() {
            for timer in event_loop.note_cancelled_timer() {
                timer.leave_queue();
            }
        }
    }
    Ok(text::none())
}

fn when(this: &Instance<TimerHandle>) -> Result<Owned> {
    let seconds = this.when.get();
    if this.whole.get() { text::integer(seconds as i64) } else { text::float(seconds) }
}

/// Makes the class of CPython 3.14's thread-safe handles, where asyncio has one.
pub(crate) fn make_threadsafe_class() -> Result<Option<Owned>> {
    let Some(base) = &imports().threadsafe_handle_class else { return Ok(None) };
    with_handle_methods(ClassBuilder::<ThreadSafeHandle>::new(
        c"vivace.ThreadSafeHandle",
        c"A callback that the loop will run; returned by call_soon_threadsafe().",
    ))
    .noargs(
        c"cancel",
        c"Cancels the callback; a second time does nothing.",
        cancel::<ThreadSafeHandle>,
    )
    .build(Some(base))
    .map(Some)
}

/// Makes both classes.
pub(crate) fn make_classes() -> Result<(Owned, Owned)> {
    let handle = with_handle_methods(ClassBuilder::<Handle>::new(
        c"vivace.Handle",
        c"A callback that the loop will run; returned by call_soon().",
    ))
    .noargs(c"cancel", c"Cancels the callback; a second time does nothing.", cancel::<Handle>)
    .build(Some(&imports().handle_class))?;
    let timer = with_handle_methods(ClassBuilder::<TimerHandle>::new(
        c"vivace.TimerHandle",
        c"A callback with a deadline; returned by call_later() and call_at().",
    ))
    .noargs(c"cancel", c"Cancels the callback; a second time does nothing.", cancel_timer)
    .noargs(c"when", c"The deadline, in seconds of loop.time().", when)
    .getter(c"_when", when)
    .property(
        c"_scheduled",
        |this: &Instance<TimerHandle>| Ok(text::boolean(this.scheduled.get())),
        |this: &Instance<TimerHandle>, value: Option<&Object>| {
            this.scheduled.set(value.is_some_and(|value| value.is_true().unwrap_or(false)));
            Ok(())
        },
    )
    .build(Some(&imports().timer_handle_class))?;
    Ok((handle, timer))
}
