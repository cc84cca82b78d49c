//! When a loop counts as blocked: a state machine that is shown the loop's page every few
//! milliseconds.
//!
//! ```text
//!            same callback for longer than the threshold
//!   calm -------------------------------------------------> blocked: sample, report
//!     ^                                                        |  sample; report at 3x, 10x …
//!     +--------------------------------------------------------+
//!                          another callback
//! ```

use crate::live::Phase;

/// What is seen of a loop.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// CLOCK_MONOTONIC in nanoseconds.
    pub now: u64,
    /// The word `SEQUENCE`.
    pub sequence: u64,
    /// The word `PHASE`.
    pub phase: Phase,
    /// When what runs began, by the same clock.
    pub begin: u64,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing: something else runs, or nothing.
    Nothing,
    /// The same as at the last look, for the first time: note where the clocks stand.
    Note,
    /// It is blocked, for so many nanoseconds: take a sample.
    Sample {
        /// For how long.
        blocked: u64,
        /// Report it, too: how often it was reported before.
        report: Option<u32>,
    },
    /// It was blocked and is not any more.
    Over {
        /// For how long it was.
        blocked: u64,
        /// Whether it waited for the GIL.
        waited_for_gil: bool,
    },
}

/// Reports of one block come after so many times the threshold.
const REPORTS: [u64; 5] = [1, 3, 10, 100, 1000];
/// Samples are taken after each multiple of the threshold up to here, then with the reports.
const SAMPLES: u64 = 10;

/// One loop that is watched.
#[derive(Debug, Default)]
pub struct Watch {
    sequence: u64,
    phase: u64,
    since: u64,
    noted: bool,
    samples: u64,
    reports: usize,
}

impl Watch {
    /// Takes a look.
    pub fn look(&mut self, look: &Look, threshold: u64) -> Act {
        let works = matches!(look.phase, Phase::Running | Phase::WaitingForGil);
        if look.sequence != self.sequence || look.phase as u64 != self.phase {
            let waited_for_gil = self.phase == Phase::WaitingForGil as u64;
            let over = (self.samples > 0).then(|| Act::Over {
                blocked: look.now.saturating_sub(self.since),
                waited_for_gil,
            });
            *self = Self {
                sequence: look.sequence,
                phase: look.phase as u64,
                // Nobody has seen it earlier than the clocks of the loop say.
                since: look.begin.min(look.now),
                ..Self::default()
            };
            return over.unwrap_or(Act::Nothing);
        }
        if !works {
            return Act::Nothing;
        }
        let blocked = look.now.saturating_sub(self.since);
        if blocked < threshold {
            return if std::mem::replace(&mut self.noted, true) { Act::Nothing } else { Act::Note };
        }
        let report = REPORTS
            .get(self.reports)
            .is_some_and(|times| blocked >= times * threshold)
            .then_some(self.reports as u32);
        if report.is_some() {
            self.reports += 1;
        }
        if report.is_none() && (self.samples >= SAMPLES || blocked < (self.samples + 1) * threshold)
        {
            return Act::Nothing;
        }
        self.samples += 1;
        Act::Sample { blocked, report }
    }

    /// The sequence of the last look.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The process, and whoever watches with it, stood still for so long: that does not count.
    pub fn stood_still(&mut self, nanoseconds: u64) {
        self.since += nanoseconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLD: u64 = 100;

    fn look(now: u64, sequence: u64, phase: Phase, begin: u64) -> Look {
        Look { now, sequence, phase, begin }
    }

    fn sample(blocked: u64, report: Option<u32>) -> Act {
        Act::Sample { blocked, report }
    }

    #[test]
    fn a_long_callback_is_reported_while_it_lasts_and_at_its_end() {
        let mut watch = Watch::default();
        let mut at = |now| watch.look(&look(now, 5, Phase::Running, 3), THRESHOLD);
        assert_eq!(at(10), Act::Nothing);
        assert_eq!(at(20), Act::Note);
        assert_eq!(at(30), Act::Nothing);
        assert_eq!(at(102), Act::Nothing);
        assert_eq!(at(103), sample(100, Some(0)));
        assert_eq!(at(113), Act::Nothing);
        assert_eq!(at(203), sample(200, None));
        assert_eq!(at(303), sample(300, Some(1)));
        assert_eq!(at(1003), sample(1000, Some(2)));
        let over = watch.look(&look(1010, 6, Phase::Running, 1008), THRESHOLD);
        assert_eq!(over, Act::Over { blocked: 1007, waited_for_gil: false });
        assert_eq!(watch.look(&look(1020, 6, Phase::Running, 1008), THRESHOLD), Act::Note);
    }

    #[test]
    fn a_block_that_is_seen_late_is_reported_at_once() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(&look(3, 5, Phase::Running, 3), THRESHOLD), Act::Nothing);
        assert_eq!(watch.look(&look(403, 5, Phase::Running, 3), THRESHOLD), sample(400, Some(0)));
        // Also if it was not seen to begin, once it is seen again.
        let mut watch = Watch::default();
        assert_eq!(watch.look(&look(403, 5, Phase::Running, 3), THRESHOLD), Act::Nothing);
        assert_eq!(watch.look(&look(404, 5, Phase::Running, 3), THRESHOLD), sample(401, Some(0)));
    }

    #[test]
    fn many_small_callbacks_are_none() {
        let mut watch = Watch::default();
        for now in 0..1000 {
            let act = watch.look(&look(now * 10, now, Phase::Running, now * 10), THRESHOLD);
            assert_eq!(act, Act::Nothing);
        }
    }

    #[test]
    fn waiting_for_events_is_none_and_waiting_for_the_gil_is() {
        let mut watch = Watch::default();
        for now in 0..1000 {
            let act = watch.look(&look(now, 1, Phase::Polling, 0), THRESHOLD);
            assert_eq!(act, Act::Nothing);
        }
        assert_eq!(watch.look(&look(1000, 1, Phase::WaitingForGil, 995), THRESHOLD), Act::Nothing);
        assert_eq!(
            watch.look(&look(1095, 1, Phase::WaitingForGil, 995), THRESHOLD),
            sample(100, Some(0))
        );
        let over = watch.look(&look(1100, 2, Phase::Running, 1099), THRESHOLD);
        assert_eq!(over, Act::Over { blocked: 105, waited_for_gil: true });
    }

    #[test]
    fn what_stood_still_with_everything_else_does_not_count() {
        let mut watch = Watch::default();
        watch.look(&look(10, 1, Phase::Running, 10), THRESHOLD);
        watch.look(&look(20, 1, Phase::Running, 10), THRESHOLD);
        watch.stood_still(5000);
        assert_eq!(watch.look(&look(5030, 1, Phase::Running, 10), THRESHOLD), Act::Nothing);
        assert_eq!(watch.look(&look(5111, 1, Phase::Running, 10), THRESHOLD), sample(101, Some(0)));
    }
}
