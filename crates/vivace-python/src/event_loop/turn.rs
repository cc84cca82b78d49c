//! One turn of the loop, and running until stopped.
//!
//! The order is: what was written leaves, a look at the descriptors (with a wait if nothing is
//! ready), timers that are due, what other threads sent, and then the callbacks that were ready
//! at this point: those that they queue in turn have to wait for the next turn.

use vivace_core::timers::Popped;
use vivace_sys::Errno;
use vivace_sys::clock::{monotonic_nanoseconds, seconds, ticks};
use vivace_sys::poller::{Events, Timeout};

use super::{Entry, Loop, scheduling};
use crate::ffi::{
    ClassBuilder, Environment, Instance, Object, Owned, Raised, Result, error, names, text, thread,
};
use crate::future::core::ignore;
use crate::handles::{self, AsHandle};
use crate::see::{probe, slow_request, tick, trace};
use crate::task::{current, step};

/// From here on, in nanoseconds, a deadline is far away: the wait is left to the alarm. A nearer one
/// comes more exactly, and for the same price, if the wait itself has the timeout.
const FAR: u64 = 50_000_000;

/// The longest wait, in seconds, as in asyncio: a day.
const MAXIMUM_WAIT: f64 = 24.0 * 3600.0;

fn run_until_stopped(this: &Instance<Loop>) -> Result<()> {
    // However short the run, it looks at the descriptors once.
    this.budget.borrow_mut().hurry();
    let _turning = Turning::begin(this);
    loop {
        if let Err(raised) = turn(this) {
            let exception = raised.fetch();
            finish(this);
            return Err(error::raise_instance(exception));
        }
        if this.flags.stopping.get() {
            finish(this);
            return Ok(());
        }
    }
}

/// While it lives, the turns of the loop are being run.
struct Turning<'a>(&'a Instance<Loop>);

impl<'a> Turning<'a> {
    fn begin(event_loop: &'a Instance<Loop>) -> Self {
        event_loop.flags.turning.set(true);
        event_loop.see.start();
        Self(event_loop)
    }
}

impl Drop for Turning<'_> {
    fn drop(&mut self) {
        self.0.flags.turning.set(false);
        self.0.see.stop();
        self.0.show_queues_to_collector();
    }
}

/// The loop is left: nothing of it is current, and what was written leaves.
fn finish(this: &Instance<Loop>) {
    ignore(current::hide(this), this.object());
    ignore(this.flush_writes(), this.object());
    this.contexts.tidy();
}

fn turn(this: &Instance<Loop>) -> Result<()> {
    if this.flags.forked.get() {
        return Err(this.unusable_error());
    }
    this.flush_writes()?;
    poll(this)?;
    queue_due_timers(this)?;
    if this.inbox.is_filled() {
        for crossing in this.inbox.take() {
            this.ready.push(crossing.0);
        }
    }
    let ready = this.ready.len();
    this.see.begin_turn(ready);
    if this.fuzz.is_armed() {
        shuffle_tasks(this, ready);
    }
    for _ in 0..ready {
        let Some(entry) = this.ready.pop() else { break };
        run(this, entry)?;
    }
    this.contexts.tidy();
    Ok(())
}

/// Fuzzed schedules: which of the tasks that are ready runs first is left to chance. Callbacks keep
/// their order, which is promised.
#[cold]
fn shuffle_tasks(this: &Instance<Loop>, ready: usize) {
    let is_task = |entry: &Entry| matches!(entry, Entry::Step(_));
    this.ready.permute(ready, is_task, |limit| this.fuzz.below(limit));
}

/// Looks at the descriptors, and waits if there is nothing else to do.
#[inline]
fn poll(this: &Instance<Loop>) -> Result<()> {
    if is_busy(this)? {
        if !this.budget.borrow_mut().is_due(|| this.see.recent_reading()) {
            return Ok(());
        }
        thread::check_signals()?;
        tick::while_busy(this)?;
        let events = look(this, Timeout::Zero)?;
        let now = ticks();
        this.see.looked(now, this.timers.borrow().len());
        this.budget.borrow_mut().looked(now, events, monotonic_nanoseconds);
        return Ok(());
    }
    current::hide(this)?;
    let expects_events = this.budget.borrow().expects_events();
    let mut waited = None;
    if !expects_events || look(this, Timeout::Zero)? == 0 && this.ready.is_empty() {
        if expects_events {
            this.budget.borrow_mut().found_nothing();
        }
        waited = wait(this)?;
    }
    let timers = this.timers.borrow().len();
    let now = match waited {
        Some(now) => {
            this.see.note_timers(timers);
            now
        }
        None => {
            let now = ticks();
            this.see.looked(now, timers);
            now
        }
    };
    // Whatever ended the wait: what comes of it may well be more of the same.
    this.budget.borrow_mut().looked(now, 1, monotonic_nanoseconds);
    Ok(())
}

