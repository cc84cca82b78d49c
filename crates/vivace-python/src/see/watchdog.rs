//! The thread that notices a blocked loop. It knows no Python: it reads the pages of the loops, the
//! memory of the process and what the kernel tells, and it never takes the GIL.
//!
//! It looks every few milliseconds while a loop works, and sleeps while all of them wait. It dies
//! with the process; a forked child that runs a loop gets one of its own. It ends before a fork that
//! Python makes, as a process with threads is warned of forking, and begins again after it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use vivace_see::live::{Cause, Page, Phase, Scale, add, count, word};
use vivace_see::watch::{Act, Look, Watch};
use vivace_sys::clock::{boot_nanoseconds, monotonic_nanoseconds, ticks};
use vivace_sys::thread::processor_time;

use super::blocked::{self, OtherThread, Sample};
use super::cause::{self, Spent};
use super::subject::{self, Subject};
use super::walk::Gil;
use super::{collector, live, report, settings, thread_names, walk};
use crate::ffi::is_finalizing;

/// All loops have waited for so long: the thread sleeps.
const QUIET: u64 = 1_000_000_000;
/// How long a thread is looked at whose block was not seen to begin.
const MOMENT: Duration = Duration::from_millis(2);
/// The thread itself was not run for so long: everything stood still.
const STOOD_STILL: u64 = 500_000_000;
/// Samples kept of one block.
const KEPT: usize = 12;
/// Other threads that a report shows.
const OTHERS: usize = 3;

/// The process that has the thread.
static PROCESS: AtomicU32 = AtomicU32::new(0);
/// It sleeps until it is woken.
static ASLEEP: AtomicBool = AtomicBool::new(false);
/// It is to end.
static ENDS: AtomicBool = AtomicBool::new(false);
/// It has ended for a fork.
static PAUSED: AtomicBool = AtomicBool::new(false);
static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

/// A loop begins to run: starts the thread, or wakes it.
pub(super) fn watch() {
    let process = std::process::id();
    if PROCESS.swap(process, SeqCst) == process {
        wake();
        return;
    }
    ASLEEP.store(false, SeqCst);
    PAUSED.store(false, SeqCst);
    let builder = thread::Builder::new().name("vivace-watchdog".to_owned()).stack_size(512 << 10);
    // Without a thread nothing is noticed, and nothing else is different.
    if let Ok(handle) = builder.spawn(run) {
        // After a fork the lock may be held by a thread that is not there.
        if let Ok(mut thread) = THREAD.try_lock() {
            // The parent's, in a child, can only be forgotten.
            std::mem::forget(thread.replace(handle));
        }
    }
}

/// Ends the thread: before a fork. Waits for it, so the GIL must not be held.
pub(super) fn pause() {
    if PROCESS.load(SeqCst) != std::process::id() {
        return;
    }
    let Some(thread) = THREAD.try_lock().ok().and_then(|mut thread| thread.take()) else { return };
    ENDS.store(true, SeqCst);
    ASLEEP.store(false, SeqCst);
    thread.thread().unpark();
    let _ended = thread.join();
    ENDS.store(false, SeqCst);
    PROCESS.store(0, SeqCst);
    // Python counts the threads after the hooks of a fork: it begins again with the next turn.
    PAUSED.store(true, SeqCst);
    ASLEEP.store(true, SeqCst);
}

/// Wakes the thread if it sleeps.
#[inline(always)]
pub(super) fn wake() {
    if ASLEEP.load(Relaxed) {
        wake_now();
    }
}

#[cold]
fn wake_now() {
    if ASLEEP.swap(false, SeqCst) {
        if PAUSED.swap(false, SeqCst) {
            watch();
            super::attend::start();
            return;
        }
        if let Some(thread) = &*THREAD.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.thread().unpark();
        }
    }
}

