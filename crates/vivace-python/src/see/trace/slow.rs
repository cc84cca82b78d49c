//! What took long, kept always, in the file of the process: for `vivace trace PID --last 10s`, also
//! after the process has been killed.
//!
//! Only steps and callbacks of 50 µs and more are kept, each with who it was, so that whatever is
//! older may be overwritten. What runs shorter pays one comparison.

use std::cell::Cell;
use std::sync::{LazyLock, Mutex, PoisonError};

use vivace_see::ring::writer::Writer;
use vivace_see::trace::name::{Name, Names};
use vivace_see::trace::record::{Actor, Kind, Record};
use vivace_sys::process;

use super::Sink;
use crate::event_loop::{Entry, Loop};
use crate::see::ring::{self, Mapped};

/// From when on something is kept, in nanoseconds.
pub(in crate::see) const SLOW: u64 = 50_000;

/// Names are kept until there are so many: a program may give each of its tasks another.
const MOST_NAMES: usize = 20_000;

/// The names that the file of this process has; a forked child has a file of its own.
static NAMES: LazyLock<Mutex<(u32, Names)>> = LazyLock::new(Mutex::default);

struct Kept(&'static Writer<Mapped>);

impl Sink for Kept {
    fn name(&self, name: &Name) -> u32 {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        let process = process::number();
        if names.0 != process {
            *names = (process, Names::default());
        }
        let Some((number, new)) = names.1.number_of_few(name, MOST_NAMES) else { return 0 };
        if new {
            let mut bytes = Vec::new();
            name.write(number, &mut bytes);
            // Without room for it, whoever reads shows a number.
            let _written = self.0.name(&bytes);
        }
        number
    }

    fn record(&self, event_loop: u16, record: Record) {
        self.0.event(record.words_of_loop(event_loop));
    }
}

/// In a connection: the number of its name in the file. One that moves much data takes long each
/// time.
#[derive(Default)]
pub(crate) struct Named(Cell<u32>);

impl Named {
    fn number(&self, find: impl FnOnce() -> u32) -> u32 {
        if self.0.get() == 0 {
            self.0.set(find());
        }
        self.0.get()
    }

    /// It is called after something else now.
    pub(crate) fn forget(&self) {
        self.0.set(0);
    }
}

/// Something has run long: so many ticks, until a reading of the counter.
#[cold]
pub(crate) fn ran_long(event_loop: &Loop, entry: &Entry, end: u64, took: u64) {
    let see = &event_loop.see;
    let Some(writer) = ring::writer() else { return };
    let (kept, words) = (Kept(writer), &see.trace.slow_words);
    let number = see.number() as u16;
    let scale = see.scale();
    let begin = scale.clock(end.saturating_sub(took));
    let end = begin + scale.duration(took);
    let record = |record| kept.record(number, record);
    let Entry::Step(task) = entry else {
        let function = match entry {
            Entry::Stream(stream) => stream.named.number(|| words.callback(entry, &kept)),
            _ => words.callback(entry, &kept),
        };
        record(Record::slice(Kind::Callback, begin, end, function));
        return;
    };
    let id = task.see.id() as u32;
    record(Record::new(Kind::Coroutine, begin, id, words.coroutine(task, &kept)));
    if task.is_named() {
        record(Record::new(Kind::Named, begin, id, words.name(task, &kept)));
    }
    let ready = scale.clock(task.see.ready_since());
    if ready <= begin {
        record(Record::new(Kind::Ready, ready, id, Actor::Nobody.bits()));
    }
    record(Record::slice(Kind::Step, begin, end, id));
    if let Some(reason) = words.reason(task, &kept) {
        record(Record::new(Kind::Wait, end, id, reason));
    }
}