/// Whether there is something to do that needs no waiting.
#[inline]
fn is_busy(this: &Instance<Loop>) -> Result<bool> {
    if !this.ready.is_empty() || this.flags.stopping.get() || this.inbox.is_filled() {
        return Ok(true);
    }
    let first = this.timers.borrow().first();
    match first {
        Some(when) => Ok(when <= scheduling::now(this)?),
        None => Ok(false),
    }
}

/// Takes events without waiting; the answer is how many.
fn look(this: &Instance<Loop>, timeout: Timeout) -> Result<usize> {
    let mut events = Events::default();
    let outcome = match &*this.waiting.borrow() {
        // No Python code can run meanwhile.
        Some(waiting) => waiting.poller.wait(&mut events, timeout),
        None => return Ok(0),
    };
    match outcome {
        Ok(()) => Ok(dispatch(this, &events)),
        Err(Errno::INTR) => thread::check_signals().map(|()| 0),
        Err(errno) => Err(error::raise_os(errno.raw_os_error())),
    }
}

/// Queues whoever is to hear; the answer is how many events there were.
fn dispatch(this: &Instance<Loop>, events: &Events) -> usize {
    let mut count = 0;
    for (fd, readiness) in events.iter() {
        count += 1;
        if !this.descriptors.dispatch(this, fd, readiness) {
            dispatch_own(this, fd);
        }
    }
    if events.is_full() {
        this.budget.borrow_mut().hurry();
    }
    count
}

/// The eventfd, the alarm, or a descriptor that nobody watches any more.
fn dispatch_own(this: &Instance<Loop>, fd: i32) {
    let Some(waiting) = this.waiting() else { return };
    if this.descriptors.is_wake(fd) {
        waiting.wake.drain();
    } else if waiting.rang(fd) {
        tick::reckon_anew(this);
    } else {
        waiting.poller.remove(fd);
    }
}

/// Waits for an event, a deadline or another thread, without the GIL. The answer is the counter at
/// the end of the wait; none if there was nothing to wait for.
fn wait(this: &Instance<Loop>) -> Result<Option<u64>> {
    let mut rest = tick::before_waiting(this)?;
    // Between two parts of it the loop sees to what has come meanwhile.
    while tick::is_unfinished(this) && !is_busy(this)? && look(this, Timeout::Zero)? == 0 {
        rest = tick::before_waiting(this)?;
    }
    if !this.ready.is_empty() {
        return Ok(None);
    }
    let deadline = match next_deadline(this) {
        None => None,
        Some(when) => {
            let when = this.spacing.borrow().wake_up_at(when);
            let seconds = (when - scheduling::now(this)?).min(MAXIMUM_WAIT);
            if seconds <= 0.0 {
                return Ok(None);
            }
            // Rounded up, so that the clock has passed the deadline when the wait ends.
            Some((seconds * 1e9).ceil() as u64)
        }
    };
    let Some(waiting) = this.waiting() else { return Ok(None) };
    let timeout = timeout(&waiting, deadline, rest.until);
    if !this.inbox.fall_asleep() {
        return Ok(None);
    }
    let mut events = Events::default();
    let page = this.see.page();
    this.see.begin_wait(rest.now);
    let poller = &waiting.poller;
    let (outcome, begin, returned) = thread::detached(|| {
        let begin = ticks();
        let outcome = poller.wait(&mut events, timeout);
        let returned = ticks();
        probe::wait_returned(page, returned);
        (outcome, begin, returned)
    });
    let now = ticks();
    this.see.end_wait(returned, now);
    this.inbox.awake();
    this.budget.borrow_mut().waited(returned.wrapping_sub(begin));
    match outcome {
        Ok(()) => {
            if dispatch(this, &events) == 0 {
                tick::reckon_anew(this);
            }
        }
        Err(Errno::INTR) => thread::check_signals()?,
        Err(errno) => return Err(error::raise_os(errno.raw_os_error())),
    }
    Ok(Some(now))
}

