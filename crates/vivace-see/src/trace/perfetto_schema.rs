//! What of Perfetto's schema is written: fields, words, tracks, and events made of them.

use super::protobuf::Message;

/// The numbers of the fields, as in Perfetto's `.proto` files.
pub(super) mod field {
    pub(crate) const TRACE_PACKET: u32 = 1;
    /// `TracePacket`
    pub(crate) mod packet {
        pub(crate) const TIMESTAMP: u32 = 8;
        pub(crate) const SEQUENCE: u32 = 10;
        pub(crate) const TRACK_EVENT: u32 = 11;
        pub(crate) const INTERNED_DATA: u32 = 12;
        pub(crate) const SEQUENCE_FLAGS: u32 = 13;
        pub(crate) const TRACK_DESCRIPTOR: u32 = 60;
    }
    /// `TrackDescriptor`
    pub(crate) mod track {
        pub(crate) const UUID: u32 = 1;
        pub(crate) const NAME: u32 = 2;
        pub(crate) const PROCESS: u32 = 3;
        pub(crate) const PARENT: u32 = 5;
        pub(crate) const COUNTER: u32 = 8;
    }
    /// `ProcessDescriptor`
    pub(crate) mod process {
        pub(crate) const PID: u32 = 1;
        pub(crate) const COMMAND_LINE: u32 = 2;
        pub(crate) const NAME: u32 = 6;
    }
    /// `TrackEvent`
    pub(crate) mod event {
        pub(crate) const ANNOTATIONS: u32 = 4;
        pub(crate) const TYPE: u32 = 9;
        pub(crate) const NAME_ID: u32 = 10;
        pub(crate) const TRACK: u32 = 11;
        pub(crate) const COUNTER_VALUE: u32 = 30;
        pub(crate) const DOUBLE_COUNTER_VALUE: u32 = 44;
        pub(crate) const FLOWS: u32 = 47;
        pub(crate) const LAST_FLOWS: u32 = 48;
    }
    /// `DebugAnnotation`
    pub(crate) mod annotation {
        pub(crate) const TEXT: u32 = 6;
        pub(crate) const NAME: u32 = 10;
    }
    /// `InternedData`, and `EventName` in it.
    pub(crate) mod interned {
        pub(crate) const EVENT_NAMES: u32 = 2;
        pub(crate) const ID: u32 = 1;
        pub(crate) const NAME: u32 = 2;
    }
}

/// `TrackEvent.Type`
#[derive(Clone, Copy)]
pub(super) enum Type {
    Begin = 1,
    End = 2,
    Instant = 3,
    Counter = 4,
}

/// One writer of the file: names and their numbers are its own.
pub(super) const SEQUENCE: u64 = 1;
pub(super) const STATE_CLEARED: u64 = 1;
pub(super) const NEEDS_STATE: u64 = 2;

/// What is said of all tasks: their numbers come before those of names.
#[derive(Clone, Copy)]
pub(super) enum Word {
    Running = 1,
    Ready = 2,
    Waiting = 3,
    Poll = 4,
    Gc = 5,
    GilWait = 6,
    Blocked = 7,
    Cancelled = 8,
    Missing = 9,
    Short = 10,
}

pub(super) const WORDS: [&str; 10] = [
    "running",
    "ready",
    "waiting",
    "waiting for events",
    "garbage collection",
    "waiting for the GIL",
    "blocked",
    "cancel asked for",
    "events are missing",
    "short steps",
];

pub(super) const FIRST_NAME: u64 = 64;

/// The tracks of a loop.
#[derive(Clone, Copy)]
pub(super) enum Track {
    Process,
    Loop,
    Ready,
    Tasks,
    Lag,
    Task(u32),
}

impl Track {
    pub(super) fn uuid(self, event_loop: u16) -> u64 {
        let number = match self {
            Self::Process => 1,
            Self::Loop => 2,
            Self::Ready => 3,
            Self::Tasks => 4,
            Self::Lag => 5,
            Self::Task(task) => 16 + u64::from(task),
        };
        (u64::from(event_loop) + 1) << 40 | number
    }
}

/// A number that both ends of an arrow know.
pub(super) fn flow(task: u32, ready: u64) -> u64 {
    (u64::from(task) << 40 ^ ready).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

pub(super) fn event_name(number: u64, text: &str) -> Message {
    let mut name = Message::default();
    name.number(field::interned::ID, number).text(field::interned::NAME, text);
    name
}

pub(super) fn bare(kind: Type, track: u64) -> Message {
    let mut event = Message::default();
    event.number(field::event::TYPE, kind as u64).number(field::event::TRACK, track);
    event
}

pub(super) fn named(kind: Type, track: u64, name: u64) -> Message {
    let mut event = bare(kind, track);
    event.number(field::event::NAME_ID, name);
    event
}
