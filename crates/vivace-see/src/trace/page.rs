//! The page for browsers: one file that holds the viewer and, compressed, the timeline.
//!
//! The timeline is a zlib stream in base64 inside a `<script type="text/plain">`, and what is known
//! only at the end follows as JSON. The stream is blocks; numbers are LEB128, those marked with `~`
//! are signed (zigzag), times are differences in ns:
//!
//! ```text
//! 1 names    count, then for each: number, line, length and bytes of the text, of the file
//! 2 steps    count, loop, then columns of `count`: task ~difference to the one before;
//!            begin ~difference to the one before; end - begin; begin - ready; waker;
//!            reason
//! 3 others   count, loop, then columns: kind; time ~difference; subject; detail
//! 0 end
//! ```
//!
//! A waker is 0, or a task times two, or a callback's name times two and one. Durations in the
//! details of others are `Length::nanoseconds`.

use std::io::{self, Write};

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::file::Consumer;
use super::join::{Joiner, Step};
use super::name::Name;
use super::record::{Actor, Kind, Record};

const PAGE: &str = include_str!("../../viewer/page.html");
const STYLE: &str = include_str!("../../viewer/style.css");
/// In the order in which they build on each other: they share one scope.
const SCRIPTS: [&str; 10] = [
    include_str!("../../viewer/format.js"),
    include_str!("../../viewer/decode.js"),
    include_str!("../../viewer/model.js"),
    include_str!("../../viewer/lanes.js"),
    include_str!("../../viewer/path.js"),
    include_str!("../../viewer/colours.js"),
    include_str!("../../viewer/overview.js"),
    include_str!("../../viewer/timeline.js"),
    include_str!("../../viewer/detail.js"),
    include_str!("../../viewer/main.js"),
];

/// How many rows a block has: enough to compress well, little to keep.
const ROWS: usize = 1 << 15;

