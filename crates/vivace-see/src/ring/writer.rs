//! Writes the file of a process, as its only writer; any thread may.
//!
//! What is written is words in memory, so nothing here waits for a disk, and everything is there for
//! readers the moment it is written, also if the process is killed in the next.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Mutex, PoisonError};

use super::layout::{self, header};

/// The memory of the file.
pub trait Memory: Send + Sync {
    /// All its words.
    fn words(&self) -> &'static [AtomicU64];
    /// Sees to it that a range can be written to, in bytes; if not, it must not be.
    fn reserve(&self, offset: usize, length: usize) -> bool;
}

/// What process this is.
pub struct Process<'a> {
    /// Its number.
    pub pid: u32,
    /// Field 22 of its `stat`.
    pub start_time: u64,
    /// Its user.
    pub uid: u32,
    /// Whether others may cancel tasks.
    pub control: bool,
    /// The processor's counter, CLOCK_MONOTONIC and the time of the calendar, at the same time.
    pub clocks: [u64; 3],
    /// What it was started with.
    pub argv: &'a [String],
    /// The version of Python.
    pub python: &'a str,
    /// The version of vivace.
    pub vivace: &'a str,
}

/// See the module.
pub struct Writer<M> {
    memory: M,
    findings: Mutex<()>,
    snapshots: Mutex<()>,
    names: Mutex<()>,
    /// How many bytes of a section were reserved: snapshots (two), names, events.
    reserved: [AtomicU64; 4],
    /// There was no room for some of the events: those places must not be written to.
    events_are_short: AtomicBool,
}

/// Events are reserved in steps of this many bytes.
const STEP: usize = 1 << 18;

impl<M: Memory> Writer<M> {
    /// Over memory of [`layout::LENGTH`] bytes.
    pub fn new(memory: M) -> Self {
        assert!(memory.words().len() * 8 >= layout::LENGTH, "the memory is too small");
        Self {
            memory,
            findings: Mutex::new(()),
            snapshots: Mutex::new(()),
            names: Mutex::new(()),
            reserved: [const { AtomicU64::new(0) }; 4],
            events_are_short: AtomicBool::new(false),
        }
    }

