//! The writing thread: takes batches until there are no more, and accounts for what is lost.

use super::queue::{Batch, Outcome, Queue};
use super::sink::Sink;
use crate::access_log::format::Notice;
use std::io;
use std::sync::Arc;

/// Starts a thread that writes to `sink`, and returns the queue that it reads.
pub(super) fn start(sink: Arc<Sink>, notice: Notice, capacity: usize) -> io::Result<Arc<Queue>> {
    let queue = Arc::new(Queue::new(capacity));
    let thread = WritingThread { queue: Arc::clone(&queue), sink, notice, unreported: 0 };
    // Nobody joins it: a process that was forked could not, and `Queue::close` waits with a limit.
    std::thread::Builder::new().name("vivace-log".to_owned()).spawn(move || thread.run())?;
    Ok(queue)
}

struct WritingThread {
    queue: Arc<Queue>,
    sink: Arc<Sink>,
    notice: Notice,
    /// Lost lines of which no line in the log tells yet.
    unreported: u64,
}

impl WritingThread {
    fn run(mut self) {
        // Also if this thread panics, nobody waits for it.
        let _end = EndOnDrop(Arc::clone(&self.queue));
        let mut spare = Vec::new();
        loop {
            let batch = self.queue.take(spare);
            let outcome = self.write(&batch);
            self.queue.finish(&outcome);
            if batch.last {
                break;
            }
            spare = batch.lines;
            spare.clear();
        }
    }

    /// Writes the lines, and a notice where lines are missing: before these if others could not be
    /// written, behind them if more did not fit.
    fn write(&mut self, batch: &Batch) -> Outcome {
        let mut outcome = Outcome { lost: 0, failed: !self.report() };
        let mut lines = &batch.lines[..];
        if let Some(change) = &batch.sink_change {
            let (before, after) = lines.split_at(change.position);
            self.write_lines(before, &mut outcome);
            self.sink = Arc::clone(&change.sink);
            lines = after;
        }
        self.write_lines(lines, &mut outcome);
        self.unreported += batch.refused;
        if !outcome.failed {
            outcome.failed = !self.report();
        }
        outcome
    }

    fn write_lines(&mut self, lines: &[u8], outcome: &mut Outcome) {
        if let Err(rest) = self.sink.write_lines(lines, || self.queue.is_abandoned()) {
            let lost = rest.iter().filter(|&&byte| byte == b'\n').count() as u64;
            self.unreported += lost;
            outcome.lost += lost;
            outcome.failed = true;
        }
    }

    /// Says how many lines were lost, if any were; whether that has worked.
    fn report(&mut self) -> bool {
        if self.unreported == 0 {
            return true;
        }
        let mut line = Vec::new();
        self.notice.push(self.unreported, &mut line);
        let written = self.sink.write_lines(&line, || self.queue.is_abandoned()).is_ok();
        if written {
            self.unreported = 0;
        }
        written
    }
}

struct EndOnDrop(Arc<Queue>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}
