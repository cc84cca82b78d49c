//! One event of a timeline: sixteen bytes, in the ring of a process and in the file of a trace.
//!
//! ```text
//! bits   0..8    8..64                     64..96    96..128
//!        kind    time (ns, CLOCK_MONOTONIC)  subject   detail
//! ```
//!
//! The time has 56 bits: it wraps after 834 days. What `subject` and `detail` mean, each 32 bits:
//!
//! | kind | time | subject | detail |
//! |---|---|---|---|
//! | `Step` | begin | task | length: the task ran |
//! | `Callback` | begin | name of the function | length: a callback ran that is no task |
//! | `Ready` | when | task | actor: who woke it |
//! | `Wait` | when | task | name: what it waits for from now on |
//! | `Created` | when | task | actor: who created it |
//! | `Coroutine` | when | task | name: the function it runs |
//! | `Named` | when | task | name: what it is called |
//! | `Site` | when | task | name: the line that created it |
//! | `Ended` | when | task | outcome |
//! | `Cancelled` | when | task | actor: who asked for it |
//! | `Block` | begin | actor | length: the loop was blocked |
//! | `Gc` | begin | generation | length: the collector ran |
//! | `GilWait` | begin | 0 | length: the loop waited for the GIL after its poll |
//! | `Poll` | begin | events | length: the loop waited for events |
//! | `Queues` | when | callbacks that are ready | tasks that live |
//! | `Lag` | when | 0 | length: how long the callback that runs now was ready |
//! | `Short` | begin of the first | how many | length: steps too short for a record each |
//! | `Dropped` | when | 0 | how many records before this one are missing |
//!
//! An *actor* is a task, a callback by the name of its function, or nobody: the loop itself. A
//! *length* is in nanoseconds up to two seconds, and in units of 1024 above, up to 36 minutes.
//! Task numbers start at 1 and are never used twice in one process; neither are those of names.

/// How long something took, in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length(pub u32);

impl Length {
    const COARSE: u32 = 1 << 31;

    /// The nearest length from below; the longest there is for what is longer.
    #[inline]
    pub fn new(nanoseconds: u64) -> Self {
        if nanoseconds < u64::from(Self::COARSE) {
            Self(nanoseconds as u32)
        } else {
            Self(Self::COARSE | (nanoseconds >> 10).min(u64::from(Self::COARSE - 1)) as u32)
        }
    }

    /// In nanoseconds.
    #[inline]
    pub fn nanoseconds(self) -> u64 {
        if self.0 & Self::COARSE == 0 {
            u64::from(self.0)
        } else {
            u64::from(self.0 & !Self::COARSE) << 10
        }
    }
}

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Actor {
    /// The loop itself, or something outside: a timer, a descriptor, another thread.
    Nobody,
    /// A task, by its number.
    Task(u32),
    /// A callback, by the name of its function.
    Callback(u32),
}

impl Actor {
    const CALLBACK: u32 = 1 << 31;

    /// As 32 bits.
    #[inline]
    pub fn bits(self) -> u32 {
        match self {
            Self::Nobody => 0,
            Self::Task(task) => task & !Self::CALLBACK,
            Self::Callback(name) => name | Self::CALLBACK,
        }
    }

    /// The reverse of `bits`.
    #[inline]
    pub fn from_bits(bits: u32) -> Self {
        match bits {
            0 => Self::Nobody,
            bits if bits & Self::CALLBACK == 0 => Self::Task(bits),
            bits => Self::Callback(bits & !Self::CALLBACK),
        }
    }
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned.
    Returned,
    /// It raised.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl Outcome {
    fn from_bits(bits: u32) -> Self {
        match bits {
            0 => Self::Returned,
            1 => Self::Failed,
            _ => Self::Cancelled,
        }
    }
}

