//! The numbers of a loop and of a task as Python reads them.

use std::sync::atomic::Ordering::Relaxed;

use vivace_see::live::word;
use vivace_sys::clock::ticks;

use crate::event_loop::Loop;
use crate::ffi::{Instance, Owned, Result, text};
use crate::see::probe::TaskProbe;

/// Durations in nanoseconds, as the engine counts them.
const COUNTERS: [(&str, usize); 17] = [
    ("iterations", word::ITERATIONS),
    ("steps", word::STEPS),
    ("callbacks", word::CALLBACKS),
    ("ready", word::READY),
    ("timers", word::TIMERS),
    ("busy", word::BUSY),
    ("idle", word::IDLE),
    ("gil_wait", word::GIL_WAIT),
    ("gc", word::GC),
    ("created", word::CREATED),
    ("ended_ok", word::ENDED_OK),
    ("ended_error", word::ENDED_ERROR),
    ("ended_cancelled", word::ENDED_CANCELLED),
    ("delay_sum", word::DELAY_SUM),
    ("block_sum", word::BLOCK_SUM),
    ("block_longest", word::BLOCK_LONGEST),
    ("thread", word::THREAD),
];

const HISTOGRAMS: [(&str, usize, usize); 4] = [
    ("delays", word::DELAYS, word::BUCKETS),
    ("durations", word::DURATIONS, word::BUCKETS),
    ("block_durations", word::BLOCK_DURATIONS, word::BUCKETS),
    ("blocks", word::BLOCKS, 8),
];

/// `_see_counters`: a dictionary; empty if nothing is looked at. Bucket `n` of a histogram counts
/// what took less than `2**n` nanoseconds; `blocks` counts by cause.
pub(crate) fn of_loop(event_loop: &Instance<Loop>) -> Result<Owned> {
    let counters = text::dict()?;
    let Some(page) = event_loop.see.page() else { return Ok(counters) };
    event_loop.see.settle();
    let set = |name: &str, value: &Owned| text::dict_set(&counters, &*text::string(name)?, value);
    for (name, word) in COUNTERS {
        set(name, &text::unsigned(page[word].load(Relaxed))?)?;
    }
    for (name, first, length) in HISTOGRAMS {
        let words = page[first..first + length].iter();
        let words = words.map(|word| text::unsigned(word.load(Relaxed)));
        set(name, &text::list(words.collect::<Result<Vec<_>>>()?)?)?;
    }
    Ok(counters)
}

/// `_see_request`: the request that a task was made for, `GET /items/7`; empty if there is none.
pub(crate) fn request_of(task: &TaskProbe) -> Result<Owned> {
    let label = match task.request() {
        0 => None,
        number => crate::see::request::label(number),
    };
    text::string(&label.unwrap_or_default())
}

/// `_see_numbers`: `(id, steps, age, busy, longest_delay, ready_for, parent)`, from the third to the
/// sixth in nanoseconds; zeros where nothing is looked at.
pub(crate) fn of_task(task: &TaskProbe, event_loop: Option<&Instance<Loop>>) -> Result<Owned> {
    let now = ticks();
    let duration = |ticks: u64| match event_loop {
        Some(event_loop) => text::unsigned(event_loop.see.scale().duration(ticks)),
        None => text::unsigned(0),
    };
    let since = |ticks: u64| match ticks {
        0 => duration(0),
        ticks => duration(now.saturating_sub(ticks)),
    };
    text::tuple(&[
        &*text::unsigned(task.id())?,
        &*text::unsigned(task.steps())?,
        &*since(task.created())?,
        &*duration(task.busy())?,
        &*duration(task.longest_delay())?,
        &*since(task.ready_since())?,
        &*text::unsigned(task.parent())?,
    ])
}
