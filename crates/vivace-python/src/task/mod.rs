//! `vivace.Task`: a subclass of `asyncio.Task` with a body of its own.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the struct and the class |
//! | `step` | driving the coroutine, and what it may yield |
//! | `cancel` | `cancel`, `uncancel`, `cancelling` |
//! | `methods` | names, stacks, attributes |
//! | `provenance` | who made it, who cancelled it |
//! | `current` | which task is the current one, in asyncio's own books |
//!
//! A ready task is itself an entry of the loop's queue, and a task that waits is a pointer
//! inside the future it waits for: no handle, no bound method, no wrapper for each step.

mod cancel;
pub(crate) mod current;
mod methods;
pub(crate) mod provenance;
pub(crate) mod step;

use std::cell::Cell;

use crate::event_loop::{Entry, Loop};
use crate::ffi::function::{Body, Function};
use crate::ffi::outside_view;
use crate::ffi::registry::{self, Link, Listed};
use crate::ffi::{
    Args, Builtin, Class, ClassCell, Environment, Instance, Object, Owned, Ref, Result, Slot,
    Visitor, allocate_with, coroutine, error, imports, names, raise, text,
};
use crate::future::FutureLike;
use crate::future::core::Core;
use crate::see::probe::TaskProbe;
use crate::see::trace;

pub(crate) use methods::make_class;
use provenance::Provenance;

/// A name given, or the number of which the default name is made when somebody asks.
enum Name {
    Number(u64),
    Given,
}

/// A coroutine that is being run.
pub(crate) struct Task {
    core: Core,
    coroutine: Slot,
    environment: Environment,
    name: Slot,
    name_kind: Cell<Name>,
    /// The future it waits for; empty while it runs or is queued for its first step.
    waits_for: Slot,
    must_cancel: Cell<bool>,
    cancel_requests: Cell<i32>,
    log_destroy_pending: Cell<bool>,
    contains_exit: Cell<bool>,
    link: Link,
    pub(crate) see: TaskProbe,
    pub(crate) provenance: Provenance,
}

/// Where a task keeps what reports name, as offsets from the object.
pub(crate) struct Places {
    pub(crate) name: usize,
    pub(crate) coroutine: usize,
    /// The number of the request that it was made for.
    pub(crate) request: usize,
    /// The code object that made it, and the instruction there.
    pub(crate) made: (usize, usize),
}

/// See [`Places`].
pub(crate) fn places() -> Places {
    let begin = Task::cell().offset();
    let provenance = begin + std::mem::offset_of!(Task, provenance);
    let (code, instruction) = Provenance::PLACES;
    Places {
        name: begin + std::mem::offset_of!(Task, name),
        coroutine: begin + std::mem::offset_of!(Task, coroutine),
        request: begin + std::mem::offset_of!(Task, see) + TaskProbe::place_of_request(),
        made: (provenance + code, provenance + instruction),
    }
}

impl Task {
    fn blank() -> Self {
        Self {
            core: Core::default(),
            coroutine: Slot::empty(),
            environment: Environment::default(),
            name: Slot::empty(),
            name_kind: Cell::new(Name::Number(0)),
            waits_for: Slot::empty(),
            must_cancel: Cell::new(false),
            cancel_requests: Cell::new(0),
            log_destroy_pending: Cell::new(true),
            contains_exit: Cell::new(false),
            link: Link::default(),
            see: TaskProbe::default(),
            provenance: Provenance::default(),
        }
    }

    #[inline(always)]
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn context_or_none(&self) -> Result<Owned> {
        self.environment.context_or_none()
    }
}

impl FutureLike for Task {
    #[inline(always)]
    fn core(&self) -> &Core {
        &self.core
    }
}

impl Listed for Task {
    fn link(&self) -> &Link {
        &self.link
    }
}

/// Dead tasks kept for reuse, about a megabyte: a thousand tasks at once, as `gather` is given
/// them, neither allocate nor set off the garbage collector.
const KEEP: usize = 2048;

impl Class for Task {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(KEEP);
        &CELL
    }
    fn empty() -> Self {
        let task = Self::blank();
        task.log_destroy_pending.set(false);
        task
    }
    fn traverse(&self, visitor: &mut Visitor) {
        self.core.traverse(visitor);
        visitor.slot(&self.coroutine);
        self.environment.traverse(visitor);
        visitor.slot(&self.name);
        visitor.slot(&self.waits_for);
        if !self.core.loop_turns() {
            self.link.traverse(visitor);
        }
    }
    fn clear(&self) {
        self.core.clear();
        self.coroutine.clear();
        self.environment.clear();
        self.name.clear();
        self.waits_for.clear();
    }
    fn wants_finalize(this: &Instance<Self>) -> bool {
        (this.core.is_pending() && this.log_destroy_pending.get())
            || this.core.has_unseen_exception()
            || registry::is_held(this)
            || (cfg!(Py_3_14) && this.link.is_entered())
    }
    fn finalize(this: &Instance<Self>) {
        // As in asyncio, whose set lets go before a task is told.
        crate::future::core::ignore(registry::leave(this), this.object());
        if this.core.is_pending() && this.log_destroy_pending.get() {
            if let Err(raised) = report_destroyed(this) {
                raised.write_unraisable(Some(this.object()));
            }
        }
        if this.core.has_unseen_exception() {
            crate::see::lost::destroyed(this);
            this.core.report_unseen_exception(this.object());
        }
    }
}

