//! The access log: a line for each request, formatted where the request ends, written elsewhere.
//!
//! 1. `record`: what there is to say about a request, borrowed;
//! 2. `format`: the choice of `uvicorn` (its line, byte for byte), `structured` (JSON, logfmt) and
//!    `atoms` (gunicorn's patterns); `escape` keeps hostile bytes from breaking a line;
//! 3. `writer`: a bounded queue and the thread that empties it.
//!
//! `AccessLog` joins them for one thread. After a fork the child calls
//! `AccessLog::after_fork_in_child`.

mod atoms;
mod escape;
mod format;
mod phrases;
mod record;
mod structured;
mod time_text;
mod uvicorn;
mod writer;

pub use atoms::PatternError;
pub use format::{Format, Notice};
pub use phrases::Phrases;
pub use record::{Client, HeaderLookup, Record};
use std::io;
use std::time::Duration;
pub use uvicorn::Colours;
pub use writer::{Destination, Flushed, Flusher, Options, Statistics, Writer};

/// A format with a writer.
pub struct AccessLog {
    format: Format,
    writer: Writer,
    line: Vec<u8>,
}

impl AccessLog {
    /// Opens the destination and starts the thread that writes.
    pub fn start(format: Format, destination: Destination, options: Options) -> io::Result<Self> {
        let writer = Writer::start(destination, format.notice(), options)?;
        Ok(Self { format, writer, line: Vec::new() })
    }

    /// Logs a request. Never waits for the destination.
    pub fn log(&mut self, record: &Record<'_>) {
        self.line.clear();
        self.format.push_line(record, &mut self.line);
        self.writer.write_line(&self.line);
    }

    /// How lines are made: which header fields they need.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Where lines go: to flush it, to ask how many were lost.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// See `Writer::reopen`.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.writer.reopen()
    }

    /// See `Writer::after_fork_in_child`.
    pub fn after_fork_in_child(&mut self) -> io::Result<()> {
        self.format.forked();
        self.writer.after_fork_in_child()
    }

    /// See `Writer::close`.
    pub fn close(self, timeout: Duration) -> Flushed {
        self.writer.close(timeout)
    }
}