macro_rules! kinds {
    ($($(#[$meta:meta])* $name:ident = $number:literal),* $(,)?) => {
        /// What happened: see the table of the module.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$meta])* $name = $number),*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The reverse of `as u8`.
            pub fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// A task ran.
    Step = 1,
    /// A callback ran that is no task.
    Callback = 2,
    /// A task was queued.
    Ready = 3,
    /// A task waits.
    Wait = 4,
    /// A task was made.
    Created = 5,
    /// What a task runs.
    Coroutine = 6,
    /// What a task is called.
    Named = 7,
    /// Where a task was made.
    Site = 8,
    /// A task ended.
    Ended = 9,
    /// Somebody asked a task to end.
    Cancelled = 10,
    /// The loop was blocked.
    Block = 11,
    /// The collector ran.
    Gc = 12,
    /// The loop waited for the GIL.
    GilWait = 13,
    /// The loop waited for events.
    Poll = 14,
    /// How much there is to do.
    Queues = 15,
    /// How late the loop is.
    Lag = 16,
    /// Steps without records of their own.
    Short = 17,
    /// Records are missing.
    Dropped = 18,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub kind: Kind,
    /// When, in nanoseconds of CLOCK_MONOTONIC.
    pub time: u64,
    /// Whom it is about.
    pub subject: u32,
    /// What else there is to say.
    pub detail: u32,
}

impl Record {
    /// How many bytes one takes.
    pub const SIZE: usize = 16;
    /// The last time that can be written.
    pub const LAST_TIME: u64 = (1 << 56) - 1;

    /// Something that happened at once.
    #[inline]
    pub fn new(kind: Kind, time: u64, subject: u32, detail: u32) -> Self {
        Self { kind, time, subject, detail }
    }

    /// Something that took time.
    #[inline]
    pub fn slice(kind: Kind, begin: u64, end: u64, subject: u32) -> Self {
        let length = Length::new(end.saturating_sub(begin));
        Self { kind, time: begin, subject, detail: length.0 }
    }

    /// The detail of `Ready`, `Created`, `Cancelled`.
    pub fn actor(&self) -> Actor {
        Actor::from_bits(self.detail)
    }

    /// The detail of slices and of `Lag`, in nanoseconds.
    pub fn nanoseconds(&self) -> u64 {
        Length(self.detail).nanoseconds()
    }

    /// The detail of `Ended`.
    pub fn outcome(&self) -> Outcome {
        Outcome::from_bits(self.detail)
    }

    /// As two words, each of which can be stored at once.
    #[inline]
    pub fn words(&self) -> [u64; 2] {
        [
            self.time << 8 | u64::from(self.kind as u8),
            u64::from(self.subject) | u64::from(self.detail) << 32,
        ]
    }

    /// The reverse of `words`; nothing for what is no record, such as memory never written.
    #[inline]
    pub fn from_words([first, second]: [u64; 2]) -> Option<Self> {
        Some(Self {
            kind: Kind::from_number(first as u8)?,
            time: first >> 8,
            subject: second as u32,
            detail: (second >> 32) as u32,
        })
    }

    /// As two words with the loop, of which there are eight: kinds have five bits.
    #[inline]
    pub fn words_of_loop(&self, event_loop: u16) -> [u64; 2] {
        let [first, second] = self.words();
        [first | u64::from(event_loop & 7) << 5, second]
    }

    /// The reverse of `words_of_loop`.
    pub fn from_words_of_loop([first, second]: [u64; 2]) -> Option<(u16, Self)> {
        let event_loop = (first >> 5 & 7) as u16;
        Self::from_words([first & !(7 << 5), second]).map(|record| (event_loop, record))
    }

    /// As bytes, little endian.
    #[inline]
    pub fn bytes(&self) -> [u8; Self::SIZE] {
        let [first, second] = self.words();
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&first.to_le_bytes());
        bytes[8..].copy_from_slice(&second.to_le_bytes());
        bytes
    }

    /// The reverse of `bytes`.
    #[inline]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Option<Self> {
        let (first, second) = bytes.split_at(8);
        let word = |half: &[u8]| half.try_into().map(u64::from_le_bytes).ok();
        Self::from_words([word(first)?, word(second)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for kind in Kind::ALL {
            let record = Record::new(*kind, Record::LAST_TIME - 5, u32::MAX, 0x8000_0001);
            assert_eq!(Record::from_bytes(&record.bytes()), Some(record));
            assert_eq!(Record::from_words(record.words()), Some(record));
            let words = record.words_of_loop(5);
            assert_eq!(Record::from_words_of_loop(words), Some((5, record)));
        }
    }

    #[test]
    fn blank_memory_is_no_record() {
        assert_eq!(Record::from_bytes(&[0; 16]), None);
        assert_eq!(Record::from_bytes(&[0xff; 16]), None);
    }

    #[test]
    fn lengths_are_exact_up_to_two_seconds_and_never_too_long() {
        for nanoseconds in [0, 1, 49_999, (1 << 31) - 1] {
            assert_eq!(Length::new(nanoseconds).nanoseconds(), nanoseconds);
        }
        for nanoseconds in [1 << 31, 2_147_483_649, 5_000_000_000, 1 << 40] {
            let length = Length::new(nanoseconds).nanoseconds();
            assert!(length <= nanoseconds && nanoseconds - length < 1024, "{length}");
        }
        assert!(Length::new(u64::MAX).nanoseconds() > 2_100_000_000_000);
    }

    #[test]
    fn actors_are_told_apart() {
        for actor in [Actor::Nobody, Actor::Task(7), Actor::Callback(7), Actor::Callback(0)] {
            assert_eq!(Actor::from_bits(actor.bits()), actor);
        }
    }
}
