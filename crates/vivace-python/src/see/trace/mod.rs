//! Records what the loops of the process do, while somebody wants a trace.
//!
//! | file | what |
//! |---|---|
//! | `mod` | what is called where something happens |
//! | `words` | names of functions, tasks and of what tasks wait for |
//! | `slow` | what took long, kept always in the file of the process |
//! | `functions` | begin, end and conversion, for Python |
//!
//! Off, each place costs one branch (`is_on`). Everything here runs with the GIL held, and none of
//! it runs Python code.

pub(crate) mod functions;
pub(crate) mod slow;
mod words;

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use vivace_see::live::{Page, Scale, word};
use vivace_see::trace::name::Name;
use vivace_see::trace::record::{Actor, Kind, Outcome, Record};
use vivace_see::trace::recorder::Recorder;
use vivace_sys::clock::ticks;

use super::live;
use super::probe::LoopProbe;
use crate::event_loop::{Entry, Loop};
use crate::ffi::Instance;
use crate::task::Task;

static ON: AtomicBool = AtomicBool::new(false);
/// Goes up with each trace: what a loop or a task knows of an older one is worth nothing.
static EPOCH: AtomicU32 = AtomicU32::new(0);
static RECORDER: Mutex<Option<Arc<Recorder>>> = Mutex::new(None);

/// How often the lengths of the queues are recorded, in nanoseconds.
const SAMPLE: u64 = 200_000;
/// Waits for the GIL that are shorter are the price of getting it.
const GIL_WAIT: u64 = 20_000;

/// Whether a trace runs.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    ON.load(Relaxed)
}

fn recorder() -> Option<Arc<Recorder>> {
    RECORDER.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Who gives numbers to names, and keeps events.
trait Sink {
    fn name(&self, name: &Name) -> u32;
    fn record(&self, event_loop: u16, record: Record);
}

impl Sink for Recorder {
    fn name(&self, name: &Name) -> u32 {
        Self::name(self, name)
    }
    fn record(&self, event_loop: u16, record: Record) {
        Self::record(self, event_loop, record);
    }
}

/// In the probe of each loop.
pub(crate) struct Lane {
    epoch: Cell<u32>,
    recorder: RefCell<Option<Arc<Recorder>>>,
    words: words::Words,
    /// Those of the file of the process: they have other numbers.
    slow_words: words::Words,
    /// Who runs now.
    actor: Cell<Actor>,
    /// The counter when the lengths of the queues were recorded last.
    sampled: Cell<u64>,
    lag_wanted: Cell<bool>,
    /// The callback that runs was a step of a task, and is recorded as such.
    was_step: Cell<bool>,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            epoch: Cell::new(0),
            recorder: RefCell::new(None),
            words: words::Words::default(),
            slow_words: words::Words::default(),
            actor: Cell::new(Actor::Nobody),
            sampled: Cell::new(0),
            lag_wanted: Cell::new(false),
            was_step: Cell::new(false),
        }
    }
}

impl Lane {
    /// The recorder of the trace that runs.
    fn recorder(&self) -> Option<Arc<Recorder>> {
        let epoch = EPOCH.load(Relaxed);
        if self.epoch.replace(epoch) != epoch {
            self.words.forget();
            self.actor.set(Actor::Nobody);
            let recorder = recorder();
            self.recorder.replace(recorder);
        }
        self.recorder.borrow().clone()
    }

    /// Lets go of the recorder of a trace that is over: it has a file open.
    pub(super) fn let_go(&self) {
        if !is_on() {
            self.recorder.replace(None);
            // The next one is another in any case, and nobody has told it anything.
            self.epoch.set(0);
        }
    }

    /// Another task has the turn, inside what runs; give the answer to `give_back`.
    pub(super) fn take_over(&self, task: u64) -> Actor {
        self.actor.replace(Actor::Task(task as u32))
    }

    pub(super) fn give_back(&self, actor: Actor) {
        self.actor.set(actor);
    }
}

/// In the probe of each task.
#[derive(Default)]
pub(crate) struct TaskLane {
    /// The trace that has been told who it is.
    epoch: Cell<u32>,
}

/// Where something of a loop is written to.
struct Place<'a> {
    see: &'a LoopProbe,
    scale: Scale,
    recorder: Arc<Recorder>,
}

