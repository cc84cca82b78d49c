//! The file of this process: made when its first loop runs, removed when it ends in order.
//!
//! The memory is there before the file, for the pages of the loops, and stays if no file can be
//! made (a full disk, a folder of another user): then nobody can look, and nothing else changes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use pyo3::prelude::*;
use vivace_see::finding::{Finding, Origin};
use vivace_see::live::Page;
use vivace_see::report::Listener;
use vivace_see::ring::layout;
use vivace_see::ring::places;
use vivace_see::ring::writer::{Memory, Process, Writer};
use vivace_sys::clock::{monotonic_nanoseconds, ticks, unix_seconds_exact};
use vivace_sys::process;
use vivace_sys::shared_map::SharedMap;

use super::{attend, jobs, reporter, settings};

/// The memory of the file, for `vivace-see`, which knows no system calls.
pub(crate) struct Mapped(&'static SharedMap);

impl Memory for Mapped {
    fn words(&self) -> &'static [AtomicU64] {
        self.0.words()
    }
    fn reserve(&self, offset: usize, length: usize) -> bool {
        self.0.reserve(offset, length)
    }
}

fn memory() -> Option<&'static Writer<Mapped>> {
    static WRITER: OnceLock<Option<Writer<Mapped>>> = OnceLock::new();
    let made = WRITER.get_or_init(|| {
        if !settings().is_on() {
            return None;
        }
        Some(Writer::new(Mapped(SharedMap::new(layout::LENGTH).ok()?)))
    });
    made.as_ref()
}

/// The process that has a file; a forked child has not, until a loop runs there.
static STARTED_BY: AtomicU32 = AtomicU32::new(0);

fn has_begun() -> bool {
    STARTED_BY.load(Ordering::Acquire) == process::number()
}

/// Writes the file of this process; none if it has none, or not yet.
pub(crate) fn writer() -> Option<&'static Writer<Mapped>> {
    if has_begun() { memory() } else { None }
}

/// The page of a loop in the file; none for the ninth loop and later ones.
pub(crate) fn page(event_loop: usize) -> Option<&'static Page> {
    memory()?.counters(event_loop)
}

/// How many findings there were of each code of [`layout::COUNTED`].
pub(super) fn found() -> &'static [AtomicU64] {
    static WITHOUT_MEMORY: [AtomicU64; layout::COUNTED.len()] =
        [const { AtomicU64::new(0) }; layout::COUNTED.len()];
    memory().map_or(&WITHOUT_MEMORY, Writer::found)
}

/// The words of the file, as this process sees them; none if no loop has run.
pub(crate) fn words() -> Option<&'static [AtomicU64]> {
    writer().map(|writer| writer.memory().words())
}

static PATH: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The path of the file of this process, if it has one.
pub(crate) fn path() -> Option<PathBuf> {
    if !has_begun() {
        return None;
    }
    PATH.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The folder of the files of this user.
pub(crate) fn folder() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR");
    places::folder(settings().folder.as_deref(), runtime, process::effective_user())
}

/// Findings are kept in the file, too.
struct Keeper;

impl Listener for Keeper {
    fn found(&self, _finding: &Finding, origin: &Origin, json: &str) {
        if let Some(writer) = writer() {
            writer.finding(json, (origin.time * 1e9) as u64);
        }
    }
}

/// A loop begins to run: makes the file, if this process has none yet.
pub(crate) fn start(event_loop: usize) {
    let Some(memory) = memory() else { return };
    if !has_begun() {
        begin(memory);
    }
    memory.set_loops(event_loop as u64 + 1);
}

#[cold]
fn begin(memory: &'static Writer<Mapped>) {
    static SET_UP: AtomicBool = AtomicBool::new(false);
    let pid = process::number();
    let folder = folder();
    memory.memory().0.forget_file();
    let Some(stat) = places::stat(pid) else { return };
    let name = places::file_name(pid);
    if let Err(error) = memory.memory().0.keep_in(&folder, &name, layout::RESERVED) {
        if settings().folder.is_some() && !SET_UP.load(Ordering::Relaxed) {
            attend::say(&format!("vivace: VIVACE_DIAG_DIR={}: {error}\n", folder.display()));
        }
    } else {
        *PATH.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.join(name));
        places::clean(&folder);
    }
    memory.begin(&Process {
        pid,
        start_time: stat.start_time,
        uid: process::effective_user(),
        control: settings().control,
        clocks: [ticks(), monotonic_nanoseconds(), (unix_seconds_exact() * 1e9) as u64],
        argv: &process::arguments(),
        python: Python::version_str().split(' ').next().unwrap_or(""),
        vivace: env!("CARGO_PKG_VERSION"),
    });
    STARTED_BY.store(pid, Ordering::Release);
    if !SET_UP.swap(true, Ordering::Relaxed) {
        reporter().listen(Box::new(Keeper));
        process::at_exit(end);
    }
    jobs::forget();
    attend::start();
}

/// The process ends in order.
fn end() {
    if let Some(path) = path() {
        STARTED_BY.store(0, Ordering::Release);
        let _gone = std::fs::remove_file(path.with_extension("sock"));
        let _gone = std::fs::remove_file(path.with_extension(places::TRACE));
        let _gone = std::fs::remove_file(path);
    }
}

/// `see_snapshot(rows, left_out)`: keeps the tasks, JSON objects, and how many are not among them.
#[pyfunction]
fn see_snapshot(rows: Vec<String>, left_out: u64) {
    if let Some(writer) = writer() {
        let times = [monotonic_nanoseconds(), (unix_seconds_exact() * 1e9) as u64];
        writer.snapshot(&rows, left_out, times);
    }
}

/// `see_watched()`: how many seconds ago somebody looked at the file; negative if nobody ever did.
#[pyfunction]
fn see_watched() -> f64 {
    match writer().map_or(0, Writer::watched) {
        0 => -1.0,
        when => monotonic_nanoseconds().saturating_sub(when) as f64 / 1e9,
    }
}

/// Adds the functions to the module.
pub(super) fn add_functions(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(see_snapshot, module)?)?;
    module.add_function(wrap_pyfunction!(see_watched, module)?)?;
    Ok(())
}
