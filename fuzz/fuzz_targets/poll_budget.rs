//! `vivace_core::poll_budget` against its rules, with a counter that runs evenly and with one
//! that does what it likes.
//!
//! What must hold: a loop that is busy looks at its descriptors in the second turn after a look that
//! found something and then in each turn; once 32 looks in a row have found nothing, after twice as
//! many turns for each further one, at least every 64; in the next turn if it has sent something since
//! the last look; and, as soon as the rate of the counter is known, no later and no earlier than every
//! 100 µs. Whatever the counter does, the turns alone see to it.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vivace_core::poll_budget::PollBudget;

const TURNS: u32 = 64;
const LOOKS: u32 = 32;
const NANOSECONDS: u64 = 100_000;

#[derive(Arbitrary, Debug)]
enum Step {
    /// A turn that has callbacks to run, and looks if it is due; what that would find.
    Turn { events: bool },
    /// A look because there was nothing to run, and what it found.
    Look { events: bool },
    /// The look took as much as fits.
    Hurry,
    /// The loop has sent something.
    Expect,
    /// Time passes, in nanoseconds.
    Pass(u16),
    /// Time passes up to the limit, and so many nanoseconds more or less.
    PassLimit(i8),
}

#[derive(Arbitrary, Debug)]
enum Run {
    Even { rate: u8, start: u32, offset: u32, steps: Vec<Step> },
    Wild { readings: Vec<(u64, u64, bool)> },
}

/// The rules, for a counter of `rate` ticks a nanosecond.
#[derive(Default)]
struct Model {
    turns: u32,
    /// Looks since the last one that found something, or since the beginning.
    quiet: u32,
    hurried: bool,
    expected: bool,
    last: u64,
    first: Option<u64>,
    knows_rate: bool,
}

impl Model {
    fn is_due(&mut self, now: u64) -> bool {
        self.turns += 1;
        let interval = match self.quiet {
            0 => 2,
            1..=LOOKS => 1,
            quiet => 1 << (quiet - LOOKS).min(6),
        };
        std::mem::take(&mut self.hurried)
            || self.expected
            || self.turns >= interval
            || !self.knows_rate
            || now - self.last >= NANOSECONDS
    }

    fn looked(&mut self, now: u64, events: bool) {
        self.turns = 0;
        self.expected = false;
        self.quiet = if events { 0 } else { self.quiet + 1 };
        self.last = now;
        match self.first {
            None => self.first = Some(now),
            Some(first) => self.knows_rate |= now - first >= NANOSECONDS,
        }
    }
}

fn even(rate: u64, start: u64, offset: u64, steps: &[Step]) {
    let mut budget = PollBudget::default();
    let mut model = Model::default();
    let mut now = start;
    let ticks = |now: u64| offset + now * rate;
    for step in steps {
        let look = match step {
            Step::Turn { events } => {
                let due = budget.is_due(|| ticks(now));
                assert_eq!(due, model.is_due(now));
                due.then_some(*events)
            }
            Step::Look { events } => Some(*events),
            Step::Hurry => {
                budget.hurry();
                model.hurried = true;
                None
            }
            Step::Expect => {
                budget.expect();
                model.expected = true;
                None
            }
            Step::Pass(nanoseconds) => {
                now += u64::from(*nanoseconds);
                None
            }
            Step::PassLimit(offset) => {
                now += NANOSECONDS.saturating_add_signed((*offset).into());
                None
            }
        };
        if let Some(events) = look {
            budget.looked(ticks(now), events.into(), || now);
            model.looked(now, events);
        }
    }
}

fn wild(readings: &[(u64, u64, bool)]) {
    let mut budget = PollBudget::default();
    let mut without = 0;
    for &(nanoseconds, ticks, events) in readings {
        if budget.is_due(|| ticks) {
            budget.looked(ticks, events.into(), || nanoseconds);
            without = 0;
        } else {
            without += 1;
            assert!(without < TURNS, "{without} turns without a look");
        }
    }
}

fuzz_target!(|run: Run| match run {
    // The clock of a machine has run for a while.
    Run::Even { rate, start, offset, steps } =>
        even(u64::from(rate) + 1, u64::from(start) + 1, offset.into(), &steps),
    Run::Wild { readings } => wild(&readings),
});
