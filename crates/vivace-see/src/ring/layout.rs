//! Where what stands in the file of a process. All numbers are little-endian words of 64 bits.
//!
//! | bytes | what |
//! |---|---|
//! | one page | the [header](header): what process this is |
//! | 8 pages | live counters, one page a loop; the words are named in `live` |
//! | 64 × 4 KiB | the last findings, each `[sequence, length, number, time]` and JSON |
//! | 2 × 1 MiB | the tasks, in turn: `[sequence, length, monotonic, time, left out]` and JSON |
//! | 1 MiB | names of events: `[bytes used]` and what `trace::name` writes |
//! | 8 MiB and a page | events: `[written]`, and from the next page on sixteen bytes each, in turn |
//!
//! A sequence is odd while its place is being written to; whoever reads takes it before and after.
//! The word that says "this is such a file" is written last.

/// The size of a page: sections begin at multiples of it.
pub const PAGE: usize = 4096;

/// `VIVACERG`.
pub const MAGIC: u64 = u64::from_le_bytes(*b"VIVACERG");

/// Changes with the meaning of any byte.
pub const VERSION: u64 = 2;

/// The numbers of the words of the first page.
pub mod header {
    /// [`super::MAGIC`], once the file is complete.
    pub const MAGIC: usize = 0;
    /// [`super::VERSION`].
    pub const VERSION: usize = 1;
    /// The number of the process, in its own namespace.
    pub const PID: usize = 2;
    /// When it was started: field 22 of `/proc/PID/stat`.
    pub const START_TIME: usize = 3;
    /// A reading of the processor's counter, and of CLOCK_MONOTONIC (ns) at the same time.
    pub const TICKS: usize = 4;
    /// See `TICKS`.
    pub const MONOTONIC: usize = 5;
    /// Nanoseconds since 1970, at that time.
    pub const UNIX: usize = 6;
    /// Written by readers: CLOCK_MONOTONIC (ns) when somebody last looked.
    pub const WATCHED: usize = 8;
    /// 1 if other processes may cancel tasks.
    pub const CONTROL: usize = 9;
    /// How many findings there were.
    pub const FINDINGS: usize = 10;
    /// How many loops have run.
    pub const LOOPS: usize = 11;
    /// The snapshot that was finished last: 0 none, 1 or 2.
    pub const SNAPSHOT: usize = 12;
    /// The user of the process.
    pub const UID: usize = 13;
    /// How many bytes the description has; it begins at `DESCRIPTION`.
    pub const DESCRIPTION_LENGTH: usize = 14;
    /// How many findings there were of each code of [`super::COUNTED`], repetitions included.
    pub const FOUND: usize = 16;
    /// JSON: `argv`, `python`, `vivace`.
    pub const DESCRIPTION: usize = 64;
}

/// Codes whose findings are counted.
pub const COUNTED: [&str; 3] = ["V202", "V203", "V201"];

/// How many loops have a page.
pub const LOOPS: usize = 8;
/// The counters of the first loop.
pub const COUNTERS: usize = PAGE;

/// How many findings are kept.
pub const FINDING_SLOTS: usize = 64;
/// The size of each.
pub const FINDING_SIZE: usize = PAGE;
/// The words before its JSON.
pub const FINDING_HEAD: usize = 4;
/// The first finding.
pub const FINDINGS: usize = COUNTERS + LOOPS * PAGE;

/// The size of a snapshot.
pub const SNAPSHOT_SIZE: usize = 1 << 20;
/// The words before its JSON.
pub const SNAPSHOT_HEAD: usize = 8;
/// The first snapshot.
pub const SNAPSHOTS: usize = FINDINGS + FINDING_SLOTS * FINDING_SIZE;

/// The size of the names, the word before them included.
pub const NAMES_SIZE: usize = 1 << 20;
/// The names.
pub const NAMES: usize = SNAPSHOTS + 2 * SNAPSHOT_SIZE;

/// How many events are kept.
pub const EVENTS_KEPT: usize = 1 << 19;
/// The size of one.
pub const EVENT_SIZE: usize = 16;
/// The word that counts them.
pub const EVENTS: usize = NAMES + NAMES_SIZE;
/// The first event.
pub const FIRST_EVENT: usize = EVENTS + PAGE;

/// The whole.
pub const LENGTH: usize = FIRST_EVENT + EVENTS_KEPT * EVENT_SIZE;

/// What is reserved from the beginning; the rest when it is first written to.
pub const RESERVED: usize = SNAPSHOTS;