/// The timeout of a wait that ends in `deadline` nanoseconds, and when CLOCK_MONOTONIC is `until`:
/// what is far away is left to the alarm.
fn timeout(waiting: &super::Waiting, deadline: Option<u64>, until: Option<u64>) -> Timeout {
    let near = deadline.filter(|nanoseconds| *nanoseconds < FAR);
    let at = match (deadline, near) {
        (Some(nanoseconds), None) => {
            let at = monotonic_nanoseconds().saturating_add(nanoseconds);
            Some(until.map_or(at, |until| until.min(at)))
        }
        _ => until,
    };
    if let Some(at) = at {
        if !waiting.end_by(at) {
            let left = at.saturating_sub(monotonic_nanoseconds());
            return Timeout::Nanoseconds(near.map_or(left, |near| near.min(left)));
        }
    }
    near.map_or(Timeout::Never, Timeout::Nanoseconds)
}

/// The deadline of the first timer that is not cancelled.
fn next_deadline(this: &Instance<Loop>) -> Option<f64> {
    loop {
        let popped = this.timers.borrow_mut().pop(f64::NEG_INFINITY, |timer| timer.is_cancelled());
        match popped {
            Some(Popped::Cancelled(timer)) => {
                timer.unschedule();
                timer.leave_queue();
            }
            Some(Popped::Due(timer)) => {
                // A deadline of minus infinity.
                timer.unschedule();
                this.ready.push(Entry::Timer(timer));
                return Some(f64::NEG_INFINITY);
            }
            None => break,
        }
    }
    this.timers.borrow().first().filter(|when| when.is_finite() || *when < 0.0)
}

#[inline]
fn queue_due_timers(this: &Instance<Loop>) -> Result<()> {
    if this.timers.borrow().is_empty() {
        return Ok(());
    }
    let now = scheduling::now(this)?;
    let mut due = 0;
    loop {
        let popped = this.timers.borrow_mut().pop(now, |timer| timer.is_cancelled());
        match popped {
            Some(Popped::Due(timer)) => {
                timer.unschedule();
                this.ready.push(Entry::Timer(timer));
                due += 1;
            }
            Some(Popped::Cancelled(timer)) => {
                timer.unschedule();
                timer.leave_queue();
            }
            None => break,
        }
    }
    this.spacing.borrow_mut().were_due(now, due);
    Ok(())
}

#[inline(always)]
fn run(this: &Instance<Loop>, entry: Entry) -> Result<()> {
    if let Entry::Step(task) = &entry {
        if let Some(page) = this.see.page() {
            let waited = this.see.begin_step(page, &task.see, task.object().address());
            if waited != 0 {
                slow_request::waited(task, waited);
            }
            if trace::is_on() {
                trace::stepping(this, task);
            }
        }
        let outcome = run_maybe_timed(this, &entry);
        if let Some(page) = this.see.page() {
            let took = this.see.end_step(page, &task.see);
            if took != 0 {
                was_measured(this, &entry, took);
            }
        }
        return outcome;
    }
    if let Some(page) = this.see.page() {
        let (kind, address) = entry.described();
        this.see.begin(page, kind, address, 0);
        if entry.is_from_thread() {
            this.see.note_thread();
        }
        if trace::is_on() {
            trace::calling(this, &entry);
        }
    }
    let outcome = run_maybe_timed(this, &entry);
    if let Some(page) = this.see.page() {
        let took = this.see.end(page);
        if took != 0 {
            was_measured(this, &entry, took);
        }
    }
    outcome
}

/// What has run took so many ticks.
#[inline]
fn was_measured(this: &Instance<Loop>, entry: &Entry, took: u64) {
    if trace::is_on() {
        match entry {
            Entry::Step(task) => trace::stepped(this, task, this.see.last(), took),
            _ => trace::called(this, this.see.last(), took),
        }
    }
    if this.see.is_slow(took) {
        trace::slow::ran_long(this, entry, this.see.last(), took);
    }
}

#[inline(always)]
fn run_maybe_timed(this: &Instance<Loop>, entry: &Entry) -> Result<()> {
    if this.debug() {
        return run_timed(this, entry);
    }
    run_entry(this, entry)
}

