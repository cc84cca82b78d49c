//! Takes events while a trace runs and writes them into its file.
//!
//! There is one recorder for all loops of a process. Events are kept until there are some
//! thousands; names are written before the events that mean them. When the file has reached its
//! size, or cannot be written, further events are only counted.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::file::{Head, Totals, write_names, write_records, write_totals};
use super::name::{Name, Names};
use super::record::{Kind, Record};

/// How many bytes of events of one loop are kept.
const KEPT: usize = 1 << 16;

struct Inner<W: Write> {
    output: W,
    names: Names,
    /// Names that are not written yet.
    new_names: Vec<u8>,
    /// Events that are not written yet, by the number of the loop.
    loops: Vec<Vec<u8>>,
    written: u64,
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
        let inner = Inner {
            output,
            names: Names::default(),
            new_names: Vec::new(),
            loops: Vec::new(),
            written: 0,
            error: None,
            totals: Totals::default(),
        };
        Ok(Self { inner: Mutex::new(inner), limit })
    }

    /// The number of a name.
    pub fn name(&self, name: &Name) -> u32 {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
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
        }
    }

    /// Writes what is kept, and the end; the answer is what was counted.
    pub fn finish(&self, end: u64) -> io::Result<Totals> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for index in 0..inner.loops.len() {
            inner.flush(index, self.limit);
        }
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
    fn flush(&mut self, index: usize, limit: u64) {
        let mut records = std::mem::take(&mut self.loops[index]);
        if self.written + (self.new_names.len() + records.len()) as u64 > limit {
            // From now on nothing is written: a file with holes would tell of waits that were none.
            self.written = limit;
        }
        let full = self.written >= limit;
        if full || self.error.is_some() {
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
    use super::*;
    use crate::trace::file::{Consumer, read_pieces};
    use crate::trace::summary::Counter;

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
