//! `vivace_core::timers` against a list of deadlines that is searched from end to end.
//!
//! What must hold: a timer comes out exactly once, never early, never after a later one, equal
//! ones in the order of adding; a cancelled one is never due; and cancelled ones do not pile up.
#![no_main]

use std::cell::Cell;
use std::rc::Rc;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vivace_core::timers::{Popped, Timers};

/// Up to this many cancelled timers may stay in the heap, however small it is.
const COMPACT_MINIMUM: usize = 100;

/// The model looks at each timer for each that comes out: more of them only make it slow.
const ENOUGH: usize = 600;

#[derive(Arbitrary, Debug)]
enum When {
    /// Few values, so that many are equal.
    Small(u8),
    Any(f64),
}

impl When {
    /// The deadline; the loop refuses NaN before it gets here.
    fn seconds(&self) -> f64 {
        match *self {
            Self::Small(tenths) => f64::from(tenths) / 10.0,
            Self::Any(seconds) if seconds.is_nan() => f64::INFINITY,
            Self::Any(seconds) => seconds,
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Push(When),
    /// Enough at once that the heap is compacted at times.
    PushMany {
        count: u8,
        first: u8,
    },
    Cancel(u16),
    CancelMany {
        count: u8,
        first: u16,
    },
    /// Takes what is due, as a turn of the loop does.
    PopDue(When),
    /// Clears cancelled ones off the top, as the loop does before it waits.
    NextDeadline,
    Take,
}

struct Timer {
    number: usize,
    when: f64,
    cancelled: Cell<bool>,
}

#[derive(Default)]
struct Pair {
    timers: Timers<Rc<Timer>>,
    /// What the heap should hold, in the order of adding.
    model: Vec<Rc<Timer>>,
    pushed: usize,
}

impl Pair {
    fn push(&mut self, when: f64) {
        let timer = Rc::new(Timer { number: self.pushed, when, cancelled: Cell::new(false) });
        self.pushed += 1;
        self.timers.push(when, Rc::clone(&timer));
        self.model.push(timer);
    }

    fn cancel(&mut self, index: usize) {
        let Some(timer) = self.model.get(index % self.model.len().max(1)) else { return };
        // As a handle does: only the first time, and only while it is in the heap.
        if timer.cancelled.replace(true) {
            return;
        }
        let held = self.model.len();
        let cancelled = self.model.iter().filter(|timer| timer.cancelled.get()).count();
        let dropped = self.timers.note_cancelled(|timer| timer.cancelled.get());
        let too_many = cancelled > COMPACT_MINIMUM && cancelled * 2 > held;
        assert_eq!(dropped.len(), if too_many { cancelled } else { 0 }, "all of them or none");
        if too_many {
            assert!(dropped.iter().all(|timer| timer.cancelled.get()), "and no others");
            self.model.retain(|timer| !timer.cancelled.get());
        }
    }

    /// The one that is due next, by a look at each of them.
    fn first(&self) -> Option<usize> {
        (0..self.model.len()).min_by(|&left, &right| {
            let (left, right) = (&self.model[left], &self.model[right]);
            left.when.total_cmp(&right.when).then(left.number.cmp(&right.number))
        })
    }

    fn pop_until(&mut self, now: f64) {
        while let Some(popped) = self.timers.pop(now, |timer| timer.cancelled.get()) {
            let first = self.first().expect("the heap holds no more than the model");
            let expected = self.model.remove(first);
            let (timer, due) = match popped {
                Popped::Due(timer) => (timer, true),
                Popped::Cancelled(timer) => (timer, false),
            };
            assert_eq!(timer.number, expected.number, "in order");
            assert_eq!(due, !timer.cancelled.get(), "cancelled ones are not due");
            assert!(!due || timer.when <= now, "never early");
        }
        if let Some(first) = self.first() {
            let next = &self.model[first];
            assert!(!next.cancelled.get() && next.when > now, "nothing that is due stays");
        }
    }

    fn check(&self) {
        assert_eq!(self.timers.len(), self.model.len());
        assert_eq!(self.timers.is_empty(), self.model.is_empty());
        let first = self.first().map(|first| self.model[first].when.to_bits());
        assert_eq!(self.timers.first().map(f64::to_bits), first);
    }
}

fuzz_target!(|operations: Vec<Operation>| {
    let mut pair = Pair::default();
    for operation in operations {
        match operation {
            Operation::Push(when) => pair.push(when.seconds()),
            Operation::PushMany { count, first } => {
                let room = ENOUGH.saturating_sub(pair.model.len());
                for step in (0..count).take(room) {
                    pair.push(f64::from(first.wrapping_add(step)) / 10.0);
                }
            }
            Operation::Cancel(index) => pair.cancel(index.into()),
            Operation::CancelMany { count, first } => {
                for step in 0..usize::from(count) {
                    pair.cancel(usize::from(first) + step);
                }
            }
            Operation::PopDue(now) => pair.pop_until(now.seconds()),
            Operation::NextDeadline => pair.pop_until(f64::NEG_INFINITY),
            Operation::Take => {
                let mut shown = 0;
                pair.timers.for_each(|_timer| shown += 1);
                let mut numbers: Vec<_> =
                    pair.timers.take().iter().map(|timer| timer.number).collect();
                numbers.sort_unstable();
                let expected: Vec<_> = pair.model.drain(..).map(|timer| timer.number).collect();
                assert_eq!(numbers, expected);
                assert_eq!(shown, expected.len());
            }
        }
        pair.check();
    }
});
