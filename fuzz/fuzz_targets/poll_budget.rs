//! `vivace_core::poll_budget` against its rules, with a counter that runs evenly and with one
//! that does what it likes.
//!
//! What must hold: a loop that is busy looks at its descriptors 2 turns after a look that found
//! something, after twice as many for each one that found nothing, at least every 64 and, as soon
//! as the rate of the counter is known, no later and no earlier than every 100 µs; and whatever
//! the counter does, the turns alone see to it.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vivace_core::poll_budget::{PollBudget, Reading};

const TURNS: u32 = 64;
const NANOSECONDS: u64 = 100_000;

#[derive(Arbitrary, Debug)]
enum Step {
    /// A turn that has callbacks to run, and looks if it is due; what that would find.
    Turn { events: bool },
    /// A look because there was nothing to run, and what it found.
    Look { events: bool },
    /// The look took as much as fits.
    Hurry,
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
struct Model {
    turns: u32,
    /// Looks since the last one that found something, or since the first; `None` before it.
    quiet: Option<u32>,
    hurried: bool,
    last: u64,
    first: Option<u64>,
    knows_rate: bool,
}

impl Model {
    fn is_due(&mut self, now: u64) -> bool {
        self.turns += 1;
        std::mem::take(&mut self.hurried)
            || self.quiet.is_none_or(|quiet| self.turns >= 2 << quiet.min(5))
            || !self.knows_rate
            || now - self.last >= NANOSECONDS
    }

    fn looked(&mut self, now: u64, events: bool) {
        self.turns = 0;
        self.quiet = Some(match self.quiet {
            Some(quiet) if !events => quiet + 1,
            _ => 0,
        });
        self.last = now;
        match self.first {
            None => self.first = Some(now),
            Some(first) => self.knows_rate |= now - first >= NANOSECONDS,
        }
    }
}

fn even(rate: u64, start: u64, offset: u64, steps: &[Step]) {
    let mut budget = PollBudget::default();
    let mut model =
        Model { turns: 0, quiet: None, hurried: false, last: 0, first: None, knows_rate: false };
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
            budget.looked(Reading { nanoseconds: now, ticks: ticks(now) }, events.into());
            model.looked(now, events);
        }
    }
}

fn wild(readings: &[(u64, u64, bool)]) {
    let mut budget = PollBudget::default();
    let mut without = 0;
    for &(nanoseconds, ticks, events) in readings {
        if budget.is_due(|| ticks) {
            budget.looked(Reading { nanoseconds, ticks }, events.into());
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
