//! Takes lines on the hot path and writes them on a thread of its own.
//!
//! ```text
//! write_line ──> queue (bounded) ──> writing thread ──> sink: stdout, a descriptor, a file
//! ```
//!
//! A line costs a short lock and a copy. The thread sleeps while there is nothing to do; the first
//! line wakes it, and it then lets more lines gather for `LINGER` before it writes them all, so
//! that at high rates nobody is woken but 25 times a second.
//!
//! Memory is bounded: at most `Options::capacity` bytes wait while as many are being written. What
//! does not fit, and what could not be written, is counted, and a line says how many.
//!
//! | part | what |
//! |---|---|
//! | `queue` | what the threads share |
//! | `thread` | the writing thread |
//! | `sink` | where lines go, in pieces that other processes cannot tear apart |

mod queue;
mod sink;
mod thread;

use super::format::Notice;
use queue::Queue;
use sink::Sink;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long lines gather before they are written together.
const LINGER: Duration = Duration::from_millis(40);

/// How long a writer that is dropped waits for a sink that does not take its lines.
const DROP_TIMEOUT: Duration = Duration::from_millis(250);

/// Where lines go.
#[derive(Debug)]
pub enum Destination {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
    /// A pipe, socket or file that is open already.
    Descriptor(OwnedFd),
    /// A file, to which lines are appended; `reopen` opens it anew.
    File(PathBuf),
}

/// Limits of a writer.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many bytes of lines may wait to be written.
    pub capacity: usize,
}

impl Default for Options {
    /// A mebibyte: ten thousand lines, or what 200,000 requests a second log in `LINGER`.
    fn default() -> Self {
        Self { capacity: 1 << 20 }
    }
}

/// What a writer has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Lines that were accepted.
    pub accepted: u64,
    /// Lines that were lost: there was no room, or writing failed.
    pub lost: u64,
    /// Batches that could not be written, or not to their end.
    pub errors: u64,
}

/// Whether everything that was logged before has left the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flushed {
    /// All of it was handed to the kernel, or is counted as lost.
    Done,
    /// The sink did not take it in time; it stays queued.
    TimedOut,
}

/// The end of the log that lines are put into. Lines of several threads do not mix.
pub struct Writer {
    queue: Arc<Queue>,
    sink: Arc<Sink>,
    /// What `reopen` opens, if the destination is a file.
    path: Option<PathBuf>,
    notice: Notice,
    options: Options,
}

/// Flushes a writer from another thread, and tells what it has done.
#[derive(Clone)]
pub struct Flusher(Arc<Queue>);

impl Writer {
    /// Opens the destination and starts the thread.
    pub fn start(destination: Destination, notice: Notice, options: Options) -> io::Result<Self> {
        let (sink, path) = match destination {
            Destination::Stdout => (Sink::stdout()?, None),
            Destination::Stderr => (Sink::stderr()?, None),
            Destination::Descriptor(fd) => (Sink::descriptor(fd)?, None),
            Destination::File(path) => (Sink::file(&path)?, Some(path)),
        };
        let sink = Arc::new(sink);
        let queue = thread::start(Arc::clone(&sink), notice, options.capacity)?;
        Ok(Self { queue, sink, path, notice, options })
    }

    /// Adds a line, which must end in a newline. Never blocks for the sink.
    pub fn write_line(&self, line: &[u8]) {
        debug_assert!(line.ends_with(b"\n"), "a line has an end");
        self.queue.push(line);
    }

    /// A handle that can be given to another thread.
    pub fn flusher(&self) -> Flusher {
        Flusher(Arc::clone(&self.queue))
    }

    /// Waits until all lines logged so far are written, at most for `timeout`.
    pub fn flush(&self, timeout: Duration) -> Flushed {
        self.queue.flush(timeout)
    }

    /// Opens a destination that is a file anew, after it was moved away. Lines logged before go to
    /// the old file, and all do if this fails. Does nothing for other destinations.
    pub fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            self.sink = Arc::new(Sink::file(path)?);
            self.queue.change_sink(Arc::clone(&self.sink));
        }
        Ok(())
    }

    /// What has been done so far.
    pub fn statistics(&self) -> Statistics {
        self.queue.statistics()
    }

    /// Starts anew in a child process that was forked: the thread stayed with the parent, and so
    /// do the lines that wait, for the parent writes them. To be called before anything else.
    pub fn after_fork_in_child(&mut self) -> io::Result<()> {
        // The thread may have held the lock when the process was forked: the queue is not touched
        // again, not even freed.
        let queue = thread::start(Arc::clone(&self.sink), self.notice, self.options.capacity)?;
        std::mem::forget(std::mem::replace(&mut self.queue, queue));
        Ok(())
    }

    /// Writes what waits and ends the thread. If the sink does not take it in time, the rest is
    /// given up.
    pub fn close(self, timeout: Duration) -> Flushed {
        self.queue.close(timeout)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.queue.close(DROP_TIMEOUT);
    }
}

impl Flusher {
    /// See `Writer::flush`.
    pub fn flush(&self, timeout: Duration) -> Flushed {
        self.0.flush(timeout)
    }

    /// What has been done so far.
    pub fn statistics(&self) -> Statistics {
        self.0.statistics()
    }
}
