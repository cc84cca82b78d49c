//! What the loop and its tasks note while they run: a few stores, and one reading of the
//! processor's counter for each callback.
//!
//! What runs begins when what ran before has ended: one reading serves both. A task is ready from
//! the beginning of whatever made it so.
//!
//! While some hundred callbacks in a row were shorter than two microseconds, one reading serves
//! about sixteen of them, and the task that runs then is charged: reading the counter would cost
//! more of such callbacks than it tells. A longer one ends that, unless it is a step of a task that
//! is known for long ones: those are measured apart from the others. And the watchdog, whenever it
//! looks, has the counter read at the end of what runs just then: so whatever takes longer than
//! what is between two looks is charged for it, and of the rest each as often as it deserves.

use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;

use vivace_see::live::{Kind, Page, Phase, Scale, add, bucket, word};
use vivace_see::requests;
use vivace_see::trace::record::Actor;
use vivace_sys::clock::{ticks, unix_seconds_exact};

use super::tick::Ticking;
use super::trace::{self, Lane, TaskLane};
use super::{collector, live, ring, settings, walk, watchdog};
use crate::ffi::frame_layout::thread_state;
use crate::ffi::{Object, Visitor};

/// Nanoseconds from which on a callback is not short.
const SHORT: u64 = 2_000;
/// After so many short callbacks in a row, not each of them is measured.
const CALM: u64 = 256;
/// Then one reading serves so many, and up to seven more.
const STRIDE: u64 = 13;
/// A task is known for long steps until it has taken so many short ones: less than [`LONG`].
const REMEMBERED: u64 = 8;
/// In place of the number of a request: another thread has asked for what runs. No number has the
/// highest bit.
const FROM_THREAD: u64 = u64::MAX;

/// In the loop.
pub(crate) struct LoopProbe {
    /// None if nothing is to be looked at.
    page: Cell<Option<&'static Page>>,
    number: Cell<usize>,
    scale: Cell<Scale>,
    /// The counter when busy time was last added up.
    counted: Cell<u64>,
    /// From so many ticks on, what ran is kept in the file of the process.
    slow: Cell<u64>,
    /// The word `SEQUENCE` when the counter was last read: each callback adds one.
    base: Cell<u64>,
    /// Steps of tasks since then.
    steps: Cell<u64>,
    /// How long the last one had been ready, in ticks.
    delay: Cell<i64>,
    /// Short callbacks in a row.
    calm: Cell<u64>,
    /// From so many ticks on a callback is not short.
    short: Cell<u64>,
    /// From so many ticks on a request is slow.
    slow_request: Cell<u64>,
    /// The request that what runs belongs to, or [`FROM_THREAD`].
    request: Cell<u64>,
    pub(super) ticking: Ticking,
    pub(super) trace: Lane,
}

impl Default for LoopProbe {
    fn default() -> Self {
        Self {
            page: Cell::new(None),
            number: Cell::new(live::PLACES),
            scale: Cell::new(Scale { factor: 0, ticks: 0, nanoseconds: 0 }),
            counted: Cell::new(0),
            slow: Cell::new(u64::MAX),
            base: Cell::new(0),
            steps: Cell::new(0),
            delay: Cell::new(0),
            calm: Cell::new(0),
            short: Cell::new(0),
            slow_request: Cell::new(u64::MAX),
            request: Cell::new(0),
            ticking: Ticking::default(),
            trace: Lane::default(),
        }
    }
}

impl Drop for LoopProbe {
    fn drop(&mut self) {
        self.close();
    }
}

impl LoopProbe {
    /// The loop was opened.
    pub(crate) fn open(&self) {
        if self.page.get().is_some() || !settings().is_on() {
            return;
        }
        let Some(number) = live::take_place() else { return };
        self.number.set(number);
        self.page.set(Some(live::live_page(number)));
    }

    /// The loop was closed, or is gone.
    pub(crate) fn close(&self) {
        if self.page.take().is_some() {
            live::leave_place(self.number.get());
        }
    }