    /// What it writes to.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    fn words(&self) -> &'static [AtomicU64] {
        self.memory.words()
    }

    fn set(&self, word: usize, value: u64) {
        self.words()[word].store(value, Ordering::Relaxed);
    }

    /// Writes the first page. The memory is zeros, or a file that was just put under it.
    pub fn begin(&self, process: &Process<'_>) {
        for reserved in &self.reserved {
            reserved.store(0, Ordering::Relaxed);
        }
        self.events_are_short.store(false, Ordering::Relaxed);
        self.set(header::VERSION, layout::VERSION);
        self.set(header::PID, process.pid.into());
        self.set(header::START_TIME, process.start_time);
        self.set(header::UID, process.uid.into());
        self.set(header::CONTROL, process.control.into());
        self.set(header::TICKS, process.clocks[0]);
        self.set(header::MONOTONIC, process.clocks[1]);
        self.set(header::UNIX, process.clocks[2]);
        let description = describe(process);
        self.set(header::DESCRIPTION_LENGTH, description.len() as u64);
        store_bytes(&self.words()[header::DESCRIPTION..], description.as_bytes());
        self.words()[header::MAGIC].store(layout::MAGIC, Ordering::Release);
    }

    /// The page of a loop's counters; there is none for the ninth loop and later ones.
    pub fn counters(&self, event_loop: usize) -> Option<&'static [AtomicU64; layout::PAGE / 8]> {
        if event_loop >= layout::LOOPS {
            return None;
        }
        let first = (layout::COUNTERS + event_loop * layout::PAGE) / 8;
        self.words()[first..first + layout::PAGE / 8].try_into().ok()
    }

    /// How many findings there were of each code of [`layout::COUNTED`].
    pub fn found(&self) -> &'static [AtomicU64] {
        &self.words()[header::FOUND..header::FOUND + layout::COUNTED.len()]
    }

    /// Says how many loops have run.
    pub fn set_loops(&self, number: u64) {
        self.words()[header::LOOPS].fetch_max(number, Ordering::Relaxed);
    }

    /// When somebody last looked at the file, of CLOCK_MONOTONIC.
    pub fn watched(&self) -> u64 {
        self.words()[header::WATCHED].load(Ordering::Relaxed)
    }

    /// Keeps a finding; `json` is cut to fit if need be, by leaving out its longest parts.
    pub fn finding(&self, json: &str, time: u64) {
        let _one = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let count = &self.words()[header::FINDINGS];
        let number = count.load(Ordering::Relaxed);
        let slot = number as usize % layout::FINDING_SLOTS;
        let first = (layout::FINDINGS + slot * layout::FINDING_SIZE) / 8;
        let words = &self.words()[first..first + layout::FINDING_SIZE / 8];
        let room = layout::FINDING_SIZE - layout::FINDING_HEAD * 8;
        let fitting = fit(json.trim_end(), room);
        write_locked(words, layout::FINDING_HEAD, fitting.as_bytes(), &[number + 1, time]);
        count.store(number + 1, Ordering::Release);
    }

    /// Keeps a snapshot: the rows (JSON objects) that fit, and how many were left out already.
    /// `times` are CLOCK_MONOTONIC and the time of the calendar.
    pub fn snapshot(&self, rows: &[String], left_out: u64, times: [u64; 2]) {
        let _one = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let room = layout::SNAPSHOT_SIZE - layout::SNAPSHOT_HEAD * 8 - 2;
        let mut json = String::from("[");
        let mut written = 0;
        for row in rows {
            if json.len() + row.len() + 1 > room {
                break;
            }
            if written > 0 {
                json.push(',');
            }
            json.push_str(row);
            written += 1;
        }
        json.push(']');
        let current = &self.words()[header::SNAPSHOT];
        let which = usize::from(current.load(Ordering::Relaxed) == 1);
        let needed = layout::SNAPSHOT_HEAD * 8 + json.len().next_multiple_of(8);
        let offset = layout::SNAPSHOTS + which * layout::SNAPSHOT_SIZE;
        if !self.reserve(which, offset, needed) {
            return;
        }
        let words = &self.words()[offset / 8..(offset + layout::SNAPSHOT_SIZE) / 8];
        let left_out = left_out + (rows.len() - written) as u64;
        let about = [times[0], times[1], left_out];
        write_locked(words, layout::SNAPSHOT_HEAD, json.as_bytes(), &about);
        current.store(which as u64 + 1, Ordering::Release);
    }

    /// Appends to the names; whether there was room.
    pub fn name(&self, bytes: &[u8]) -> bool {
        let _one = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let used = &self.words()[layout::NAMES / 8];
        let at = used.load(Ordering::Relaxed) as usize;
        let end = at + bytes.len();
        if end + 8 > layout::NAMES_SIZE || !self.reserve(2, layout::NAMES, end + 8) {
            return false;
        }
        let place = layout::NAMES + 8 + at;
        for (offset, byte) in bytes.iter().enumerate() {
            let at = place + offset;
            // What was not written yet is zeros.
            self.words()[at / 8].fetch_or(u64::from(*byte) << (at % 8 * 8), Ordering::Relaxed);
        }
        used.store(end as u64, Ordering::Release);
        true
    }

    /// Keeps an event, of sixteen bytes, in place of the oldest.
    pub fn event(&self, event: [u64; 2]) {
        let count = &self.words()[layout::EVENTS / 8];
        let number = count.fetch_add(1, Ordering::Relaxed) as usize;
        let offset = number % layout::EVENTS_KEPT * layout::EVENT_SIZE;
        if number < layout::EVENTS_KEPT {
            let needed = layout::PAGE + offset + layout::EVENT_SIZE;
            if !self.reserve(3, layout::EVENTS, needed.next_multiple_of(STEP)) {
                self.events_are_short.store(true, Ordering::Relaxed);
                return;
            }
        } else if self.events_are_short.load(Ordering::Relaxed) {
            return;
        }
        let word = (layout::FIRST_EVENT + offset) / 8;
        // A reader that meets the new time with the old rest, or the other way round, sees by the
        // count that the place was overwritten.
        self.set(word, event[0]);
        self.set(word + 1, event[1]);
    }

    fn reserve(&self, section: usize, offset: usize, length: usize) -> bool {
        let reserved = &self.reserved[section];
        if (length as u64) <= reserved.load(Ordering::Relaxed) {
            return true;
        }
        let length = length.next_multiple_of(layout::PAGE).min(layout::LENGTH - offset);
        if !self.memory.reserve(offset, length) {
            return false;
        }
        reserved.fetch_max(length as u64, Ordering::Relaxed);
        true
    }
}