#[cold]
fn report_destroyed(this: &Instance<Task>) -> Result<()> {
    let context = text::dict()?;
    text::dict_set(&context, &names().task, this.object())?;
    let message = text::string("Task was destroyed but it is pending!")?;
    text::dict_set(&context, &names().message, &message)?;
    this.core.report(&context)
}

fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    // Guarded by the GIL, as the list of tasks is: no lock on the bus.
    let number = NUMBER.load(Relaxed) + 1;
    NUMBER.store(number, Relaxed);
    number
}

/// Whether a task may begin with a step at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Soon,
    Eager,
    /// At once, and a `SystemExit` ends the task alone, not the loop.
    EagerContained,
}

/// `loop.create_task(coroutine)` without a factory.
pub(crate) fn create(
    event_loop: &Instance<Loop>,
    coroutine: &Object,
    name: Option<&Object>,
    context: Option<&Object>,
    start: Start,
) -> Result<Ref<Task>> {
    check_coroutine(coroutine)?;
    let environment = event_loop.contexts.environment(context)?;
    let task = allocate_with(Task::blank)?;
    task.core.join(event_loop);
    task.contains_exit.set(start == Start::EagerContained);
    task.coroutine.set(coroutine.new_ref());
    task.environment.replace(environment);
    let number = next_number();
    task.name_kind.set(Name::Number(number));
    outside_view::show_task(task.object(), coroutine, number)?;
    event_loop.see.created(&task.see, number);
    task.provenance.note_creation();
    if event_loop.debug() {
        task.core.remember_source()?;
    }
    if let Some(name) = name {
        task.set_name(name)?;
    }
    begin(&task, start)?;
    Ok(task)
}

/// `Task(coroutine, *, loop, name, context, eager_start)`.
fn init(this: &Instance<Task>, args: &Args<'_>) -> Result<()> {
    let [coroutine, event_loop, name, context, eager] = if cfg!(Py_3_12) {
        args.parse("Task", ["coro", "loop", "name", "context", "eager_start"], 1, 1)?
    } else {
        let [coroutine, event_loop, name, context] =
            args.parse("Task", ["coro", "loop", "name", "context"], 1, 1)?;
        [coroutine, event_loop, name, context, None]
    };
    registry::leave(this)?;
    this.log_destroy_pending.set(false);
    this.core.initialise(event_loop.filter(|value| !value.is_none()))?;
    let Some(coroutine) = coroutine else { return Ok(()) };
    check_coroutine(coroutine)?;
    this.coroutine.set(coroutine.new_ref());
    let context = context.filter(|value| !value.is_none());
    this.environment.replace(this.core.environment(context)?);
    this.waits_for.clear();
    this.must_cancel.set(false);
    this.cancel_requests.set(0);
    this.name.clear();
    let number = next_number();
    this.name_kind.set(Name::Number(number));
    outside_view::show_task(this.object(), coroutine, number)?;
    if let Some(event_loop) = this.core.native_loop() {
        event_loop.see.created(&this.see, number);
    }
    this.provenance.note_creation();
    if let Some(name) = name.filter(|value| !value.is_none()) {
        this.set_name(name)?;
    }
    this.log_destroy_pending.set(true);
    let eager = eager.filter(|value| !value.is_none()).map_or(Ok(false), Object::is_true)?;
    begin(this, if eager { Start::Eager } else { Start::Soon })
}

/// Queues the first step, or takes it.
fn begin(task: &Instance<Task>, start: Start) -> Result<()> {
    if trace::is_on() {
        task.in_trace(trace::created);
    }
    if start != Start::Soon && current::loop_is_running(task)? {
        return step::start_eagerly(task);
    }
    schedule_step(task)?;
    enter(task)
}

/// The task is pending: it is listed, and held by its loop if that is one of ours.
fn enter(task: &Instance<Task>) -> Result<()> {
    registry::enter(task)?;
    if task.core.has_native_loop() {
        registry::hold(task);
    }
    Ok(())
}