    /// The page, if something is to be looked at.
    #[inline(always)]
    pub(crate) fn page(&self) -> Option<&'static Page> {
        self.page.get()
    }

    /// The number of the loop: the first that is open at a time has 0.
    pub(crate) fn number(&self) -> usize {
        match self.page.get() {
            Some(_) => self.number.get(),
            None => 0,
        }
    }

    /// What belongs to Python, for the garbage collector.
    pub(crate) fn traverse(&self, visitor: &mut Visitor) {
        self.ticking.traverse(visitor);
    }

    /// Lets go of it.
    pub(crate) fn clear(&self) {
        self.ticking.clear();
    }

    /// How many callbacks have run.
    pub(super) fn callbacks(&self) -> u64 {
        self.page.get().map_or(0, |page| page[word::CALLBACKS].load(Relaxed))
    }

    /// The diagnostics look themselves.
    pub(super) fn begin_tick(&self) {
        let Some(page) = self.page.get() else { return };
        self.measure(page, ticks());
        page[word::KIND].store(Kind::Tick as u64, Relaxed);
        page[word::CURRENT].store(0, Relaxed);
        page[word::TASK].store(0, Relaxed);
        self.request.set(0);
        self.change(page, 1);
    }

    /// The diagnostics' own look is over.
    pub(super) fn end_tick(&self) {
        if let Some(page) = self.page.get() {
            page[word::KIND].store(Kind::Nothing as u64, Relaxed);
            self.change(page, 1);
        }
    }

    /// Something changes that is no callback.
    #[inline(always)]
    fn change(&self, page: &Page, by: u64) {
        add(&page[word::SEQUENCE], by);
        self.base.set(self.base.get().wrapping_add(by));
    }

    /// Whether what took so many ticks is to be kept.
    #[inline(always)]
    pub(crate) fn is_slow(&self, took: u64) -> bool {
        took >= self.slow.get()
    }

    /// Whether a request that took so many ticks is slow.
    #[inline]
    pub(crate) fn is_slow_request(&self, took: u64) -> bool {
        took >= self.slow_request.get()
    }

    /// How long a tick is.
    pub(crate) fn scale(&self) -> Scale {
        self.scale.get()
    }

    /// The counter when what runs began.
    #[inline(always)]
    pub(crate) fn last(&self) -> u64 {
        match self.page.get().map(|page| page[word::BEGIN].load(Relaxed)) {
            // The loop does not run yet, or not any more.
            Some(0) => ticks(),
            Some(begin) => begin,
            None => 0,
        }
    }

    /// A reading of the counter that is good enough to tell whether much time has passed: a new
    /// one, or that of the last callback that was measured. Callbacks are passed over only while
    /// they are short, and the watchdog has what suddenly takes long measured within 10 ms.
    #[inline(always)]
    pub(crate) fn recent_reading(&self) -> u64 {
        match self.page.get() {
            Some(page) => page[word::BEGIN].load(Relaxed),
            None => ticks(),
        }
    }

    /// Turns begin to be run by this thread.
    pub(crate) fn start(&self) {
        let Some(page) = self.page.get() else { return };
        ring::start(self.number.get());
        let scale = live::scale();
        scale.write(page);
        self.scale.set(scale);
        self.slow.set(scale.ticks_of(trace::slow::SLOW));
        let slow_request = settings().slow_request;
        let slow_request =
            slow_request.map_or(u64::MAX, |slow| scale.ticks_of(slow.as_nanos() as u64));
        self.slow_request.set(slow_request);
        self.short.set(scale.ticks_of(SHORT));
        let now = ticks();
        self.counted.set(now);
        page[word::BEGIN].store(now, Relaxed);
        page[word::DUE].store(0, Relaxed);
        page[word::STARTED].store((unix_seconds_exact() * 1e9) as u64, Relaxed);
        page[word::THREAD].store(u64::from(vivace_sys::thread::number()), Relaxed);
        walk::check();
        page[word::THREAD_STATE].store(thread_state() as u64, Relaxed);
        page[word::RUN_FRAME].store(walk::own_frame() as u64, Relaxed);
        collector::watch();
        page[word::PHASE].store(Phase::Running as u64, Relaxed);
        add(&page[word::SEQUENCE], 1);
        self.base.set(page[word::SEQUENCE].load(Relaxed));
        watchdog::watch();
    }

    /// The loop stops.
    pub(crate) fn stop(&self) {
        let Some(page) = self.page.get() else { return };
        let now = ticks();
        self.measure(page, now);
        self.count_busy(page, now);
        page[word::KIND].store(Kind::Nothing as u64, Relaxed);
        page[word::TASK].store(0, Relaxed);
        self.request.set(0);
        page[word::BEGIN].store(0, Relaxed);
        page[word::PHASE].store(Phase::NotRunning as u64, Relaxed);
        self.change(page, 1);
        watchdog::settle(page);
        page[word::THREAD].store(0, Relaxed);
    }

    fn count_busy(&self, page: &Page, now: u64) {
        let busy = self.since(self.counted.replace(now), now);
        add(&page[word::BUSY], busy);
    }

    /// Nanoseconds between two readings; none if the counter went back.
    #[inline(always)]
    fn since(&self, before: u64, now: u64) -> u64 {
        self.scale.get().duration(now.saturating_sub(before))
    }

    /// The callbacks of a turn are about to run.
    #[inline(always)]
    pub(crate) fn begin_turn(&self, ready: usize) {
        let Some(page) = self.page.get() else { return };
        add(&page[word::ITERATIONS], 1);
        page[word::READY].store(ready as u64, Relaxed);
        page[word::TURN_CALLBACKS].store(page[word::CALLBACKS].load(Relaxed), Relaxed);
        if trace::is_on() {
            trace::turning(self, ready);
        }
    }

    /// `call_soon_threadsafe` was called on the loop's own thread, with the object at an address.
    pub(crate) fn note_own_call(&self, address: usize) {
        let Some(page) = self.page.get() else { return };
        let calls = page[word::OWN_CALLS].load(Relaxed);
        page[word::OWN_CALLED + (calls % 8) as usize].store(address as u64, Relaxed);
        page[word::OWN_CALLS].store(calls.wrapping_add(1), Relaxed);
    }

    /// The loop has looked at the descriptors: whatever runs next begins now.
    #[inline]
    pub(crate) fn looked(&self, now: u64, timers: usize) {
        let Some(page) = self.page.get() else { return };
        self.count_busy(page, now);
        page[word::KIND].store(Kind::Nothing as u64, Relaxed);
        page[word::TIMERS].store(timers as u64, Relaxed);
        self.measure(page, now);
    }

    /// How many timers there are.
    #[inline(always)]
    pub(crate) fn note_timers(&self, timers: usize) {
        if let Some(page) = self.page.get() {
            page[word::TIMERS].store(timers as u64, Relaxed);
        }
    }

    /// The loop is about to wait; the counter stands at `now`.
    #[inline]
    pub(crate) fn begin_wait(&self, now: u64) {
        let Some(page) = self.page.get() else { return };
        self.measure(page, now);
        self.count_busy(page, now);
        page[word::KIND].store(Kind::Nothing as u64, Relaxed);
        page[word::READY].store(0, Relaxed);
        page[word::PHASE].store(Phase::Polling as u64, Relaxed);
        self.change(page, 1);
    }

    /// The wait is over and the GIL is held again; `returned` is the counter at its end, `now` that
    /// of now.
    #[inline]
    pub(crate) fn end_wait(&self, returned: u64, now: u64) {
        let Some(page) = self.page.get() else { return };
        let began = self.counted.replace(now);
        add(&page[word::IDLE], self.since(began, returned));
        add(&page[word::GIL_WAIT], self.since(returned, now));
        if trace::is_on() {
            trace::waited(self, began, returned, now);
        }
        page[word::BEGIN].store(now, Relaxed);
        page[word::PHASE].store(Phase::Running as u64, Relaxed);
        self.change(page, 1);
    }

    /// Something is about to run.
    #[inline(always)]
    pub(crate) fn begin(&self, page: &Page, kind: Kind, current: usize, task: u64) {
        page[word::KIND].store(kind as u64, Relaxed);
        page[word::CURRENT].store(current as u64, Relaxed);
        page[word::TASK].store(task, Relaxed);
        self.request.set(0);
        add(&page[word::SEQUENCE], 1);
    }

    /// What is about to run, another thread has asked for.
    #[inline(always)]
    pub(crate) fn note_thread(&self) {
        self.request.set(FROM_THREAD);
    }

    /// Whether what runs, another thread has asked for.
    #[inline(always)]
    pub(crate) fn runs_for_thread(&self) -> bool {
        self.request.get() == FROM_THREAD
    }

    /// A task of the loop was queued.
    #[inline(always)]
    pub(crate) fn made_ready(&self, task: &TaskProbe) {
        // Of all that it may be, `FROM_THREAD` alone has the highest bit.
        let by_thread = self.request.get() >> 63;
        task.ready_since.set(self.last() & !BY_THREAD | by_thread);
    }

    /// A step of a task is about to be taken. The answer is for how long its request has waited, if
    /// that is long, or 0.
    #[inline(always)]
    pub(crate) fn begin_step(&self, page: &Page, task: &TaskProbe, address: usize) -> u64 {
        if task.created.get() & LONG != 0 {
            self.measure_apart(page);
        }
        // Below zero by a tick if it was another thread that made it ready just now.
        let delay = page[word::BEGIN].load(Relaxed).wrapping_sub(task.ready_since.get()) as i64;
        if delay >> DELAY > i64::from(task.longest_delay.get()) {
            task.longest_delay.set(u32::try_from(delay >> DELAY).unwrap_or(u32::MAX));
        }
        self.delay.set(delay);
        page[word::KIND].store(Kind::Step as u64, Relaxed);
        page[word::CURRENT].store(address as u64, Relaxed);
        page[word::TASK].store(task.id.get(), Relaxed);
        add(&page[word::SEQUENCE], 1);
        let request = task.request.get();
        self.request.set(request);
        if request == 0 { 0 } else { self.begin_step_for_request(page, task) }
    }

    #[inline(never)]
    fn begin_step_for_request(&self, page: &Page, task: &TaskProbe) -> u64 {
        let waited =
            task.begin_for_request(page[word::BEGIN].load(Relaxed), task.ready_since.get());
        // A part of what makes a request slow.
        waited.filter(|waited| *waited >= self.slow_request.get() / 4).unwrap_or(0)
    }

    /// What comes next is not to be measured together with what ran before it, or will run after.
    #[cold]
    fn measure_apart(&self, page: &Page) {
        self.measure(page, ticks());
        page[word::DUE].store(0, Relaxed);
    }

    /// What ran has ended; the answer is how many ticks it took, or nothing if it was passed over.
    #[inline(always)]
    pub(crate) fn end(&self, page: &Page) -> u64 {
        if page[word::SEQUENCE].load(Relaxed) < page[word::DUE].load(Relaxed) {
            return 0;
        }
        self.end_measured(page)
    }

    #[inline(never)]
    fn end_measured(&self, page: &Page) -> u64 {
        let (took, is_long) = self.measure(page, ticks());
        if is_long {
            self.be_alert(page);
        }
        took
    }

    /// A step has ended; the answer is as that of `end`.
    #[inline(always)]
    pub(crate) fn end_step(&self, page: &Page, task: &TaskProbe) -> u64 {
        self.steps.set(self.steps.get() + 1);
        task.steps.set(task.steps.get().wrapping_add(1));
        let is_due = page[word::SEQUENCE].load(Relaxed) >= page[word::DUE].load(Relaxed);
        let took = if is_due { self.end_measured_step(page, task) } else { 0 };
        if task.request.get() != 0 {
            task.end_for_request(self.last(), took);
        }
        took
    }

    #[inline(never)]
    fn end_measured_step(&self, page: &Page, task: &TaskProbe) -> u64 {
        let (took, is_long) = self.measure(page, ticks());
        task.busy.set(task.busy.get().wrapping_add(took));
        let created = task.created.get();
        if is_long {
            task.created.set(created & !LONG | REMEMBERED);
            if created & LONG == 0 {
                self.be_alert(page);
            }
        } else if created & LONG != 0 {
            task.created.set(created - 1);
        }
        took
    }

    /// Something took long that nobody had expected to: what follows is measured one by one.
    fn be_alert(&self, page: &Page) {
        self.calm.set(0);
        page[word::DUE].store(0, Relaxed);
    }

    /// Adds up what has run since the last reading of the counter, which stands at `now`: how long
    /// it took, and whether that is long.
    #[inline(always)]
    fn measure(&self, page: &Page, now: u64) -> (u64, bool) {
        let sequence = page[word::SEQUENCE].load(Relaxed);
        let entries = sequence.wrapping_sub(self.base.replace(sequence));
        let took = now.saturating_sub(page[word::BEGIN].load(Relaxed));
        page[word::BEGIN].store(now, Relaxed);
        // More than there can be: the page of a child that was forked from within a callback.
        if entries == 0 || entries > u64::from(u32::MAX) {
            return (0, false);
        }
        let each = if entries == 1 { took } else { took / entries };
        add(&page[word::CALLBACKS], entries);
        let steps = self.steps.replace(0);
        if steps != 0 {
            let delay = self.scale.get().duration(self.delay.get().max(0) as u64);
            add(&page[word::STEPS], steps);
            add(&page[word::DELAYS + bucket(delay)], steps);
            add(&page[word::DELAY_SUM], delay * steps);
        }
        add(&page[word::DURATIONS + bucket(self.scale.get().duration(each))], entries);
        let calm = self.calm.get();
        // Not the same each time, so that no pattern of the program falls in with it.
        let stride = if calm < CALM || trace::is_on() { 1 } else { STRIDE + (now & 7) };
        page[word::DUE].store(sequence.wrapping_add(stride), Relaxed);
        let is_long = each >= self.short.get();
        if !is_long && calm < CALM {
            self.calm.set(calm + 1);
        }
        (took, is_long)
    }

    /// Adds up what has run until now, so that the counters are exact.
    pub(crate) fn settle(&self) {
        let Some(page) = self.page.get() else { return };
        // What runs now is still being measured.
        let sequence = page[word::SEQUENCE].load(Relaxed).wrapping_sub(1);
        let entries = sequence.wrapping_sub(self.base.get());
        if entries == 0 || entries > u64::from(u32::MAX) || page[word::BEGIN].load(Relaxed) == 0 {
            return;
        }
        page[word::SEQUENCE].store(sequence, Relaxed);
        self.measure(page, ticks());
        add(&page[word::SEQUENCE], 1);
    }

    /// A task is about to take its first step inside what runs; give the answer to `leave_step`.
    pub(crate) fn enter_step(&self, task: &TaskProbe, address: usize) -> Interrupted {
        let Some(page) = self.page.get() else { return Interrupted::default() };
        let interrupted = Interrupted {
            kind: page[word::KIND].load(Relaxed),
            current: page[word::CURRENT].load(Relaxed),
            task: page[word::TASK].load(Relaxed),
            begin: ticks(),
            actor: self.trace.take_over(task.id.get()),
            request: self.request.get(),
            for_request: Cell::new(false),
        };
        page[word::KIND].store(Kind::Step as u64, Relaxed);
        page[word::CURRENT].store(address as u64, Relaxed);
        page[word::TASK].store(task.id.get(), Relaxed);
        self.change(page, 1);
        let request = task.request.get();
        self.request.set(request);
        if request != 0 {
            // A first step follows at once; later ones are for what has just come.
            let by_thread = u64::from(interrupted.request == FROM_THREAD);
            let ready = if task.steps.get() == 0 { 0 } else { interrupted.begin };
            let ready = ready & !BY_THREAD | by_thread;
            let counted = task.begin_for_request(interrupted.begin, ready).is_some();
            interrupted.for_request.set(counted);
        }
        interrupted
    }

    /// The first step of the task has ended, and what it interrupted goes on; the answer is how
    /// many ticks it took.
    pub(crate) fn leave_step(&self, task: &TaskProbe, interrupted: &Interrupted) -> u64 {
        let Some(page) = self.page.get() else { return 0 };
        self.trace.give_back(interrupted.actor);
        let took = ticks().saturating_sub(interrupted.begin);
        task.busy.set(task.busy.get().wrapping_add(took));
        task.steps.set(task.steps.get().wrapping_add(1));
        self.steps.set(self.steps.get() + 1);
        page[word::KIND].store(interrupted.kind, Relaxed);
        page[word::CURRENT].store(interrupted.current, Relaxed);
        page[word::TASK].store(interrupted.task, Relaxed);
        self.request.set(interrupted.request);
        if interrupted.for_request.get() {
            task.end_for_request(interrupted.begin + took, took);
        }
        self.change(page, 1);
        took
    }

    /// A task was made.
    #[inline(always)]
    pub(crate) fn created(&self, task: &TaskProbe, number: u64) {
        task.id.set(number);
        let Some(page) = self.page.get() else { return };
        let begin = page[word::BEGIN].load(Relaxed);
        // The loop does not run yet, or not any more.
        let begin = if begin == 0 { ticks() } else { begin };
        task.created.set(begin & !LONG);
        task.parent.set(page[word::TASK].load(Relaxed));
        let request = self.request.get();
        if request != 0 && request != FROM_THREAD {
            task.answer(request);
        }
        add(&page[word::CREATED], 1);
    }

    /// A request has come, whose application will be given `scope`: its number, 0 if nothing is
    /// looked at. The scope must live until the number is closed.
    #[inline]
    pub(crate) fn open_request(&self, scope: &Object) -> u64 {
        if self.page.get().is_none() {
            return 0;
        }
        requests::open(scope.address(), self.last())
    }

    /// What is made from now on belongs to a request; the answer is what it belonged to before.
    #[inline]
    pub(crate) fn answer(&self, request: u64) -> u64 {
        self.request.replace(request)
    }

    /// A task has ended; `outcome` is one of the words `ENDED_…`.
    #[inline(always)]
    pub(crate) fn ended(&self, outcome: usize) {
        if let Some(page) = self.page.get() {
            add(&page[outcome], 1);
        }
    }
}