impl<'a> Place<'a> {
    /// None if the loop is not watched, or the trace has just ended.
    fn of(see: &'a LoopProbe) -> Option<Self> {
        see.page()?;
        let recorder = see.trace.recorder()?;
        // A loop that has never run has none: its first tasks are made before it runs.
        let scale = Some(see.scale()).filter(|scale| scale.factor != 0);
        Some(Self { see, scale: scale.unwrap_or_else(live::scale), recorder })
    }

    fn time(&self, ticks: u64) -> u64 {
        self.scale.clock(ticks)
    }

    fn now(&self) -> u64 {
        self.time(ticks())
    }

    fn record(&self, record: Record) {
        self.recorder.record(self.see.number() as u16, record);
    }

    fn event(&self, kind: Kind, subject: u32, detail: u32) {
        self.record(Record::new(kind, self.now(), subject, detail));
    }

    fn slice(&self, kind: Kind, begin: u64, end: u64, subject: u32) {
        self.record(Record::slice(kind, self.time(begin), self.time(end), subject));
    }

    /// Tells who a task is, if that was not told yet.
    fn introduce(&self, task: &Instance<Task>) {
        let epoch = EPOCH.load(Relaxed);
        if task.see.trace.epoch.replace(epoch) == epoch {
            return;
        }
        let number = task.see.id() as u32;
        let words = &self.see.trace.words;
        self.event(Kind::Coroutine, number, words.coroutine(task, &*self.recorder));
        self.event(Kind::Named, number, words.name(task, &*self.recorder));
        if let Some(site) = words.site(task, &*self.recorder) {
            self.event(Kind::Site, number, site);
        }
    }

    /// What a task waits for after its step.
    fn wait(&self, task: &Instance<Task>, end: u64) {
        if let Some(reason) = self.see.trace.words.reason(task, &*self.recorder) {
            let number = task.see.id() as u32;
            self.record(Record::new(Kind::Wait, self.time(end), number, reason));
        }
    }
}

/// A task was made, and is about to be queued or to take its first step.
#[cold]
pub(crate) fn created(event_loop: &Loop, task: &Instance<Task>) {
    let Some(place) = Place::of(&event_loop.see) else { return };
    place.event(Kind::Created, task.see.id() as u32, event_loop.see.trace.actor.get().bits());
    place.introduce(task);
}

/// A task has another name.
#[cold]
pub(crate) fn named(event_loop: &Loop, task: &Instance<Task>) {
    let Some(place) = Place::of(&event_loop.see) else { return };
    if task.see.trace.epoch.get() == EPOCH.load(Relaxed) {
        let name = event_loop.see.trace.words.name(task, &*place.recorder);
        place.event(Kind::Named, task.see.id() as u32, name);
    }
}

/// A task is queued.
#[cold]
pub(crate) fn made_ready(event_loop: &Loop, task: &Instance<Task>) {
    let Some(place) = Place::of(&event_loop.see) else { return };
    place.introduce(task);
    place.event(Kind::Ready, task.see.id() as u32, event_loop.see.trace.actor.get().bits());
}

/// A task is about to take a step.
#[cold]
pub(crate) fn stepping(event_loop: &Loop, task: &Instance<Task>) {
    let lane = &event_loop.see.trace;
    lane.actor.set(Actor::Task(task.see.id() as u32));
    if lane.lag_wanted.replace(false) {
        let Some(place) = Place::of(&event_loop.see) else { return };
        let ready = task.see.ready_since();
        let begin = event_loop.see.last();
        place.slice(Kind::Lag, ready.min(begin), begin, 0);
        // A lag is told when it ends.
    }
}

/// A task has taken a step, of so many ticks, that ended at a reading of the counter.
#[cold]
pub(crate) fn stepped(event_loop: &Loop, task: &Instance<Task>, end: u64, took: u64) {
    event_loop.see.trace.actor.set(Actor::Nobody);
    stepped_inside(event_loop, task, end, took);
}

/// A task has taken its first step inside something else.
#[cold]
pub(crate) fn stepped_inside(event_loop: &Loop, task: &Instance<Task>, end: u64, took: u64) {
    let Some(place) = Place::of(&event_loop.see) else { return };
    place.introduce(task);
    let number = task.see.id() as u32;
    // As long as the live counters say, to the nanosecond.
    let length = place.scale.duration(took);
    let begin = place.time(end.saturating_sub(took));
    place.record(Record::slice(Kind::Step, begin, begin + length, number));
    place.wait(task, end);
}