fn number(value: u64, bytes: &mut Vec<u8>) {
    let mut value = value;
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn signed(value: i64, bytes: &mut Vec<u8>) {
    number((value << 1 ^ value >> 63) as u64, bytes);
}

fn text(value: &str, bytes: &mut Vec<u8>) {
    number(value.len() as u64, bytes);
    bytes.extend_from_slice(value.as_bytes());
}

fn actor(actor: Actor) -> u64 {
    match actor {
        Actor::Nobody => 0,
        Actor::Task(task) => u64::from(task) << 1,
        Actor::Callback(name) => u64::from(name) << 1 | 1,
    }
}

/// JSON that may stand inside a script element.
fn inside_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

type Encoded<W> = ZlibEncoder<EncoderWriter<'static, base64::engine::GeneralPurpose, W>>;

/// Writes the page while the timeline passes.
pub struct PageWriter<W: Write> {
    output: Encoded<W>,
    joiner: Joiner,
    names: Vec<(u32, Name)>,
    steps: Vec<Step>,
    others: Vec<(u16, Record)>,
    begin: u64,
}

impl<W: Write> PageWriter<W> {
    /// Writes what comes before the timeline; `begin` is the zero of its times.
    pub fn new(mut output: W, begin: u64) -> io::Result<Self> {
        let (before, _) = PAGE.split_once("{{data}}").unwrap_or((PAGE, ""));
        let (head, body) = before.split_once("{{style}}").unwrap_or((before, ""));
        for part in [head, STYLE, body] {
            output.write_all(part.as_bytes())?;
        }
        let encoder = EncoderWriter::new(output, &STANDARD);
        Ok(Self {
            output: ZlibEncoder::new(encoder, Compression::new(6)),
            joiner: Joiner::default(),
            names: Vec::new(),
            steps: Vec::new(),
            others: Vec::new(),
            begin,
        })
    }

    fn write_names(&mut self) -> io::Result<()> {
        if self.names.is_empty() {
            return Ok(());
        }
        let mut bytes = vec![1];
        number(self.names.len() as u64, &mut bytes);
        for (key, name) in self.names.drain(..) {
            number(u64::from(key), &mut bytes);
            number(u64::from(name.line), &mut bytes);
            text(&name.text, &mut bytes);
            text(&name.file, &mut bytes);
        }
        self.output.write_all(&bytes)
    }

    fn write_steps(&mut self) -> io::Result<()> {
        self.write_names()?;
        let steps = std::mem::take(&mut self.steps);
        for steps in steps.chunk_by(|one, other| one.event_loop == other.event_loop) {
            let mut bytes = vec![2];
            number(steps.len() as u64, &mut bytes);
            number(u64::from(steps[0].event_loop), &mut bytes);
            let mut before = 0;
            for step in steps {
                signed(i64::from(step.task) - before, &mut bytes);
                before = i64::from(step.task);
            }
            let mut before = self.begin;
            for step in steps {
                signed(step.begin.wrapping_sub(before) as i64, &mut bytes);
                before = step.begin;
            }
            for step in steps {
                number(step.end - step.begin, &mut bytes);
            }
            for step in steps {
                number(step.begin - step.ready, &mut bytes);
            }
            for step in steps {
                number(actor(step.waker), &mut bytes);
            }
            for step in steps {
                number(u64::from(step.reason), &mut bytes);
            }
            self.output.write_all(&bytes)?;
        }
        Ok(())
    }

    fn write_others(&mut self) -> io::Result<()> {
        self.write_names()?;
        let others = std::mem::take(&mut self.others);
        for others in others.chunk_by(|one, other| one.0 == other.0) {
            let mut bytes = vec![3];
            number(others.len() as u64, &mut bytes);
            number(u64::from(others[0].0), &mut bytes);
            for (_, record) in others {
                bytes.push(record.kind as u8);
            }
            let mut before = self.begin;
            for (_, record) in others {
                signed(record.time.wrapping_sub(before) as i64, &mut bytes);
                before = record.time;
            }
            for (_, record) in others {
                number(u64::from(record.subject), &mut bytes);
            }
            for (_, record) in others {
                let detail = match record.kind {
                    Kind::Callback
                    | Kind::Block
                    | Kind::Gc
                    | Kind::GilWait
                    | Kind::Poll
                    | Kind::Lag
                    | Kind::Short => record.nanoseconds(),
                    Kind::Created | Kind::Cancelled => actor(record.actor()),
                    _ => u64::from(record.detail),
                };
                number(detail, &mut bytes);
            }
            self.output.write_all(&bytes)?;
        }
        Ok(())
    }

    fn keep(&mut self, step: Step) -> io::Result<()> {
        self.steps.push(step);
        if self.steps.len() < ROWS { Ok(()) } else { self.write_steps() }
    }

    /// Writes the rest: `meta` is JSON about the whole.
    pub fn finish(mut self, meta: &str) -> io::Result<W> {
        for step in self.joiner.finish() {
            self.keep(step)?;
        }
        self.write_steps()?;
        self.write_others()?;
        self.output.write_all(&[0])?;
        let mut output = self.output.finish()?.finish()?;
        let (_, after) = PAGE.split_once("{{data}}").unwrap_or(("", PAGE));
        let (between, after) = after.split_once("{{meta}}").unwrap_or((after, ""));
        let (script, end) = after.split_once("{{scripts}}").unwrap_or((after, ""));
        output.write_all(between.as_bytes())?;
        output.write_all(inside_script(meta).as_bytes())?;
        output.write_all(script.as_bytes())?;
        for part in SCRIPTS {
            output.write_all(part.as_bytes())?;
        }
        output.write_all(end.as_bytes())?;
        output.flush()?;
        Ok(output)
    }
}

impl<W: Write> Consumer for PageWriter<W> {
    fn name(&mut self, number: u32, name: &Name) -> io::Result<()> {
        self.names.push((number, name.clone()));
        Ok(())
    }

    fn record(&mut self, event_loop: u16, record: &Record) -> io::Result<()> {
        if let Some(step) = self.joiner.take(event_loop, record) {
            self.keep(step)?;
        }
        match record.kind {
            Kind::Step | Kind::Ready | Kind::Wait => return Ok(()),
            _ => self.others.push((event_loop, *record)),
        }
        if self.others.len() < ROWS { Ok(()) } else { self.write_others() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_viewer_is_small_and_whole() {
        let size = PAGE.len() + STYLE.len() + SCRIPTS.iter().map(|part| part.len()).sum::<usize>();
        assert!(size <= 200_000, "{size} bytes");
        for mark in ["{{style}}", "{{data}}", "{{meta}}", "{{scripts}}"] {
            assert_eq!(PAGE.matches(mark).count(), 1, "{mark}");
        }
        for part in SCRIPTS {
            assert!(!part.contains("</script"));
            assert!(!part.contains("innerHTML"), "names are shown as text");
        }
    }

    #[test]
    fn names_cannot_end_the_script() {
        let json = r#"{"command": "</script><script>alert(1)</script>"}"#;
        let page = PageWriter::new(Vec::new(), 0).expect("memory takes all");
        let page = page.finish(json).expect("memory takes all");
        let page = String::from_utf8(page).expect("it is text");
        assert!(!page.contains("<script>alert"));
        assert!(page.contains("\\u003cscript>alert(1)"));
    }

    #[test]
    fn numbers_are_as_documented() {
        let mut bytes = Vec::new();
        number(300, &mut bytes);
        signed(-1, &mut bytes);
        signed(64, &mut bytes);
        assert_eq!(bytes, [0xac, 2, 1, 0x80, 1]);
    }
}
