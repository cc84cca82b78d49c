//! The numbers of a running loop: a page of words that the loop's thread writes and anybody reads.
//!
//! Writers store with relaxed order and never lock: a reader sees each word whole, and words that
//! belong together only nearly so. The page may lie in a file that other processes map.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Words of a page: 4096 bytes.
pub const WORDS: usize = 512;

/// The page of one loop.
pub type Page = [AtomicU64; WORDS];

/// A page of zeros that lives as long as the process.
pub fn leaked_page() -> &'static Page {
    Box::leak(Box::new([const { AtomicU64::new(0) }; WORDS]))
}

/// What the thread of a loop is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Phase {
    /// Nobody runs the loop.
    NotRunning = 0,
    /// It waits for events, without the GIL.
    Polling = 1,
    /// Events have come, and it waits for the GIL.
    WaitingForGil = 2,
    /// It runs callbacks.
    Running = 3,
}

impl Phase {
    /// What a word says.
    pub fn of(word: u64) -> Self {
        match word {
            1 => Self::Polling,
            2 => Self::WaitingForGil,
            3 => Self::Running,
            _ => Self::NotRunning,
        }
    }
}

/// What the loop's thread runs, if it runs something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Kind {
    /// Nothing of the program: the engine itself.
    Nothing = 0,
    /// A step of a task.
    Step = 1,
    /// A handle of `call_soon` or of a descriptor.
    Handle = 2,
    /// A timer.
    Timer = 3,
    /// A done callback.
    Callback = 4,
    /// A connection: methods of its protocol.
    Stream = 5,
    /// A listening socket: the protocol factory.
    Listener = 6,
    /// The diagnostics themselves.
    Tick = 7,
}

impl Kind {
    /// What a word says.
    pub fn of(word: u64) -> Self {
        match word {
            1 => Self::Step,
            2 => Self::Handle,
            3 => Self::Timer,
            4 => Self::Callback,
            5 => Self::Stream,
            6 => Self::Listener,
            7 => Self::Tick,
            _ => Self::Nothing,
        }
    }
}

/// The words by their names.
pub mod word {
    // The first line of the cache: written for each callback.

    /// Goes up with each callback and each change of the phase.
    pub const SEQUENCE: usize = 0;
    /// A [`super::Phase`].
    pub const PHASE: usize = 1;
    /// A [`super::Kind`].
    pub const KIND: usize = 2;
    /// The address of what runs: a task, a handle, a function.
    pub const CURRENT: usize = 3;
    /// The number of the task that runs; 0 if none does.
    pub const TASK: usize = 4;
    /// The processor's counter when what runs began.
    pub const BEGIN: usize = 5;
    /// Steps of tasks.
    pub const STEPS: usize = 6;
    /// Callbacks of every kind, steps included.
    pub const CALLBACKS: usize = 7;

    // Written for each turn.

    /// Turns.
    pub const ITERATIONS: usize = 8;
    /// How many callbacks were ready when the turn began.
    pub const READY: usize = 9;
    /// How many timers are held.
    pub const TIMERS: usize = 10;
    /// Nanoseconds in which callbacks ran.
    pub const BUSY: usize = 11;
    /// Nanoseconds in which the loop waited for events.
    pub const IDLE: usize = 12;
    /// Nanoseconds between the end of a wait and the GIL.
    pub const GIL_WAIT: usize = 13;
    /// Nanoseconds in which the garbage collector ran on the loop's thread.
    pub const GC: usize = 14;
    /// Connections and descriptors that are watched; written once a second.
    pub const DESCRIPTORS: usize = 15;

    // Written when the loop begins to run.

    /// The number of the thread, as in `/proc/self/task`; 0 while nobody runs the loop.
    pub const THREAD: usize = 16;
    /// The address of the thread's state in the interpreter.
    pub const THREAD_STATE: usize = 17;
    /// The address of the Python frame that runs the loop: what is above it is the program's.
    pub const RUN_FRAME: usize = 18;
    /// Nanoseconds since 1970 when it began to run.
    pub const STARTED: usize = 19;
    /// The counter and the clock read together, and nanoseconds a tick as 32.32 bits.
    pub const CLOCK_TICKS: usize = 20;
    /// See [`CLOCK_TICKS`]: CLOCK_MONOTONIC.
    pub const CLOCK_NANOSECONDS: usize = 21;
    /// See [`CLOCK_TICKS`].
    pub const CLOCK_SCALE: usize = 22;