/// The loop is closed: what it held may go.
pub(crate) fn release_all(event_loop: &Instance<Loop>) {
    for object in registry::all() {
        if let Some(task) = object.downcast::<Task>() {
            if task.core.is_of(event_loop) {
                registry::release(task);
            }
        }
    }
}

/// Queues a step.
#[inline(always)]
pub(crate) fn schedule_step(task: &Instance<Task>) -> Result<()> {
    if let Some(event_loop) = task.core.direct_loop() {
        event_loop.check_open()?;
        event_loop.push(Entry::Step(task.counted()));
        return Ok(());
    }
    schedule_function(task, STEP.bind(task.object())?, text::none_ref())
}

/// Queues a step that throws `exception` into the coroutine.
pub(crate) fn schedule_error(task: &Instance<Task>, exception: Owned) -> Result<()> {
    schedule_function(task, STEP.bind(task.object())?, &exception)
}

fn schedule_function(task: &Instance<Task>, function: Owned, argument: &Object) -> Result<()> {
    let call_soon = task.core.event_loop()?.getattr(&names().call_soon)?;
    let context = task.context_or_none()?;
    call_soon
        .call_keywords(&[&function, argument, &context], 2, &imports().context_keyword)
        .map(drop)
}

fn check_coroutine(coroutine: &Object) -> Result<()> {
    if coroutine::is_native(coroutine) || imports().is_coroutine.call(&[coroutine])?.is_true()? {
        return Ok(());
    }
    let text = text::repr(coroutine)?;
    Err(raise(Builtin::Type, &format!("a coroutine was expected, got {text}")))
}

/// A step asked for through the public `call_soon` of a foreign loop.
struct StepBody;

impl Body for StepBody {
    fn call(bound: &Object, argument: &Object) -> Result<Owned> {
        if let Some(task) = bound.downcast::<Task>() {
            let exception = (!argument.is_none()).then(|| argument.new_ref());
            step::step_as_callback(task, exception)?;
        }
        Ok(text::none())
    }
}

/// The wake-up that a foreign future calls when it is done.
struct WakeupBody;

impl Body for WakeupBody {
    fn call(bound: &Object, argument: &Object) -> Result<Owned> {
        if let Some(task) = bound.downcast::<Task>() {
            step::wake_up(task, argument)?;
        }
        Ok(text::none())
    }
}

static STEP: Function = Function::new::<StepBody>(c"task_step");
static WAKEUP: Function = Function::new::<WakeupBody>(c"task_wakeup");

impl Instance<Task> {
    /// The wake-up as a function that Python can call.
    pub(crate) fn wakeup_function(&self) -> Result<Owned> {
        WAKEUP.bind(self.object())
    }

    fn set_name(&self, name: &Object) -> Result<()> {
        let name = if text::is_str(name) { name.new_ref() } else { text::str_of(name)? };
        outside_view::show_name(self.object(), &name);
        self.name.set(name);
        self.name_kind.set(Name::Given);
        if trace::is_on() {
            self.in_trace(trace::named);
        }
        Ok(())
    }

    /// Tells the trace of something that happened to the task.
    #[cold]
    fn in_trace(&self, what: impl FnOnce(&Loop, &Self)) {
        if let Some(event_loop) = self.core.native_loop() {
            what(&event_loop, self);
        }
    }

    /// Whether somebody gave it a name, or asked for the one it has.
    pub(crate) fn is_named(&self) -> bool {
        let kind = self.name_kind.replace(Name::Given);
        let named = matches!(kind, Name::Given);
        self.name_kind.set(kind);
        named
    }

    /// What it runs, while it does.
    pub(crate) fn coroutine(&self) -> Option<Owned> {
        self.coroutine.get()
    }

    /// The future that it waits for.
    pub(crate) fn waited(&self) -> Option<Owned> {
        self.waits_for.get()
    }

    pub(crate) fn name(&self) -> Result<Owned> {
        if let Name::Number(number) = self.name_kind.replace(Name::Given) {
            self.name.set(text::string(&format!("Task-{number}"))?);
        }
        Ok(self.name.get_or_none())
    }

    /// Counts how it ended.
    #[inline(always)]
    fn note_end(&self, outcome: usize) {
        self.core.look_at_loop(|event_loop| event_loop.see.ended(outcome));
        if trace::is_on() {
            self.in_trace(|event_loop, task| trace::ended(event_loop, task, outcome));
        }
    }

    /// Finished: what was kept for the way goes.
    fn leave(&self) -> Result<()> {
        registry::leave(self)
    }
}

/// Raised in a task by asyncio's rules: the text names the task.
fn runtime_error(text: &str) -> Result<Owned> {
    Builtin::Runtime.object().call(&[&*text::string(text)?])
}

/// An error that must be seen by whoever runs the loop.
fn leave_with(exception: Owned) -> crate::ffi::Raised {
    error::raise_instance(exception)
}
