//! Reads the file of a process: with no help of that process, and whatever the bytes are.
//!
//! The file may be of a process that runs, stands still, or is dead; it may be written to meanwhile,
//! or have been made by somebody to confuse us. So nothing here trusts a number that it has read:
//! what does not fit is an error, or left out.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::layout::{self, header};

/// Bytes to read from: a file, or memory of this process.
pub trait Source {
    /// Fills the buffer from an offset; an error if there are not as many bytes.
    fn read(&self, offset: usize, buffer: &mut [u8]) -> io::Result<()>;
}

impl Source for File {
    fn read(&self, offset: usize, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset as u64)
    }
}

impl Source for &[AtomicU64] {
    fn read(&self, offset: usize, buffer: &mut [u8]) -> io::Result<()> {
        let first = offset / 8;
        let skipped = offset % 8;
        let last = (offset + buffer.len()).div_ceil(8);
        let words = self.get(first..last).ok_or(io::ErrorKind::UnexpectedEof)?;
        let bytes = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        for (into, byte) in buffer.iter_mut().zip(bytes.skip(skipped)) {
            *into = byte;
        }
        Ok(())
    }
}

/// Why a file cannot be read.
#[derive(Debug)]
pub enum Problem {
    /// The system says so.
    Io(io::Error),
    /// It is something else.
    Foreign(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                formatter.write_str("it is cut short")
            }
            Self::Io(error) => error.fmt(formatter),
            Self::Foreign(text) => formatter.write_str(text),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What process it is about.
#[derive(Clone, Debug, Default, Serialize)]
pub struct About {
    /// Its number.
    pub pid: u32,
    /// Field 22 of its `stat`.
    pub start_time: u64,
    /// Its user.
    pub uid: u32,
    /// Whether others may cancel its tasks.
    pub control: bool,
    /// The counter of the processor, CLOCK_MONOTONIC and the time of the calendar in nanoseconds,
    /// together.
    pub clocks: [u64; 3],
    /// What it was started with.
    pub argv: Vec<String>,
    /// The version of Python.
    pub python: String,
    /// The version of vivace.
    pub vivace: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Description {
    argv: Vec<String>,
    python: String,
    vivace: String,
}

/// A finding that was kept.
#[derive(Clone, Debug, Serialize)]
pub struct Kept {
    /// Its number, from 1 on.
    pub number: u64,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// What was found.
    pub finding: Value,
}

/// The tasks, as they were at some time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// CLOCK_MONOTONIC (ns) when it was taken.
    pub taken: u64,
    /// Nanoseconds since 1970 when it was taken.
    pub time: u64,
    /// How many tasks it does not hold, for want of room or time.
    pub left_out: u64,
    /// JSON: a list.
    pub json: String,
}

/// See the module.
pub struct Reader<S> {
    source: S,
}

impl Reader<File> {
    /// Opens a file; a symbolic link, or what is no plain file, is refused.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let follow_no_link = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let wait_for_nobody = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let file =
            File::options().read(true).custom_flags(follow_no_link | wait_for_nobody).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(Problem::Foreign("it is not a file".into()));
        }
        Self::new(file)
    }

    /// Whose file it is.
    pub fn owner(&self) -> io::Result<u32> {
        Ok(self.metadata()?.uid())
    }

    /// What the file system knows of it.
    pub fn metadata(&self) -> io::Result<std::fs::Metadata> {
        self.source.metadata()
    }
}

/// The words about it, and the bytes.
type Locked = (Vec<u64>, Vec<u8>);

/// How often something is read again that was being written to.
const ATTEMPTS: usize = 100;

