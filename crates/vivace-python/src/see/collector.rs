//! Pauses of the garbage collector, by `gc.callbacks`: it costs something for each collection, and
//! nothing else.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use vivace_see::live::{Scale, add, word};
use vivace_sys::clock::ticks;

use super::{live, trace};

/// The number of the thread that collects; 0 if none does.
static THREAD: AtomicU64 = AtomicU64::new(0);
/// The counter when it began.
static BEGIN: AtomicU64 = AtomicU64::new(0);
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// A collection that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Collection {
    /// The counter when it began.
    pub(super) begin: u64,
    pub(super) generation: u64,
}

/// The collection that a thread is in.
pub(super) fn of_thread(thread: u32) -> Option<Collection> {
    if thread == 0 || THREAD.load(Relaxed) != u64::from(thread) {
        return None;
    }
    Some(Collection { begin: BEGIN.load(Relaxed), generation: GENERATION.load(Relaxed) })
}

/// Called by the collector before and after.
#[pyfunction]
fn see_collection(phase: &str, info: &Bound<'_, PyDict>) -> PyResult<()> {
    let thread = vivace_sys::thread::number();
    if phase == "start" {
        let generation = info.get_item("generation")?.map_or(Ok(0), |value| value.extract())?;
        GENERATION.store(generation, Relaxed);
        BEGIN.store(ticks(), Relaxed);
        THREAD.store(u64::from(thread), Relaxed);
        return Ok(());
    }
    let (begin, end) = (BEGIN.load(Relaxed), ticks());
    let took = end.saturating_sub(begin);
    THREAD.store(0, Relaxed);
    for (number, page) in live::open_pages() {
        if page[word::THREAD].load(Relaxed) == u64::from(thread) {
            add(&page[word::GC], Scale::of(page).duration(took));
            if trace::is_on() {
                trace::collected(number, page, begin, end, GENERATION.load(Relaxed));
            }
        }
    }
    Ok(())
}

/// Listens to the collector: once.
pub(super) fn watch() {
    static WATCHES: AtomicBool = AtomicBool::new(false);
    if WATCHES.swap(true, Relaxed) {
        return;
    }
    Python::attach(|py| {
        let listen = || -> PyResult<()> {
            let module = py.import("vivace._native")?;
            let function = wrap_pyfunction!(see_collection, &module)?;
            py.import("gc")?.getattr("callbacks")?.call_method1("append", (function,))?;
            Ok(())
        };
        // Without it pauses are taken for computing.
        let _deaf = listen();
    });
}