#[inline(always)]
fn run_entry(this: &Instance<Loop>, entry: &Entry) -> Result<()> {
    if let Entry::Step(task) = entry {
        return step::run_ready(this, task);
    }
    if let Entry::Handle(handle) = entry {
        // A method of one of our futures runs no code that could ask for the current task.
        if !handle.is_own_code() {
            current::hide(this)?;
        }
        return run_queued(this, handle);
    }
    if let Entry::Timer(timer) = entry {
        if timer.end_sleep()? {
            timer.leave_queue();
            return Ok(());
        }
    }
    current::hide(this)?;
    match entry {
        Entry::ThreadSafe(handle) => run_queued(this, handle),
        Entry::Timer(timer) => run_queued(this, timer),
        Entry::Callback { function, argument, environment } => {
            run_callback(this, function, argument, environment)
        }
        Entry::Stream(stream) => crate::transports::stream::run(this, stream),
        Entry::Listener(listener) => crate::transports::listener::run(this, listener),
        Entry::Step(_) | Entry::Handle(_) => Ok(()),
    }
}

/// Runs a handle that was taken from the queue.
#[inline(always)]
fn run_queued<T: AsHandle>(this: &Instance<Loop>, handle: &Instance<T>) -> Result<()> {
    let outcome = run_handle(this, handle);
    handle.leave_queue();
    outcome
}

/// Runs a handle; its failure goes to the loop's exception handler.
#[inline(always)]
pub(crate) fn run_handle<T: AsHandle>(this: &Instance<Loop>, handle: &Instance<T>) -> Result<()> {
    if handle.handle().is_cancelled() {
        return Ok(());
    }
    match handle.run(&this.contexts) {
        Ok(()) => Ok(()),
        Err(raised) => report_failure(this, handle.object(), raised),
    }
}

#[inline(always)]
fn run_callback(
    this: &Instance<Loop>,
    function: &Object,
    argument: &Object,
    environment: &Environment,
) -> Result<()> {
    match environment.run(&this.contexts, || function.call(&[argument])) {
        Ok(_result) => Ok(()),
        Err(raised) => {
            let exception = raised.fetch_for_report()?;
            let handle = handles::handle_for_report(this, function, argument, environment)?;
            report(this, &handle, &exception)
        }
    }
}

#[cold]
fn report_failure(this: &Instance<Loop>, handle: &Object, raised: Raised) -> Result<()> {
    let exception = raised.fetch_for_report()?;
    report(this, handle, &exception)
}

fn report(this: &Instance<Loop>, handle: &Object, exception: &Object) -> Result<()> {
    current::hide(this)?;
    this.object().call_method(&names().callback_failed, &[handle, exception]).map(drop)
}

/// Debug mode: measures each callback and names the slow ones.
#[cold]
fn run_timed(this: &Instance<Loop>, entry: &Entry) -> Result<()> {
    let subject = match entry {
        Entry::Handle(handle) => handle.object().new_ref(),
        Entry::ThreadSafe(handle) => handle.object().new_ref(),
        Entry::Timer(timer) => timer.object().new_ref(),
        Entry::Step(task) => task.object().new_ref(),
        Entry::Callback { function, argument, environment } => {
            handles::handle_for_report(this, function, argument, environment)?
        }
        Entry::Stream(stream) => stream.object().new_ref(),
        Entry::Listener(listener) => listener.object().new_ref(),
    };
    let begin = monotonic_nanoseconds();
    let outcome = run_entry(this, entry);
    let duration = seconds(monotonic_nanoseconds().saturating_sub(begin));
    if outcome.is_ok() {
        let limit = this.object().getattr(&names().slow_callback_duration)?;
        if duration >= text::to_f64(&limit)? {
            let duration = text::float(duration)?;
            this.object().call_method(&names().slow_callback, &[&subject, &duration])?;
        }
    }
    outcome
}

/// `_run()`: runs until `stop()`; the caller has set everything else up.
fn run_method(this: &Instance<Loop>) -> Result<Owned> {
    this.check_open()?;
    run_until_stopped(this)?;
    Ok(text::none())
}

fn run_once(this: &Instance<Loop>) -> Result<Owned> {
    this.see.start();
    let outcome = turn(this);
    this.see.stop();
    outcome?;
    finish(this);
    Ok(text::none())
}

pub(super) fn with_methods(builder: ClassBuilder<Loop>) -> ClassBuilder<Loop> {
    builder.noargs(c"_run", c"Runs turns until stop() was called.", run_method).noargs(
        c"_run_once",
        c"Runs one turn.",
        run_once,
    )
}
