//! Takes events while a trace runs and writes them into its file.
//!
//! There is one recorder for all loops of a process. Events are kept until there are some
//! thousands, or for a second while a loop works, so that a process that is killed leaves most of
//! them; names are written before the events that mean them. When the file has reached its size, or
//! cannot be written, further events are only counted.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::file::{Head, Totals, write_names, write_records, write_totals};
use super::name::{Name, Names};
use super::record::{Kind, Record};

/// How many bytes of events of one loop are kept.
const KEPT: usize = 1 << 16;
/// For how many nanoseconds, at most, while loops take turns.
const KEPT_FOR: u64 = 1_000_000_000;

struct Inner<W: Write> {
    output: W,
    names: Names,
    /// Names that are not written yet.
    new_names: Vec<u8>,
    /// Events that are not written yet, by the number of the loop.
    loops: Vec<Vec<u8>>,
    written: u64,
    /// When the last event was that all were written at.
    flushed: u64,
    error: Option<io::Error>,
    totals: Totals,
}

/// See the module.
pub struct Recorder<W: Write = BufWriter<File>> {
    inner: Mutex<Inner<W>>,
    limit: u64,
}

impl Recorder {
    /// Begins a file of at most `limit` bytes; it must not be there yet.
    pub fn create(path: &Path, head: &Head, limit: u64) -> io::Result<Self> {
        Self::new(BufWriter::new(File::create_new(path)?), head, limit)
    }
}

impl<W: Write> Recorder<W> {
    /// Writes the head.
    pub fn new(mut output: W, head: &Head, limit: u64) -> io::Result<Self> {
        head.write(&mut output)?;
        output.flush()?;
        let inner = Inner {
            output,
            names: Names::default(),
            new_names: Vec::new(),
            loops: Vec::new(),
            written: 0,
            flushed: head.begin,
            error: None,
            totals: Totals::default(),
        };
        Ok(Self { inner: Mutex::new(inner), limit })
    }

    /// The number of a name; 0 if it is new and nothing is written any more.
    pub fn name(&self, name: &Name) -> u32 {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.has_ended(self.limit) {
            return inner.names.number_of_few(name, 0).map_or(0, |(number, _)| number);
        }
        let (number, new) = inner.names.number(name);
        if new {
            name.write(number, &mut inner.new_names);
        }
        number
    }

    /// Records an event of a loop.
    #[inline]
    pub fn record(&self, event_loop: u16, record: Record) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if record.kind == Kind::Step {
            inner.totals.steps += 1;
            inner.totals.busy += record.nanoseconds();
        }
        let index = usize::from(event_loop);
        if index >= inner.loops.len() {
            inner.loops.resize_with(index + 1, Vec::new);
        }
        let kept = &mut inner.loops[index];
        kept.extend_from_slice(&record.bytes());
        if kept.len() >= KEPT {
            inner.flush(index, self.limit);
        } else if record.kind == Kind::Queues
            && record.time.saturating_sub(inner.flushed) >= KEPT_FOR
        {
            inner.flushed = record.time;
            inner.flush_all(self.limit);
        }
    }

    /// Writes what is kept, and the end; the answer is what was counted.
    pub fn finish(&self, end: u64) -> io::Result<Totals> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.flush_all(self.limit);
        inner.totals.end = end;
        let totals = inner.totals;
        if let Some(error) = inner.error.take() {
            return Err(error);
        }
        write_totals(&mut inner.output, &totals)?;
        inner.output.flush()?;
        Ok(totals)
    }
}

impl<W: Write> Inner<W> {
    /// Nothing is written any more.
    fn has_ended(&self, limit: u64) -> bool {
        self.written >= limit || self.error.is_some()
    }

    /// Writes all that is kept, so that it is there if the process is killed.
    fn flush_all(&mut self, limit: u64) {
        for index in 0..self.loops.len() {
            self.flush(index, limit);
        }
        if let (None, Err(error)) = (&self.error, self.output.flush()) {
            self.error = Some(error);
        }
    }

    fn flush(&mut self, index: usize, limit: u64) {
        if self.loops[index].is_empty() {
            return;
        }
        let mut records = std::mem::take(&mut self.loops[index]);
        if self.written + (self.new_names.len() + records.len()) as u64 > limit {
            // From now on nothing is written: a file with holes would tell of waits that were none.
            self.written = limit;
        }
        if self.has_ended(limit) {
            self.new_names = Vec::new();
            self.totals.dropped += (records.len() / Record::SIZE) as u64;
        } else if let Err(error) = self.write(index, &records) {
            self.totals.dropped += (records.len() / Record::SIZE) as u64;
            self.error = Some(error);
        }
        records.clear();
        self.loops[index] = records;
    }