    /// The counter is read at the end of what runs when [`SEQUENCE`] has come so far. Whoever
    /// watches stores 0 to have it read now.
    pub const DUE: usize = 23;

    // Tasks.

    /// Tasks that were made.
    pub const CREATED: usize = 24;
    /// Tasks that returned.
    pub const ENDED_OK: usize = 25;
    /// Tasks that raised.
    pub const ENDED_ERROR: usize = 26;
    /// Tasks that were cancelled.
    pub const ENDED_CANCELLED: usize = 27;
    /// Tasks in circles that were reported, and still are in them; written once a second.
    pub const DEADLOCKED: usize = 28;

    /// Tasks that are queued; written once a second.
    pub const READY_TASKS: usize = 29;

    // Executors; written once a second.

    /// Threads of the default executor, and jobs that wait for one.
    pub const EXECUTOR: usize = 46;
    /// anyio's threads, and jobs that wait for one.
    pub const ANYIO: usize = 56;

    // Blocks.

    /// Blocks by cause: eight words, see [`super::Cause`].
    pub const BLOCKS: usize = 32;
    /// Nanoseconds of all blocks together.
    pub const BLOCK_SUM: usize = 40;
    /// Nanoseconds of the longest block.
    pub const BLOCK_LONGEST: usize = 41;
    /// Nanoseconds between ready and run of all steps together.
    pub const DELAY_SUM: usize = 42;

    /// Nanoseconds for which calls waited for threads of an executor, all together.
    pub const EXECUTOR_WAIT_SUM: usize = 30;

    /// 1 while a block of this loop has been reported and its end has not.
    pub const REPORTED: usize = 43;
    /// How many callbacks had run when the turn began.
    pub const TURN_CALLBACKS: usize = 44;
    /// How often `call_soon_threadsafe` was called on the loop's own thread.
    pub const OWN_CALLS: usize = 45;
    /// The addresses of what was given to the last eight of those calls.
    pub const OWN_CALLED: usize = 48;

    // Histograms: word `n` counts what took less than 2^n nanoseconds, and 2^(n-1) at least.

    /// Between becoming ready and running.
    pub const DELAYS: usize = 64;
    /// The durations of callbacks.
    pub const DURATIONS: usize = 128;
    /// The durations of blocks.
    pub const BLOCK_DURATIONS: usize = 192;
    /// Between the call for a thread of an executor and its beginning; written by those threads.
    pub const EXECUTOR_WAITS: usize = 256;
    /// Words of a histogram.
    pub const BUCKETS: usize = 64;

    /// From here on nothing is used.
    pub const END: usize = 320;
}

const _: () = assert!(word::EXECUTOR_WAITS + word::BUCKETS <= word::END && word::END <= WORDS);

/// Why a loop was blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Cause {
    /// None of the others, or not known.
    Unknown = 0,
    /// It computes.
    Cpu = 1,
    /// A system call.
    Syscall = 2,
    /// The garbage collector.
    Gc = 3,
    /// Another thread holds the GIL.
    Gil = 4,
    /// A lock of another thread.
    Lock = 5,
    /// The process, or the machine, stood still.
    Stopped = 6,
    /// It could run, but other processes have the processor.
    Starved = 7,
}

impl Cause {
    /// One word, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Cpu => "cpu",
            Self::Syscall => "syscall",
            Self::Gc => "gc",
            Self::Gil => "gil",
            Self::Lock => "lock",
            Self::Stopped => "stopped",
            Self::Starved => "starved",
        }
    }
}

/// Adds to a word that only this thread writes.
#[inline(always)]
pub fn add(word: &AtomicU64, more: u64) {
    // Not fetch_add: one writer needs no lock on the bus.
    word.store(word.load(Relaxed).wrapping_add(more), Relaxed);
}