/// Writes `[sequence, length, about…]` and the bytes so that a reader sees all of it or none.
fn write_locked(words: &[AtomicU64], head: usize, bytes: &[u8], about: &[u64]) {
    let sequence = words[0].load(Ordering::Relaxed) | 1;
    words[0].store(sequence, Ordering::Relaxed);
    fence(Ordering::Release);
    words[1].store(bytes.len() as u64, Ordering::Relaxed);
    for (word, value) in words[2..head].iter().zip(about) {
        word.store(*value, Ordering::Relaxed);
    }
    store_bytes(&words[head..], bytes);
    words[0].store(sequence.wrapping_add(1), Ordering::Release);
}

fn store_bytes(words: &[AtomicU64], bytes: &[u8]) {
    for (word, chunk) in words.iter().zip(bytes.chunks(8)) {
        let mut whole = [0; 8];
        whole[..chunk.len()].copy_from_slice(chunk);
        word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
    }
}

fn describe(process: &Process<'_>) -> String {
    let room = layout::PAGE - header::DESCRIPTION * 8;
    let mut argv = process.argv.to_vec();
    loop {
        let json = serde_json::json!({
            "argv": argv,
            "python": process.python,
            "vivace": process.vivace,
        })
        .to_string();
        if json.len() <= room {
            return json;
        }
        match argv.iter_mut().max_by_key(|argument| argument.len()) {
            Some(longest) if longest.len() > 64 => shorten(longest, 2),
            _ => drop(argv.pop()),
        }
    }
}

fn shorten(text: &mut String, by: usize) {
    let mut end = text.len() / by;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push('…');
}

/// A finding that fits: without its stack, and then with shorter texts, if it is too long.
fn fit(json: &str, room: usize) -> String {
    if json.len() <= room {
        return json.to_owned();
    }
    let Ok(serde_json::Value::Object(mut finding)) = serde_json::from_str(json) else {
        return "{}".to_owned();
    };
    finding.insert("cut".into(), true.into());
    loop {
        let text = serde_json::Value::Object(finding.clone()).to_string();
        if text.len() <= room {
            return text;
        }
        let kept = ["code", "name", "title", "pid", "loop", "time", "file", "line", "report"];
        let longest = finding
            .iter()
            .filter(|(key, _)| !kept.contains(&key.as_str()))
            .max_by_key(|(_, value)| value.to_string().len())
            .map(|(key, _)| key.clone());
        if let Some(key) = longest {
            finding.remove(&key);
            continue;
        }
        match finding.get_mut("report") {
            Some(serde_json::Value::Array(lines)) if !lines.is_empty() => drop(lines.pop()),
            _ => match finding.get_mut("title") {
                Some(serde_json::Value::String(title)) if title.len() > 64 => shorten(title, 2),
                _ => return "{}".to_owned(),
            },
        }
    }
}