/// The wait for events has ended, and the GIL is asked for; the counter stands at `now`. Needs no
/// GIL.
#[inline]
pub(crate) fn wait_returned(page: Option<&'static Page>, now: u64) {
    let Some(page) = page else { return };
    page[word::BEGIN].store(now, Relaxed);
    page[word::PHASE].store(Phase::WaitingForGil as u64, Relaxed);
    // No fence: whoever watches looks again some time after saying that it sleeps.
    watchdog::wake();
}

/// What was running when a task took its first step at once.
pub(crate) struct Interrupted {
    kind: u64,
    current: u64,
    task: u64,
    pub(crate) begin: u64,
    actor: Actor,
    request: u64,
    /// The step is counted for a request.
    for_request: Cell<bool>,
}

impl Default for Interrupted {
    fn default() -> Self {
        Self {
            kind: 0,
            current: 0,
            task: 0,
            begin: 0,
            actor: Actor::Nobody,
            request: 0,
            for_request: Cell::new(false),
        }
    }
}

/// In each task.
#[derive(Default)]
pub(crate) struct TaskProbe {
    /// The number that a task has by default in its name.
    id: Cell<u64>,
    /// The counter when it was made; the lowest bits are [`LONG`].
    created: Cell<u64>,
    /// Ticks in which its steps ran.
    busy: Cell<u64>,
    /// The counter when it was made ready; the lowest bit is [`BY_THREAD`].
    ready_since: Cell<u64>,
    /// The number of the task that made it.
    parent: Cell<u64>,
    /// The number of the request that it was made for.
    request: Cell<u64>,
    /// How long that request had waited when this task began to wait, in [`PARKED`] ticks.
    parked: Cell<u32>,
    /// Between becoming ready and running, at most, in [`DELAY`] ticks.
    longest_delay: Cell<u32>,
    steps: Cell<u32>,
    pub(super) trace: TaskLane,
}

