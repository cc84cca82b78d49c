//! `vivace_core::stream::flow_control` against asyncio's rules, written down once more.
//!
//! What must hold: a protocol is told to pause and to go on in turns, at the marks that asyncio
//! derives from what it is given, and marks that make no sense change nothing.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vivace_core::stream::flow_control::{DEFAULT_HIGH, FlowControl, Marks, Tell};

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Mark {
    /// Close to each other and to the sizes below, so that equality happens.
    Small(u8),
    Any(i64),
}

impl Mark {
    fn bytes(self) -> i64 {
        match self {
            Self::Small(bytes) => bytes.into(),
            Self::Any(bytes) => bytes,
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Operation {
    SetLimits { high: Option<Mark>, low: Option<Mark> },
    Grown(Size),
    Shrunk(Size),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Size {
    Small(u8),
    Any(u64),
    /// Just at a mark, and one byte beside it.
    AtHigh(i8),
    AtLow(i8),
}

impl Size {
    fn bytes(self, (low, high): (usize, usize)) -> usize {
        match self {
            Self::Small(bytes) => bytes.into(),
            Self::Any(bytes) => bytes as usize,
            Self::AtHigh(offset) => high.saturating_add_signed(offset.into()),
            Self::AtLow(offset) => low.saturating_add_signed(offset.into()),
        }
    }
}

/// The marks that `asyncio.transports._FlowControlMixin` would set, in numbers without a limit.
fn marks(high: Option<i64>, low: Option<i64>) -> Option<(i128, i128)> {
    let (high, low) = (high.map(i128::from), low.map(i128::from));
    let high = high.unwrap_or_else(|| low.map_or(64 * 1024, |low| 4 * low));
    let low = low.unwrap_or_else(|| high.div_euclid(4));
    (high >= low && low >= 0).then_some((low, high))
}

fuzz_target!(|operations: Vec<Operation>| {
    let mut flow = FlowControl::default();
    let mut limits = (16 * 1024, 64 * 1024);
    let mut paused = false;
    let current = |flow: &FlowControl| (flow.marks().low, flow.marks().high);
    assert_eq!(current(&flow), limits);
    for operation in operations {
        match operation {
            Operation::SetLimits { high, low } => {
                let (high, low) = (high.map(Mark::bytes), low.map(Mark::bytes));
                let expected = marks(high, low);
                let derived = Marks::derive(high, low, DEFAULT_HIGH);
                assert_eq!(derived.is_ok(), expected.is_some());
                if let Ok(derived) = derived {
                    flow.set_marks(derived);
                }
                if let Some((low, high)) = expected {
                    // No buffer is as large as the largest number: a mark beyond it is it.
                    let bytes = |mark: i128| mark.min(i64::MAX.into()) as usize;
                    limits = (bytes(low), bytes(high));
                }
            }
            Operation::Grown(size) => {
                let size = size.bytes(limits);
                let tell = (!paused && size > limits.1).then_some(Tell::Pause);
                assert_eq!(flow.grown(size), tell);
                paused |= tell.is_some();
            }
            Operation::Shrunk(size) => {
                let size = size.bytes(limits);
                let tell = (paused && size <= limits.0).then_some(Tell::Resume);
                assert_eq!(flow.shrunk(size), tell);
                paused &= tell.is_none();
            }
        }
        assert_eq!(current(&flow), limits);
        assert_eq!(flow.high(), limits.1);
        assert_eq!(flow.is_paused(), paused);
    }
});
