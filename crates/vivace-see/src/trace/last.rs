//! A timeline of what the file of a process has kept: the steps and callbacks that took long.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use super::convert::{Conversion, Format};
use super::file::{Consumer, Head, Totals};
use super::name::Name;
use super::record::{Kind, Record};
use super::summary::Summary;
use crate::ring::places::{Life, life};
use crate::ring::reader::Reader;

/// Makes `output` of the last so many nanoseconds before `now` (of CLOCK_MONOTONIC), or before the
/// last event if the process has ended.
pub fn convert_last(
    file: &Path,
    last: u64,
    now: u64,
    blocked: u64,
    (output, format): (&Path, Format),
) -> io::Result<Summary> {
    let foreign = |problem| match problem {
        crate::ring::reader::Problem::Io(error) => error,
        crate::ring::reader::Problem::Foreign(text) => io::Error::other(text),
    };
    let reader = Reader::open(file).map_err(foreign)?;
    let about = reader.about().map_err(foreign)?;
    let names = reader.names().map_err(foreign)?;
    let events = reader.events().map_err(foreign)?;
    let records: Vec<(u16, Record)> =
        events.into_iter().filter_map(Record::from_words_of_loop).collect();
    let end_of = |record: &Record| match record.kind {
        Kind::Step | Kind::Callback => record.time + record.nanoseconds(),
        _ => record.time,
    };
    let latest = records.iter().map(|(_, record)| end_of(record)).max().unwrap_or(now);
    let end = if matches!(life(&about), Life::Running | Life::Stopped) { now } else { latest };
    let begin = end.saturating_sub(last);
    let since = about.clocks[1];
    let head = Head {
        pid: about.pid,
        begin: begin.max(since),
        unix: (about.clocks[2] as f64 + begin.max(since) as f64 - since as f64) / 1e9,
        blocked,
        command: about.argv.join(" "),
    };
    let output = BufWriter::with_capacity(1 << 16, File::create(output)?);
    let mut conversion = Conversion::new(format, head, output)?;
    let mut rest = names.as_slice();
    while let Some((number, name)) = Name::read(&mut rest) {
        conversion.name(number, &name)?;
    }
    let mut totals = Totals { end, ..Totals::default() };
    for (event_loop, record) in &records {
        // What was there before is of interest only for what goes on.
        if end_of(record) < begin {
            continue;
        }
        if record.kind == Kind::Step {
            totals.steps += 1;
            totals.busy += record.nanoseconds();
        }
        conversion.record(*event_loop, record)?;
    }
    conversion.finish(Some(totals))
}