/// A task has taken a step that was asked for as a callback: it waited for a future of others.
#[cold]
pub(crate) fn stepped_as_callback(event_loop: &Loop, task: &Instance<Task>, end: u64, took: u64) {
    event_loop.see.trace.was_step.set(true);
    stepped_inside(event_loop, task, end, took);
}

/// A callback is queued.
#[cold]
pub(crate) fn queued(event_loop: &Loop, entry: &Entry) {
    if let Some(task) = words::woken_by(entry) {
        if let Some(task) = task.downcast::<Task>() {
            made_ready(event_loop, task);
        }
    }
}

/// A callback is about to run.
#[cold]
pub(crate) fn calling(event_loop: &Loop, entry: &Entry) {
    let Some(place) = Place::of(&event_loop.see) else { return };
    let lane = &event_loop.see.trace;
    lane.was_step.set(false);
    lane.actor.set(Actor::Callback(lane.words.callback(entry, &*place.recorder)));
}

/// A callback has run.
#[cold]
pub(crate) fn called(event_loop: &Loop, end: u64, took: u64) {
    let Some(place) = Place::of(&event_loop.see) else { return };
    let actor = event_loop.see.trace.actor.replace(Actor::Nobody);
    let Actor::Callback(name) = actor else { return };
    if event_loop.see.trace.was_step.replace(false) {
        return;
    }
    place.slice(Kind::Callback, end.saturating_sub(took), end, name);
}

/// A task has ended; `outcome` is one of the words `ENDED_…`.
#[cold]
pub(crate) fn ended(event_loop: &Loop, task: &Instance<Task>, outcome: usize) {
    let Some(place) = Place::of(&event_loop.see) else { return };
    place.introduce(task);
    let outcome = match outcome {
        word::ENDED_OK => Outcome::Returned,
        word::ENDED_CANCELLED => Outcome::Cancelled,
        _ => Outcome::Failed,
    };
    place.event(Kind::Ended, task.see.id() as u32, outcome as u32);
}

/// Somebody asks a task to end.
#[cold]
pub(crate) fn cancelled(event_loop: &Loop, task: &Instance<Task>) {
    let Some(place) = Place::of(&event_loop.see) else { return };
    place.introduce(task);
    place.event(Kind::Cancelled, task.see.id() as u32, event_loop.see.trace.actor.get().bits());
}

/// A loop has waited for events, and then for the GIL: three readings of the counter.
#[cold]
pub(super) fn waited(see: &LoopProbe, began: u64, returned: u64, now: u64) {
    let Some(place) = Place::of(see) else { return };
    place.slice(Kind::Poll, began, returned, 0);
    if see.scale().duration(now.saturating_sub(returned)) >= GIL_WAIT {
        place.slice(Kind::GilWait, returned, now, 0);
    }
}

/// The garbage collector has run on the thread of a loop, between two readings of the counter.
#[cold]
pub(super) fn collected(event_loop: usize, page: &Page, begin: u64, end: u64, generation: u64) {
    let Some(recorder) = recorder() else { return };
    let scale = Scale::of(page);
    let (begin, end) = (scale.clock(begin), scale.clock(end));
    recorder.record(event_loop as u16, Record::slice(Kind::Gc, begin, end, generation as u32));
}

/// The callbacks of a turn are about to run.
#[cold]
pub(super) fn turning(see: &LoopProbe, ready: usize) {
    let Some(place) = Place::of(see) else { return };
    let now = see.last();
    let since = now.saturating_sub(see.trace.sampled.get());
    if see.scale().duration(since) < SAMPLE {
        return;
    }
    see.trace.sampled.set(now);
    see.trace.lag_wanted.set(true);
    let Some(page) = see.page() else { return };
    let [made, ok, error, cancelled] =
        [word::CREATED, word::ENDED_OK, word::ENDED_ERROR, word::ENDED_CANCELLED]
            .map(|word| page[word].load(Relaxed));
    let living = made.saturating_sub(ok + error + cancelled);
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let record = Record::new(Kind::Queues, place.time(now), number(ready as u64), number(living));
    place.record(record);
}