impl<S: Source> Reader<S> {
    /// Looks whether it is such a file.
    pub fn new(source: S) -> Result<Self, Problem> {
        let reader = Self { source };
        let foreign = || Problem::Foreign("it was not made by vivace".into());
        if reader.word(header::MAGIC * 8).map_err(|_| foreign())? != layout::MAGIC {
            return Err(foreign());
        }
        let version = reader.word(header::VERSION * 8)?;
        if version != layout::VERSION {
            let ours = layout::VERSION;
            return Err(Problem::Foreign(format!(
                "it was made by another version of vivace (its layout is {version}, ours {ours})"
            )));
        }
        Ok(reader)
    }

    fn word(&self, offset: usize) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.source.read(offset, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn words(&self, offset: usize, number: usize) -> io::Result<Vec<u64>> {
        let mut bytes = vec![0; number * 8];
        self.source.read(offset, &mut bytes)?;
        let words = bytes.chunks_exact(8).map(|chunk| {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        Ok(words.collect())
    }

    /// The first page.
    pub fn about(&self) -> Result<About, Problem> {
        let words = self.words(0, header::DESCRIPTION)?;
        let room = layout::PAGE - header::DESCRIPTION * 8;
        let length = (words[header::DESCRIPTION_LENGTH] as usize).min(room);
        let mut json = vec![0; length];
        self.source.read(header::DESCRIPTION * 8, &mut json)?;
        let description: Description = serde_json::from_slice(&json).unwrap_or_default();
        Ok(About {
            pid: words[header::PID] as u32,
            start_time: words[header::START_TIME],
            uid: words[header::UID] as u32,
            control: words[header::CONTROL] == 1,
            clocks: [words[header::TICKS], words[header::MONOTONIC], words[header::UNIX]],
            argv: description.argv,
            python: description.python,
            vivace: description.vivace,
        })
    }

    /// How many loops have a page that was written to.
    pub fn loops(&self) -> Result<usize, Problem> {
        Ok((self.word(header::LOOPS * 8)? as usize).min(layout::LOOPS))
    }

    /// The counters of a loop: see `live::word`.
    pub fn counters(&self, event_loop: usize) -> Result<Vec<u64>, Problem> {
        let event_loop = event_loop.min(layout::LOOPS - 1);
        Ok(self.words(layout::COUNTERS + event_loop * layout::PAGE, layout::PAGE / 8)?)
    }

    /// How many findings there were.
    pub fn finding_count(&self) -> Result<u64, Problem> {
        Ok(self.word(header::FINDINGS * 8)?)
    }

    /// How many findings there were of each code of [`layout::COUNTED`].
    pub fn found(&self) -> Result<Vec<u64>, Problem> {
        Ok(self.words(header::FOUND * 8, layout::COUNTED.len())?)
    }

    /// The last findings, the oldest first.
    pub fn findings(&self) -> Result<Vec<Kept>, Problem> {
        let mut found = Vec::new();
        for slot in 0..layout::FINDING_SLOTS {
            let offset = layout::FINDINGS + slot * layout::FINDING_SIZE;
            let room = layout::FINDING_SIZE;
            let Some((about, json)) = self.locked(offset, layout::FINDING_HEAD, room)? else {
                continue;
            };
            let Ok(finding) = serde_json::from_slice(&json) else { continue };
            found.push(Kept { number: about[0], time: about[1], finding });
        }
        found.sort_by_key(|kept| kept.number);
        Ok(found)
    }

    /// The last snapshot that is whole; nothing if there is none yet.
    pub fn snapshot(&self) -> Result<Option<Snapshot>, Problem> {
        let current = self.word(header::SNAPSHOT * 8)?;
        let order = match current {
            1 => [0, 1],
            2 => [1, 0],
            _ => return Ok(None),
        };
        for which in order {
            let offset = layout::SNAPSHOTS + which * layout::SNAPSHOT_SIZE;
            let (head, room) = (layout::SNAPSHOT_HEAD, layout::SNAPSHOT_SIZE);
            if let Some((about, json)) = self.locked(offset, head, room)? {
                return Ok(Some(Snapshot {
                    taken: about[0],
                    time: about[1],
                    left_out: about[2],
                    json: String::from_utf8_lossy(&json).into_owned(),
                }));
            }
        }
        Ok(None)
    }

    /// What `[sequence, length, about…]` and bytes hold; nothing if nothing was ever written there,
    /// or it is being written to all the time (a process that died in the middle of it).
    fn locked(&self, offset: usize, head: usize, room: usize) -> Result<Option<Locked>, Problem> {
        let room = room - head * 8;
        for _attempt in 0..ATTEMPTS {
            let words = self.words(offset, head)?;
            let sequence = words[0];
            if sequence == 0 {
                return Ok(None);
            }
            if sequence % 2 == 0 {
                fence(Ordering::Acquire);
                let length = (words[1] as usize).min(room);
                let mut bytes = vec![0; length];
                self.source.read(offset + head * 8, &mut bytes)?;
                let again = self.words(offset, head)?;
                fence(Ordering::Acquire);
                if self.word(offset)? == sequence && again == words {
                    return Ok(Some((words[2..].to_vec(), bytes)));
                }
            }
            std::thread::yield_now();
        }
        Ok(None)
    }

    /// The names of events, as `trace::name` wrote them.
    pub fn names(&self) -> Result<Vec<u8>, Problem> {
        let used = (self.word(layout::NAMES)? as usize).min(layout::NAMES_SIZE - 8);
        let mut bytes = vec![0; used];
        self.source.read(layout::NAMES + 8, &mut bytes)?;
        Ok(bytes)
    }

    /// The events that are kept, each of sixteen bytes, the oldest first.
    pub fn events(&self) -> Result<Vec<[u64; 2]>, Problem> {
        let before = self.word(layout::EVENTS)? as usize;
        let kept = before.min(layout::EVENTS_KEPT);
        let words = self.words(layout::FIRST_EVENT, kept * 2)?;
        let after = self.word(layout::EVENTS)? as usize;
        // What was overwritten meanwhile, or is being so now, is left out, from the oldest on;
        // nobody is further ahead than a few.
        let gone = if before < layout::EVENTS_KEPT {
            0
        } else {
            after.saturating_sub(before).saturating_add(16).min(kept)
        };
        let first = before - kept;
        let mut events = Vec::with_capacity(kept - gone);
        for number in first + gone..before {
            let at = number % layout::EVENTS_KEPT * 2;
            let event = [words[at], words[at + 1]];
            // Counted, and not written yet.
            if event != [0, 0] {
                events.push(event);
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::writer::{Memory, Process, Writer};

    #[derive(Clone, Copy)]
    struct Words(&'static [AtomicU64]);

    impl Memory for Words {
        fn words(&self) -> &'static [AtomicU64] {
            self.0
        }
        fn reserve(&self, _offset: usize, _length: usize) -> bool {
            true
        }
    }

    fn written(argv: &[String]) -> (&'static Writer<Words>, Reader<&'static [AtomicU64]>) {
        let words: Vec<AtomicU64> = (0..layout::LENGTH / 8).map(|_| AtomicU64::new(0)).collect();
        let writer = Box::leak(Box::new(Writer::new(Words(words.leak()))));
        writer.begin(&Process {
            pid: 7,
            start_time: 70,
            uid: 0,
            control: true,
            clocks: [1, 2, 3],
            argv,
            python: "3.13.1",
            vivace: "0.1.0",
        });
        let words = writer.memory().0;
        (writer, Reader::new(words).expect("a file of ours"))
    }

    #[test]
    fn what_was_written_is_read() {
        let (writer, reader) = written(&["app.py".to_owned()]);
        let about = reader.about().expect("read");
        assert_eq!((about.pid, about.start_time, about.control), (7, 70, true));
        assert_eq!(about.argv, ["app.py"]);
        assert!(reader.snapshot().expect("read").is_none());
        for number in 0..100 {
            writer.finding(&format!("{{\"line\": {number}}}\n"), number);
            writer.snapshot(&[format!("{{\"id\":{number}}}")], number, [number, 0]);
        }
        let found = reader.findings().expect("read");
        assert_eq!(found.len(), layout::FINDING_SLOTS);
        assert_eq!(found[0].number, 37);
        assert_eq!(found[63].finding["line"], 99);
        let snapshot = reader.snapshot().expect("read").expect("there is one");
        assert_eq!((snapshot.json.as_str(), snapshot.left_out), ("[{\"id\":99}]", 99));
        assert!(writer.name(b"abcde") && writer.name("fünf".as_bytes()));
        assert_eq!(reader.names().expect("read"), "abcdefünf".as_bytes());
        writer.counters(2).expect("a page")[5].store(9, Ordering::Relaxed);
        assert_eq!(reader.counters(2).expect("read")[5], 9);
        assert!(writer.counters(8).is_none());
    }

    #[test]
    fn the_oldest_events_make_room() {
        let (writer, reader) = written(&[]);
        writer.event([1, 2]);
        assert_eq!(reader.events().expect("read"), [[1, 2]]);
        for number in 0..layout::EVENTS_KEPT as u64 + 5 {
            writer.event([number + 1, 0]);
        }
        let events = reader.events().expect("read");
        assert_eq!(events.last(), Some(&[layout::EVENTS_KEPT as u64 + 5, 0]));
        assert!(events.windows(2).all(|pair| pair[0][0] + 1 == pair[1][0]));
        assert!(events.len() >= layout::EVENTS_KEPT - 16);
    }

    #[test]
    fn without_room_for_tasks_events_go_on() {
        #[derive(Clone, Copy)]
        struct NoSnapshots(&'static [AtomicU64]);
        impl Memory for NoSnapshots {
            fn words(&self) -> &'static [AtomicU64] {
                self.0
            }
            fn reserve(&self, offset: usize, _length: usize) -> bool {
                !(layout::SNAPSHOTS..layout::NAMES).contains(&offset)
            }
        }
        let words = written(&[]).0.memory().0;
        let writer = Writer::new(NoSnapshots(words));
        writer.snapshot(&["{}".into()], 0, [0, 0]);
        for number in 0..layout::EVENTS_KEPT as u64 + 5 {
            writer.event([number + 1, 0]);
        }
        let reader = Reader::new(words).expect("a file of ours");
        assert!(reader.snapshot().expect("read").is_none());
        let last = [layout::EVENTS_KEPT as u64 + 5, 0];
        assert_eq!(reader.events().expect("read").last(), Some(&last));
    }

    #[test]
    fn what_is_too_long_is_cut_and_counted() {
        let (writer, reader) = written(&["x".repeat(10_000), "€".repeat(5_000)]);
        let argv = reader.about().expect("read").argv;
        assert!(argv[0].starts_with("xxx") && argv[0].ends_with('…'), "{argv:?}");
        let finding = serde_json::json!({"code": "V101", "stack": "y".repeat(9_000), "line": 3,
            "report": [["task", "z".repeat(3_000)], ["stack", "z".repeat(3_000)]]});
        writer.finding(&finding.to_string(), 0);
        let kept = &reader.findings().expect("read")[0].finding;
        assert_eq!((&kept["code"], &kept["line"]), (&"V101".into(), &3.into()));
        assert!(kept["stack"].is_null());
        assert_eq!(kept["report"].as_array().map(Vec::len), Some(1));
        let rows: Vec<String> =
            (0..2000).map(|_| format!("{{\"name\":\"{}\"}}", "n".repeat(1000))).collect();
        writer.snapshot(&rows, 5, [0, 0]);
        let snapshot = reader.snapshot().expect("read").expect("there is one");
        let tasks: Vec<Value> = serde_json::from_str(&snapshot.json).expect("whole");
        assert_eq!(tasks.len() as u64 + snapshot.left_out, 2005);
        assert!(tasks.len() > 1000);
    }

    #[test]
    fn a_writer_that_died_in_the_middle_leaves_the_other_snapshot() {
        let (writer, reader) = written(&[]);
        writer.snapshot(&["1".into()], 0, [1, 0]);
        writer.snapshot(&["2".into()], 0, [2, 0]);
        let second = (layout::SNAPSHOTS + layout::SNAPSHOT_SIZE) / 8;
        writer.memory().0[second].fetch_or(1, Ordering::Relaxed);
        assert_eq!(reader.snapshot().expect("read").expect("one").json, "[1]");
    }

    #[test]
    fn readers_see_all_of_it_or_none() {
        let (writer, reader) = written(&[]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..3000_u64 {
                    let row = format!("\"{}\"", number.to_string().repeat(500));
                    writer.snapshot(&[row.clone(), row], 0, [number, 0]);
                }
            });
            let mut last = 0;
            while last < 2999 {
                let Some(snapshot) = reader.snapshot().expect("read") else { continue };
                let rows: Vec<String> = serde_json::from_str(&snapshot.json).expect("whole");
                assert_eq!(rows, vec![snapshot.taken.to_string().repeat(500); 2]);
                assert!(snapshot.taken >= last || snapshot.taken + 1 == last);
                last = snapshot.taken;
            }
        });
    }

    fn read_all(reader: &Reader<&'static [AtomicU64]>) {
        let _about = reader.about();
        let _loops = reader.loops();
        let _counters = reader.counters(usize::MAX);
        let _findings = reader.findings();
        let _snapshot = reader.snapshot();
        let _names = reader.names();
        let _events = reader.events();
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        let (writer, reader) = written(&["a".to_owned()]);
        writer.snapshot(&["{}".into()], 0, [0, 0]);
        writer.finding("{}", 0);
        let words = writer.memory().0;
        // The words that say how much there is, and where, are what a mistake would be made with.
        let places = [0, 1, 8, 10, 11, 12, 14, 64, 70]
            .into_iter()
            .chain([layout::NAMES / 8, layout::EVENTS / 8])
            .chain((0..4).map(|word| layout::FINDINGS / 8 + word))
            .chain((0..8).map(|word| layout::SNAPSHOTS / 8 + word))
            .chain((0..8).map(|word| (layout::SNAPSHOTS + layout::SNAPSHOT_SIZE) / 8 + word))
            .collect::<Vec<usize>>();
        arbtest::arbtest(|source| {
            for _change in 0..source.int_in_range(1..=6)? {
                let place = *source.choose(&places)?;
                let edge = [0, 1, 2, 511, 1 << 20, u64::MAX, u64::MAX / 8, 1 << 63];
                let value = if source.ratio(1, 2)? {
                    *source.choose(&edge)?
                } else {
                    source.arbitrary()?
                };
                words[place].store(value, Ordering::Relaxed);
            }
            // A long ring takes long to copy: only the count is of interest here.
            let count = &words[layout::EVENTS / 8];
            count.store(count.load(Ordering::Relaxed) % 2000, Ordering::Relaxed);
            read_all(&reader);
            Ok(())
        })
        .budget_ms(1500);
        words[layout::EVENTS / 8].store(u64::MAX, Ordering::Relaxed);
        read_all(&reader);
    }

    #[test]
    fn files_of_any_length_are_read_without_a_panic() {
        let (writer, _) = written(&[]);
        writer.snapshot(&["{}".into()], 0, [0, 0]);
        let words = writer.memory().0;
        for length in [0, 1, 2, 63, 64, 512, 513, 4608, 9 * 512, layout::SNAPSHOTS / 8 + 3] {
            if let Ok(reader) = Reader::new(&words[..length]) {
                read_all(&reader);
            }
        }
        assert!(Reader::new(&words[1..]).is_err());
        words[header::VERSION].store(99, Ordering::Relaxed);
        let problem = Reader::new(words).err().expect("another version");
        assert!(problem.to_string().contains("its layout is 99"), "{problem}");
    }
}