/// How many short steps until it is forgotten that its steps are long.
const LONG: u64 = 15;
/// It was another thread that made the task ready.
const BY_THREAD: u64 = 1;
/// A power of two: about a microsecond.
const PARKED: u32 = 12;
/// A power of two: less than a microsecond, so that minutes can be told.
const DELAY: u32 = 10;

impl TaskProbe {
    #[cold]
    fn answer(&self, request: u64) {
        self.request.set(request);
        if let Some(account) = requests::of(request) {
            account.add_task();
        }
    }

    /// A step begins, of a task that was made for a request; if it is counted for that, for how long
    /// the request has waited.
    #[inline(never)]
    fn begin_for_request(&self, now: u64, ready: u64) -> Option<u64> {
        let account = requests::of(self.request.get())?;
        let parked = u64::from(self.parked.get()) << PARKED;
        account.begin_step(now, ready & !BY_THREAD, ready & BY_THREAD != 0, parked)
    }

    /// And ends.
    #[inline(never)]
    fn end_for_request(&self, now: u64, took: u64) {
        let Some(account) = requests::of(self.request.get()) else { return };
        account.end_step(now, took);
        self.parked.set(u32::try_from(account.parked() >> PARKED).unwrap_or(u32::MAX));
    }

    /// Its number: that of its name by default.
    pub(crate) fn id(&self) -> u64 {
        self.id.get()
    }

    /// The counter when it was made.
    pub(crate) fn created(&self) -> u64 {
        self.created.get() & !LONG
    }

    /// Ticks in which its steps ran.
    pub(crate) fn busy(&self) -> u64 {
        self.busy.get()
    }

    /// The counter when it was last made ready. One that was started eagerly was so when it was made.
    pub(crate) fn ready_since(&self) -> u64 {
        self.ready_since.get().max(self.created())
    }

    /// Ticks between becoming ready and running, at most.
    pub(crate) fn longest_delay(&self) -> u64 {
        u64::from(self.longest_delay.get()) << DELAY
    }

    /// How many steps it took.
    pub(crate) fn steps(&self) -> u64 {
        u64::from(self.steps.get())
    }

    /// The number of the task that made it, or 0.
    pub(crate) fn parent(&self) -> u64 {
        self.parent.get()
    }

    /// The number of the request that it was made for, or 0.
    pub(crate) fn request(&self) -> u64 {
        self.request.get()
    }

    /// Where that number lies.
    pub(crate) const fn place_of_request() -> usize {
        std::mem::offset_of!(Self, request)
    }
}
