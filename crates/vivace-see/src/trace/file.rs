//! The file that a trace is recorded into: a head, then pieces in the order of their writing.
//!
//! All numbers are little endian. The head: `vivacetr`, version and process (32 bits each), begin
//! of the trace (ns of CLOCK_MONOTONIC), the same as seconds since 1970 (a double), from when on a
//! loop counts as blocked (ns), length of the command line (32 bits), the command line.
//!
//! A piece: kind (8 bits), 8 bits of nothing, loop (16 bits), length (32 bits), content. The file
//! of a process that was killed ends anywhere: whatever is whole is read.

use std::io::{self, ErrorKind, Read, Write};

use super::name::Name;
use super::record::Record;

const MAGIC: &[u8; 8] = b"vivacetr";
const VERSION: u32 = 1;
/// No piece is longer: a damaged file must not make a reader ask for all memory.
const LONGEST_PIECE: usize = 1 << 24;

/// What is known from the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// The process that was traced.
    pub pid: u32,
    /// Begin of the trace: ns of CLOCK_MONOTONIC.
    pub begin: u64,
    /// Begin of the trace: seconds since 1970.
    pub unix: f64,
    /// From when on a loop counts as blocked, in ns.
    pub blocked: u64,
    /// What was run.
    pub command: String,
}

impl Head {
    /// Writes it.
    pub fn write(&self, output: &mut impl Write) -> io::Result<()> {
        output.write_all(MAGIC)?;
        output.write_all(&VERSION.to_le_bytes())?;
        output.write_all(&self.pid.to_le_bytes())?;
        output.write_all(&self.begin.to_le_bytes())?;
        output.write_all(&self.unix.to_bits().to_le_bytes())?;
        output.write_all(&self.blocked.to_le_bytes())?;
        output.write_all(&(self.command.len() as u32).to_le_bytes())?;
        output.write_all(self.command.as_bytes())
    }

    /// Reads it.
    pub fn read(input: &mut impl Read) -> io::Result<Self> {
        let foreign = |what: &str| io::Error::new(ErrorKind::InvalidData, what.to_owned());
        if &array::<8>(input)? != MAGIC {
            return Err(foreign("this is no trace of vivace"));
        }
        let version = u32::from_le_bytes(array(input)?);
        if version != VERSION {
            return Err(foreign(&format!("a trace of version {version}, not {VERSION}")));
        }
        let pid = u32::from_le_bytes(array(input)?);
        let begin = u64::from_le_bytes(array(input)?);
        let unix = f64::from_bits(u64::from_le_bytes(array(input)?));
        let blocked = u64::from_le_bytes(array(input)?);
        let length = u32::from_le_bytes(array(input)?) as usize;
        if length > LONGEST_PIECE {
            return Err(foreign("a command line that is too long"));
        }
        let mut command = vec![0; length];
        input.read_exact(&mut command)?;
        let command = String::from_utf8_lossy(&command).into_owned();
        Ok(Self { pid, begin, unix, blocked, command })
    }
}

fn array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// What the recorder has counted by the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// When the trace ended: ns of CLOCK_MONOTONIC.
    pub end: u64,
    /// Records that there was no room for.
    pub dropped: u64,
    /// Steps of tasks, also those without a record.
    pub steps: u64,
    /// How long these took together, in ns.
    pub busy: u64,
}

/// The kinds of pieces.
mod kind {
    pub(super) const NAMES: u8 = 1;
    pub(super) const RECORDS: u8 = 2;
    pub(super) const TOTALS: u8 = 3;
}

fn write_piece(output: &mut impl Write, kind: u8, number: u16, bytes: &[u8]) -> io::Result<()> {
    let [low, high] = number.to_le_bytes();
    output.write_all(&[kind, 0, low, high])?;
    output.write_all(&(bytes.len() as u32).to_le_bytes())?;
    output.write_all(bytes)
}

/// Writes names: what `Name::write` has made.
pub fn write_names(output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write_piece(output, kind::NAMES, 0, bytes)
}

/// Writes records of one loop: what `Record::bytes` has made.
pub fn write_records(output: &mut impl Write, number: u16, bytes: &[u8]) -> io::Result<()> {
    write_piece(output, kind::RECORDS, number, bytes)
}

/// Writes the end.
pub fn write_totals(output: &mut impl Write, totals: &Totals) -> io::Result<()> {
    let numbers = [totals.end, totals.dropped, totals.steps, totals.busy];
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    write_piece(output, kind::TOTALS, 0, &bytes)
}

/// Someone who makes something of a trace.
pub trait Consumer {
    /// A name and its number; it comes before whatever means it.
    fn name(&mut self, number: u32, name: &Name) -> io::Result<()>;
    /// An event of a loop.
    fn record(&mut self, event_loop: u16, record: &Record) -> io::Result<()>;
}