    fn write(&mut self, index: usize, records: &[u8]) -> io::Result<()> {
        if !self.new_names.is_empty() {
            write_names(&mut self.output, &self.new_names)?;
            self.written += self.new_names.len() as u64;
            self.new_names.clear();
        }
        self.written += records.len() as u64;
        write_records(&mut self.output, index as u16, records)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::trace::file::{Consumer, read_pieces};
    use crate::trace::summary::Counter;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_process_that_is_killed_leaves_all_but_the_last_second() {
        const SECOND: u64 = 1_000_000_000;
        let written = Shared::default();
        let head = Head { begin: 5 * SECOND, ..Head::default() };
        let output = BufWriter::new(written.clone());
        let recorder = Recorder::new(output, &head, u64::MAX).expect("memory");
        let steps = || {
            let bytes = written.0.lock().expect("nobody panicked").clone();
            let mut input = bytes.as_slice();
            Head::read(&mut input).expect("the head is there from the beginning");
            let mut counter = Counter::default();
            read_pieces(&mut input, &mut counter).expect("pieces");
            counter.finish(None, None).steps
        };
        recorder.record(0, Record::slice(Kind::Step, 5 * SECOND, 5 * SECOND + 9, 1));
        recorder.record(0, Record::new(Kind::Queues, 5 * SECOND + 10, 0, 1));
        assert_eq!(steps(), 0);
        recorder.record(1, Record::slice(Kind::Step, 6 * SECOND, 6 * SECOND + 9, 2));
        recorder.record(0, Record::new(Kind::Queues, 6 * SECOND + 10, 0, 1));
        assert_eq!(steps(), 2);
        // Leaving it out must not write what is kept.
        std::mem::forget(recorder);
    }

    #[test]
    fn beyond_the_limit_no_names_are_kept() {
        let recorder = Recorder::new(Vec::new(), &Head::default(), 100).expect("memory");
        let name = |number: u32| Name { text: format!("Task-{number}"), ..Name::default() };
        let first = recorder.name(&name(0));
        for number in 0..2 * (KEPT / Record::SIZE) as u32 {
            recorder.record(0, Record::new(Kind::Named, 0, number, recorder.name(&name(number))));
        }
        assert_eq!(recorder.name(&name(u32::MAX)), 0);
        assert_eq!(recorder.name(&name(0)), first);
        let inner = recorder.inner.into_inner().expect("nobody panicked");
        assert!(inner.new_names.is_empty());
    }

    fn recorded(steps: u32, limit: u64) -> (Vec<u8>, Totals) {
        let recorder = Recorder::new(Vec::new(), &Head::default(), limit).expect("memory");
        for step in 0..steps {
            let name = Name { text: format!("f{step}"), ..Name::default() };
            let number = recorder.name(&name);
            recorder.record(1, Record::new(Kind::Coroutine, u64::from(step), step, number));
            recorder.record((step % 3) as u16, Record::slice(Kind::Step, 10, 15, step));
        }
        let totals = recorder.finish(99).expect("memory takes all");
        let inner = recorder.inner.into_inner().expect("nobody panicked");
        (inner.output, totals)
    }

    #[test]
    fn all_that_was_recorded_is_read() {
        let (bytes, totals) = recorded(20_000, u64::MAX);
        assert_eq!(totals, Totals { end: 99, dropped: 0, steps: 20_000, busy: 100_000 });
        let mut input = bytes.as_slice();
        Head::read(&mut input).expect("a head");
        let mut counter = Counter::default();
        assert_eq!(read_pieces(&mut input, &mut counter).expect("pieces"), Some(totals));
        let summary = counter.finish(Some(0), Some(totals));
        assert_eq!((summary.steps, summary.records), (20_000, 40_000));
        assert_eq!((summary.tasks, summary.loops), (20_000, 3));
    }

    #[test]
    fn what_is_beyond_the_limit_is_counted() {
        let (bytes, totals) = recorded(20_000, 200_000);
        assert!(bytes.len() < 210_000, "{} bytes", bytes.len());
        assert_eq!(totals.steps, 20_000);
        struct Names(u64, u64);
        impl Consumer for Names {
            fn name(&mut self, _: u32, _: &Name) -> io::Result<()> {
                self.0 += 1;
                Ok(())
            }
            fn record(&mut self, _: u16, _: &Record) -> io::Result<()> {
                self.1 += 1;
                Ok(())
            }
        }
        let mut input = bytes.as_slice();
        Head::read(&mut input).expect("a head");
        let mut seen = Names(0, 0);
        read_pieces(&mut input, &mut seen).expect("pieces");
        assert_eq!(seen.1 + totals.dropped, 40_000);
        assert!(seen.1 > 0 && seen.0 > 0);
    }

    #[test]
    fn a_disk_that_is_full_is_told_of_at_the_end() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if bytes.len() > 1000 { Err(io::Error::other("no room")) } else { Ok(bytes.len()) }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let recorder = Recorder::new(Full, &Head::default(), u64::MAX).expect("the head is small");
        for _ in 0..10_000 {
            recorder.record(0, Record::new(Kind::Lag, 0, 0, 0));
        }
        assert_eq!(recorder.finish(1).expect_err("no room").to_string(), "no room");
    }
}