/// A loop stops: waits until the end of a block that was reported has been reported, too.
pub(super) fn settle(page: &Page) {
    const PATIENCE: u32 = 50;
    for _ in 0..PATIENCE {
        if page[word::REPORTED].load(Relaxed) == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    page[word::REPORTED].store(0, Relaxed);
}

/// The clock, the processor time of a thread and its switches.
type Noted = (u64, u64, u64);

fn note(thread: u32) -> Noted {
    let switches = cause::ask(thread).switches;
    (monotonic_nanoseconds(), processor_time(thread).unwrap_or(0), switches)
}

/// A loop as the thread sees it.
#[derive(Default)]
struct Watched {
    watch: Watch,
    /// When nothing had changed first.
    noted: Option<Noted>,
    samples: Vec<Sample>,
    /// With which code it was reported, and not kept back.
    told: Option<&'static str>,
    /// It was kept back: nothing more is told of it.
    kept_back: bool,
}

fn run() {
    // Signals are for the threads of the program.
    vivace_sys::thread::block_signals();
    let threshold = settings().blocked.as_nanos() as u64;
    let pause = (threshold / 10).clamp(2_000_000, 10_000_000);
    let mut loops: Vec<Watched> = (0..live::PLACES).map(|_| Watched::default()).collect();
    let mut last = monotonic_nanoseconds();
    let mut suspended = boot_nanoseconds().saturating_sub(last);
    let mut quiet_since = last;
    loop {
        thread::park_timeout(Duration::from_nanos(pause));
        if ENDS.load(SeqCst) {
            return;
        }
        let now = monotonic_nanoseconds();
        let gap = now.saturating_sub(last).saturating_sub(pause);
        let gone = boot_nanoseconds().saturating_sub(now).saturating_sub(suspended);
        suspended += gone;
        last = now;
        if gap >= STOOD_STILL || gone >= STOOD_STILL {
            let running = live::open_pages()
                .find(|(_, page)| page[word::PHASE].load(Relaxed) != Phase::NotRunning as u64);
            if let Some((number, _)) = running {
                report(&blocked::stood_still(gap.max(gone), gone > gap), number as u32);
            }
            for watched in &mut loops {
                watched.watch.stood_still(gap);
            }
        }
        let mut works = false;
        for (number, page) in live::open_pages() {
            works |= look(number, page, &mut loops[number], now, threshold);
        }
        if works {
            quiet_since = now;
        } else if now.saturating_sub(quiet_since) >= QUIET {
            sleep_until_woken();
            last = monotonic_nanoseconds();
            suspended = boot_nanoseconds().saturating_sub(last);
            quiet_since = last;
        }
    }
}

fn sleep_until_woken() {
    ASLEEP.store(true, SeqCst);
    // A loop that has begun to work meanwhile may not have seen it.
    if live::open_pages().any(|(_, page)| works(page)) {
        ASLEEP.store(false, SeqCst);
        return;
    }
    // A loop's thread looks without a fence whether this one sleeps: what it wrote at the same
    // moment is there to be seen by now.
    thread::park_timeout(MOMENT);
    if live::open_pages().any(|(_, page)| works(page)) {
        ASLEEP.store(false, SeqCst);
        return;
    }
    while ASLEEP.load(SeqCst) && !ENDS.load(SeqCst) {
        thread::park();
    }
}

fn works(page: &Page) -> bool {
    let phase = Phase::of(page[word::PHASE].load(SeqCst));
    matches!(phase, Phase::Running | Phase::WaitingForGil)
}

/// Looks at one loop; whether it works.
fn look(
    number: usize,
    page: &'static Page,
    watched: &mut Watched,
    now: u64,
    threshold: u64,
) -> bool {
    let sequence = page[word::SEQUENCE].load(Relaxed);
    let phase = Phase::of(page[word::PHASE].load(Relaxed));
    let begin = Scale::of(page).clock(page[word::BEGIN].load(Relaxed));
    let moved = sequence != watched.watch.sequence();
    // Whoever runs now is to be charged for it: see `probe`.
    page[word::DUE].store(0, Relaxed);
    match watched.watch.look(&Look { now, sequence, phase, begin }, threshold) {
        Act::Nothing => {}
        Act::Note => {
            watched.noted = Some(note(page[word::THREAD].load(Relaxed) as u32));
        }
        // Whoever wants the GIL now is ended, or stands still for ever: that is no fault.
        Act::Sample { .. } | Act::Over { .. } if is_finalizing() => return false,
        Act::Sample { blocked, report: wanted } => {
            let noted = *watched.noted.get_or_insert_with(|| {
                // This thread came late itself, on a busy machine. What the loop's has used since
                // it began would tell nothing: a moment tells what it does now.
                let noted = note(page[word::THREAD].load(Relaxed) as u32);
                thread::sleep(MOMENT);
                noted
            });
            let sample = sample(page, sequence, phase, blocked, noted, threshold);
            let Some(sample) = sample else { return true };
            if !sample.is_debugged() && !is_ours(&sample) {
                take(number, page, watched, sample, wanted);
            }
        }
        Act::Over { blocked, .. } => over(number, page, watched, blocked),
    }
    moved || matches!(phase, Phase::Running | Phase::WaitingForGil)
}

/// The diagnostics themselves, or the engine between two callbacks: nothing that a program does.
fn is_ours(sample: &Sample) -> bool {
    matches!(sample.subject, Subject::Callback("diagnostics", _))
}

fn take(number: usize, page: &Page, watched: &mut Watched, sample: Sample, wanted: Option<u32>) {
    let starved = matches!(sample.cause, Cause::Starved | Cause::Stopped | Cause::Unknown);
    if watched.samples.len() == KEPT {
        watched.samples.remove(1);
    }
    watched.samples.push(sample);
    // While nothing in the program is to blame it is only said if it lasts.
    let patient = starved && wanted.is_none_or(|repeated| repeated < 2);
    let wanted = wanted.is_some() || watched.told.is_none();
    if watched.kept_back || !wanted || (patient && watched.told.is_none()) {
        return;
    }
    let code = blocked::code(&watched.samples);
    let finding = blocked::while_blocked(page, &watched.samples, watched.told.is_some());
    if report(&finding, number as u32) {
        watched.told = Some(watched.told.unwrap_or(code));
        page[word::REPORTED].store(1, Relaxed);
    } else {
        watched.kept_back = true;
    }
}

fn over(number: usize, page: &Page, watched: &mut Watched, blocked: u64) {
    let samples = std::mem::take(&mut watched.samples);
    watched.noted = None;
    watched.kept_back = false;
    let told = watched.told.take();
    // The first sample that says something: later ones may be of its end.
    let cause = samples.iter().map(|sample| sample.cause);
    let cause = cause.max_by_key(|cause| !matches!(cause, Cause::Starved | Cause::Unknown));
    if let Some(cause) = cause {
        add(&page[word::BLOCKS + cause as usize], 1);
        add(&page[word::BLOCK_SUM], blocked);
        count(page, word::BLOCK_DURATIONS, blocked);
        let longest = page[word::BLOCK_LONGEST].load(Relaxed).max(blocked);
        page[word::BLOCK_LONGEST].store(longest, Relaxed);
    }
    if let Some(code) = told {
        report(&blocked::when_over(code, &samples, blocked), number as u32);
    }
    page[word::REPORTED].store(0, Relaxed);
}

/// What is to be seen of a loop that does not go on; none if it has gone on meanwhile.
fn sample(
    page: &'static Page,
    sequence: u64,
    phase: Phase,
    blocked: u64,
    (then, used, switches): Noted,
    threshold: u64,
) -> Option<Sample> {
    let unchanged = || page[word::SEQUENCE].load(Relaxed) == sequence;
    let thread = page[word::THREAD].load(Relaxed) as u32;
    let state = page[word::THREAD_STATE].load(Relaxed) as usize;
    let until = page[word::RUN_FRAME].load(Relaxed) as usize;
    let stack = walk::stack(state, until, unchanged);
    let kernel = cause::ask(thread);
    let now = monotonic_nanoseconds();
    let spent = Spent {
        // A thread of the parent, in a child that was forked while its loop ran, is not there.
        computed: processor_time(thread)?.saturating_sub(used),
        passed: now.saturating_sub(then).max(1),
        switches: kernel.switches.saturating_sub(switches),
        without_gil: is_without_gil(state),
    };
    let mut why = cause::of(&kernel, &spent, threshold);
    let collection = collector::of_thread(thread).filter(|collection| {
        // Most of the time went there.
        let took = Scale::of(page).duration(ticks().saturating_sub(collection.begin));
        took * 2 >= blocked
    });
    if collection.is_some() {
        why = Cause::Gc;
    } else if phase == Phase::WaitingForGil {
        why = Cause::Gil;
    }
    if why == Cause::Gil && walk::threads(state).iter().all(|other| other.number == thread) {
        // There is nobody to keep it.
        why = if kernel.state == 'R' { Cause::Starved } else { Cause::Unknown };
    }
    let others = match why {
        Cause::Gil => holder(state, thread).into_iter().collect(),
        Cause::Lock => other_threads(state, thread),
        _ => Vec::new(),
    };
    let subject = subject::current(page);
    let own_future = matches!(why, Cause::Lock) && waits_for_itself(page, stack.as_deref());
    let still = why == Cause::Cpu && {
        thread::sleep(Duration::from_millis(1));
        let again = walk::stack(state, until, unchanged);
        match (&stack, &again) {
            (Some(one), Some(other)) => {
                one.first().zip(other.first()).is_some_and(|(one, other)| one.is_where(other))
            }
            _ => false,
        }
    };
    unchanged().then_some(Sample {
        blocked,
        subject,
        stack,
        kernel,
        cause: why,
        computed: (spent.computed, spent.passed),
        others,
        collection: collection.map(|collection| collection.generation),
        still,
        own_future,
    })
}

/// Whether the thread waits for a future that a callback in its own queue is to complete.
fn waits_for_itself(page: &Page, stack: Option<&[walk::Frame]>) -> bool {
    let waits = |frame: &&walk::Frame| {
        frame.file.ends_with("/concurrent/futures/_base.py")
            && matches!(&*frame.function, "Future.result" | "Future.exception")
    };
    let Some(frame) = stack.and_then(|stack| stack.iter().find(waits)) else { return false };
    let Some(future) = frame.first_local() else { return false };
    (0..8).any(|call| {
        let function = page[word::OWN_CALLED + call].load(Relaxed) as usize;
        subject::submits(function, future)
    })
}

/// Whether another thread has the GIL, at several looks; none where the interpreter does not tell.
fn is_without_gil(state: usize) -> Option<bool> {
    for _ in 0..3 {
        // One that is free is taken within microseconds by whoever waits for it.
        if [Gil::Free, Gil::Held(state)].contains(&walk::gil(state)?) {
            return Some(false);
        }
        thread::sleep(Duration::from_micros(500));
    }
    Some(true)
}

/// The thread that keeps the GIL from another.
fn holder(state: usize, own: u32) -> Option<OtherThread> {
    let threads: Vec<_> =
        walk::threads(state).into_iter().filter(|other| other.number != own).collect();
    // It is let go of and taken again all the time.
    let told = (0..5).find_map(|_| {
        let told = walk::gil(state)?;
        let found = threads.iter().find(|other| Gil::Held(other.state) == told);
        if found.is_none() {
            thread::sleep(Duration::from_micros(500));
        }
        found
    });
    let found = match told {
        Some(found) => found,
        None => {
            let numbers: Vec<u32> = threads.iter().map(|other| other.number).collect();
            let busiest = cause::busiest(&numbers)?;
            threads.iter().find(|other| other.number == busiest)?
        }
    };
    let stack = walk::stack(found.state, 0, || true).unwrap_or_default();
    Some(OtherThread { number: found.number, name: thread_names::of(found.number), stack })
}

/// Other threads that run code of the program.
fn other_threads(state: usize, thread: u32) -> Vec<OtherThread> {
    let others = walk::threads(state).into_iter().filter(|other| other.number != thread);
    others
        .filter_map(|other| Some((other.number, walk::stack(other.state, 0, || true)?)))
        .filter(|(_, stack)| !stack.is_empty())
        .take(OTHERS)
        .map(|(number, stack)| OtherThread { number, name: thread_names::of(number), stack })
        .collect()
}