/// Hands everything after the head to a consumer; the totals, if the trace was ended properly.
pub fn read_pieces(
    input: &mut impl Read,
    consumer: &mut dyn Consumer,
) -> io::Result<Option<Totals>> {
    let mut bytes = Vec::new();
    loop {
        let (head, length) = match piece_head(input) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        bytes.clear();
        input.take(length as u64).read_to_end(&mut bytes)?;
        let event_loop = u16::from_le_bytes([head[2], head[3]]);
        let mut rest = bytes.as_slice();
        match head[0] {
            kind::NAMES => {
                while let Some((number, name)) = Name::read(&mut rest) {
                    consumer.name(number, &name)?;
                }
            }
            kind::RECORDS => {
                for part in rest.chunks_exact(Record::SIZE) {
                    let record = part.try_into().ok().and_then(Record::from_bytes);
                    if let Some(record) = record {
                        consumer.record(event_loop, &record)?;
                    }
                }
            }
            kind::TOTALS if rest.len() >= 32 => {
                let mut number = || array(&mut rest).map(u64::from_le_bytes);
                let (end, dropped) = (number()?, number()?);
                return Ok(Some(Totals { end, dropped, steps: number()?, busy: number()? }));
            }
            _ => {}
        }
        if bytes.len() < length {
            return Ok(None);
        }
    }
}

fn piece_head(input: &mut impl Read) -> io::Result<([u8; 4], usize)> {
    let head: [u8; 4] = array(input)?;
    let length = u32::from_le_bytes(array(input)?) as usize;
    if length > LONGEST_PIECE {
        let text = format!("a damaged trace: a piece of {length} bytes");
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    Ok((head, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::record::Kind;

    #[derive(Default)]
    struct Kept(Vec<(u32, Name)>, Vec<(u16, Record)>);

    impl Consumer for Kept {
        fn name(&mut self, number: u32, name: &Name) -> io::Result<()> {
            self.0.push((number, name.clone()));
            Ok(())
        }
        fn record(&mut self, event_loop: u16, record: &Record) -> io::Result<()> {
            self.1.push((event_loop, *record));
            Ok(())
        }
    }

    fn sample() -> (Head, Vec<u8>) {
        let head =
            Head { pid: 7, begin: 5, unix: 1.5, blocked: 100, command: "a.py --x".to_owned() };
        let mut bytes = Vec::new();
        head.write(&mut bytes).expect("memory takes all");
        let mut names = Vec::new();
        Name { text: "f".into(), file: "a.py".into(), line: 3 }.write(1, &mut names);
        write_names(&mut bytes, &names).expect("memory takes all");
        let record = Record::new(Kind::Step, 9, 1, 4);
        write_records(&mut bytes, 2, &[record.bytes(), record.bytes()].concat())
            .expect("memory takes all");
        let totals = Totals { end: 20, dropped: 1, steps: 2, busy: 8 };
        write_totals(&mut bytes, &totals).expect("memory takes all");
        (head, bytes)
    }

    #[test]
    fn what_is_written_is_read() {
        let (head, bytes) = sample();
        let mut input = bytes.as_slice();
        assert_eq!(Head::read(&mut input).expect("a head"), head);
        let mut kept = Kept::default();
        let totals = read_pieces(&mut input, &mut kept).expect("pieces").expect("totals");
        assert_eq!(totals, Totals { end: 20, dropped: 1, steps: 2, busy: 8 });
        assert_eq!(kept.0.len(), 1);
        assert_eq!(kept.1, vec![(2, Record::new(Kind::Step, 9, 1, 4)); 2]);
    }

    #[test]
    fn a_file_cut_anywhere_is_read_as_far_as_it_goes() {
        let (_, bytes) = sample();
        for end in 0..bytes.len() {
            let mut input = &bytes[..end];
            let Ok(_head) = Head::read(&mut input) else { continue };
            let mut kept = Kept::default();
            assert_eq!(read_pieces(&mut input, &mut kept).expect("no error"), None);
        }
    }

    #[test]
    fn other_files_are_refused() {
        let error = Head::read(&mut b"#!/usr/bin/env python".as_slice()).expect_err("no trace");
        assert_eq!(error.to_string(), "this is no trace of vivace");
        let (_, mut bytes) = sample();
        let pieces = bytes.len() - 40 - 40 - 8;
        bytes[pieces + 7] = 0x7f;
        let mut input = &bytes[..];
        Head::read(&mut input).expect("a head");
        let _error_or_end = read_pieces(&mut input, &mut Kept::default());
    }
}