/// The bucket of a histogram for so many nanoseconds.
#[inline(always)]
pub fn bucket(nanoseconds: u64) -> usize {
    (u64::BITS - nanoseconds.leading_zeros()).min(63) as usize
}

/// Counts nanoseconds in the histogram that begins at a word.
#[inline(always)]
pub fn count(page: &Page, histogram: usize, nanoseconds: u64) {
    add(&page[histogram + bucket(nanoseconds)], 1);
}

/// The same for a histogram that several threads write.
pub fn count_shared(page: &Page, histogram: usize, nanoseconds: u64) {
    page[histogram + bucket(nanoseconds)].fetch_add(1, Relaxed);
}

/// From the processor's counter to nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Nanoseconds a tick, times 2^32.
    pub factor: u64,
    /// The counter at some moment.
    pub ticks: u64,
    /// CLOCK_MONOTONIC at that moment.
    pub nanoseconds: u64,
}

impl Scale {
    /// From two readings of the counter and the clock, `(ticks, nanoseconds)`.
    pub fn between(first: (u64, u64), second: (u64, u64)) -> Self {
        let ticks = second.0.saturating_sub(first.0).max(1);
        let nanoseconds = second.1.saturating_sub(first.1);
        let factor = (u128::from(nanoseconds) << 32) / u128::from(ticks);
        let factor = u64::try_from(factor).unwrap_or(u64::MAX).max(1);
        Self { factor, ticks: second.0, nanoseconds: second.1 }
    }

    /// How long so many ticks are.
    #[inline(always)]
    pub fn duration(&self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.factor)) >> 32) as u64
    }

    /// How many ticks so many nanoseconds are.
    pub fn ticks_of(&self, nanoseconds: u64) -> u64 {
        let ticks = (u128::from(nanoseconds) << 32) / u128::from(self.factor.max(1));
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// CLOCK_MONOTONIC when the counter stood so.
    pub fn clock(&self, ticks: u64) -> u64 {
        if ticks >= self.ticks {
            self.nanoseconds.saturating_add(self.duration(ticks - self.ticks))
        } else {
            self.nanoseconds.saturating_sub(self.duration(self.ticks - ticks))
        }
    }

    /// The scale that a page was written with.
    pub fn of(page: &Page) -> Self {
        Self {
            factor: page[word::CLOCK_SCALE].load(Relaxed),
            ticks: page[word::CLOCK_TICKS].load(Relaxed),
            nanoseconds: page[word::CLOCK_NANOSECONDS].load(Relaxed),
        }
    }

    /// Writes it into a page.
    pub fn write(&self, page: &Page) {
        page[word::CLOCK_SCALE].store(self.factor, Relaxed);
        page[word::CLOCK_TICKS].store(self.ticks, Relaxed);
        page[word::CLOCK_NANOSECONDS].store(self.nanoseconds, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds() {
        let scale = Scale::between((1_000, 50), (3_001_000, 1_000_050));
        assert_eq!(scale.duration(3_000_000), 999_999);
        assert!(scale.ticks_of(1_000_000).abs_diff(3_000_000) <= 1);
        assert_eq!(scale.clock(3_001_000), 1_000_050);
        assert!(scale.clock(1_000).abs_diff(50) <= 1);
        assert_eq!(scale.clock(6_001_000), 2_000_049);
    }

    #[test]
    fn a_histogram_counts_by_powers_of_two() {
        let page = leaked_page();
        for nanoseconds in [0, 1, 2, 3, 4, 1023, 1024, u64::MAX] {
            count(page, word::DELAYS, nanoseconds);
        }
        let counts: Vec<u64> =
            (0..word::BUCKETS).map(|bucket| page[word::DELAYS + bucket].load(Relaxed)).collect();
        assert_eq!(counts[..4], [1, 1, 2, 1]);
        assert_eq!((counts[10], counts[11], counts[63]), (1, 1, 1));
        assert_eq!(counts.iter().sum::<u64>(), 8);
    }
}
