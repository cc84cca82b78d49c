//! From the file that was recorded to the file that somebody opens.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use super::chrome::ChromeWriter;
use super::file::{Consumer, Head, Totals, read_pieces};
use super::name::Name;
use super::page::PageWriter;
use super::perfetto::PerfettoWriter;
use super::record::Record;
use super::summary::{Counter, Summary};

/// What somebody opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A page with a viewer in it, for any browser.
    Page,
    /// For ui.perfetto.dev.
    Perfetto,
    /// For `chrome://tracing` and others.
    Chrome,
}

impl Format {
    /// By the end of the file's name.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
        if ends(&[".html", ".htm"]) {
            Some(Self::Page)
        } else if ends(&[".pftrace", ".perfetto-trace"]) {
            Some(Self::Perfetto)
        } else if ends(&[".json"]) {
            Some(Self::Chrome)
        } else {
            None
        }
    }
}

/// Someone who writes a file of one of the formats.
enum Writer<W: Write> {
    Page(Box<PageWriter<W>>),
    Perfetto(PerfettoWriter<W>),
    Chrome(ChromeWriter<W>),
}

/// Writes and counts.
pub struct Conversion<W: Write> {
    head: Head,
    counter: Counter,
    writer: Writer<W>,
}

impl<W: Write> Conversion<W> {
    /// Begins the file.
    pub fn new(format: Format, head: Head, output: W) -> io::Result<Self> {
        let writer = match format {
            Format::Page => Writer::Page(Box::new(PageWriter::new(output, head.begin)?)),
            Format::Perfetto => Writer::Perfetto(PerfettoWriter::new(output, &head)?),
            Format::Chrome => Writer::Chrome(ChromeWriter::new(output, &head)?),
        };
        Ok(Self { head, counter: Counter::default(), writer })
    }

    /// Ends the file.
    pub fn finish(self, totals: Option<Totals>) -> io::Result<Summary> {
        let summary = self.counter.finish(Some(self.head.begin), totals);
        match self.writer {
            Writer::Page(page) => {
                let meta = serde_json::json!({
                    "command": self.head.command,
                    "pid": self.head.pid,
                    "unix": self.head.unix,
                    "blocked": self.head.blocked,
                    "version": env!("CARGO_PKG_VERSION"),
                    "summary": summary,
                });
                drop(page.finish(&meta.to_string())?);
            }
            Writer::Perfetto(writer) => drop(writer.finish()?),
            Writer::Chrome(writer) => drop(writer.finish()?),
        }
        Ok(summary)
    }

    fn consumer(&mut self) -> &mut dyn Consumer {
        match &mut self.writer {
            Writer::Page(writer) => writer.as_mut(),
            Writer::Perfetto(writer) => writer,
            Writer::Chrome(writer) => writer,
        }
    }
}

impl<W: Write> Consumer for Conversion<W> {
    fn name(&mut self, number: u32, name: &Name) -> io::Result<()> {
        self.counter.name(number, name)?;
        self.consumer().name(number, name)
    }

    fn record(&mut self, event_loop: u16, record: &Record) -> io::Result<()> {
        self.counter.record(event_loop, record)?;
        self.consumer().record(event_loop, record)
    }
}

/// Makes `output` of the trace `input`.
pub fn convert(input: &Path, output: &Path, format: Format) -> io::Result<Summary> {
    let mut input = BufReader::with_capacity(1 << 16, File::open(input)?);
    let head = Head::read(&mut input)?;
    let output = BufWriter::with_capacity(1 << 16, File::create(output)?);
    let mut conversion = Conversion::new(format, head, output)?;
    let totals = read_pieces(&mut input, &mut conversion)?;
    conversion.finish(totals)
}
