//! The pages of numbers of the process's loops.
//!
//! A loop has a place, and with it a page, from when it is opened until it is closed. Places are
//! used again, so that a process that runs one loop after the other has one page; their counters
//! go on.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use vivace_see::live::{Page, Scale, leaked_page, word};
use vivace_sys::clock::{monotonic_nanoseconds, ticks};

use super::ring;

/// Loops with a page; those beyond are not watched.
pub(crate) const PLACES: usize = 64;

static PAGES: [OnceLock<&'static Page>; PLACES] = [const { OnceLock::new() }; PLACES];

/// A bit for each place that is taken.
/// No lock: a process may fork at any moment.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// The page of a loop by its number, less than [`PLACES`].
pub(crate) fn live_page(number: usize) -> &'static Page {
    PAGES[number].get_or_init(|| ring::page(number).unwrap_or_else(leaked_page))
}

/// The pages of the loops that are open.
pub(crate) fn open_pages() -> impl Iterator<Item = (usize, &'static Page)> {
    let taken = TAKEN.load(Acquire);
    (0..PLACES).filter(move |number| taken & (1 << number) != 0).map(|n| (n, live_page(n)))
}

/// The pages of all loops that there have been, with their places.
pub(super) fn pages() -> Vec<(usize, &'static Page)> {
    let pages = PAGES.iter().enumerate();
    pages.filter_map(|(place, page)| Some((place, *page.get()?))).collect()
}

/// Takes the first place that is free.
pub(super) fn take_place() -> Option<usize> {
    let first_free = |taken: u64| (taken != u64::MAX).then(|| taken | (taken + 1));
    let before = TAKEN.fetch_update(AcqRel, Acquire, first_free).ok()?;
    Some(before.trailing_ones() as usize)
}

/// Gives a place back.
pub(super) fn leave_place(number: usize) {
    let page = live_page(number);
    for word in [
        word::PHASE,
        word::KIND,
        word::CURRENT,
        word::TASK,
        word::READY,
        word::TIMERS,
        word::DESCRIPTORS,
        word::DEADLOCKED,
        word::EXECUTOR,
        word::EXECUTOR + 1,
        word::ANYIO,
        word::ANYIO + 1,
        word::THREAD,
        word::THREAD_STATE,
        word::RUN_FRAME,
    ] {
        page[word].store(0, Relaxed);
    }
    TAKEN.fetch_and(!(1 << number), AcqRel);
}

static FIRST: (AtomicU64, AtomicU64) = (AtomicU64::new(0), AtomicU64::new(0));

/// Reads the counter and the clock for the first time: called at import.
pub(crate) fn begin_calibration() {
    FIRST.0.store(ticks(), Relaxed);
    FIRST.1.store(monotonic_nanoseconds(), Relaxed);
}

/// How long a tick is, from the time between the import and now: more exact with each call.
pub(super) fn scale() -> Scale {
    /// Enough for five digits.
    const ENOUGH: u64 = 2_000_000;
    let first = (FIRST.0.load(Relaxed), FIRST.1.load(Relaxed));
    loop {
        let now = (ticks(), monotonic_nanoseconds());
        if now.1.saturating_sub(first.1) >= ENOUGH {
            return Scale::between(first, now);
        }
        std::hint::spin_loop();
    }
}
