//! When to look at the file descriptors while callbacks keep the loop busy.
//!
//! A look costs a system call (about 230 ns), which is more than most callbacks. With work
//! ready the loop looks every few turns or every 100 µs, whichever comes first: enough
//! that a busy program cannot starve its connections. With nothing ready it always looks.
//!
//! With nothing ready the loop waits, and there are two ways to begin. A wait lets go of the GIL
//! and takes it again, which costs less than a look but lets other threads in; a look that finds
//! something saves that. So the loop looks first if there was something already when it last
//! wanted to wait, which it can tell by how short that wait was.
//!
//! How many turns depends on what the last looks found. The second turn after one that found
//! something looks, and each turn after that; once 32 looks in a row have found nothing, twice as
//! many turns go by after each, up to 64. So a program that computes pays for few looks, and one
//! that talks while another of its tasks spins is not held up by it. Programs, tests above all,
//! give what they sent a few turns to arrive (`await asyncio.sleep(0)`), so the turn after one in
//! which the loop itself has sent something, or begun to watch a descriptor, looks in any case.

/// Turns between two looks at most.
const TURNS: u32 = 64;
/// Turns until the next look after one that found something.
const TURNS_AFTER_EVENTS: u32 = 2;
/// Looks in a row that find nothing before they become fewer.
const LOOKS: u32 = 32;
/// Time between two looks at most, in nanoseconds.
const NANOSECONDS: u64 = 100_000;

/// A wait shorter than this part of `NANOSECONDS` (1.6 µs) found an event that was there already:
/// falling asleep and waking up take longer.
const NO_WAIT: u64 = 64;

/// A reading of the clock: exact, and by a cheap counter of unknown rate.
#[derive(Clone, Copy, Default)]
struct Reading {
    nanoseconds: u64,
    ticks: u64,
}

/// Counts turns and time since the last look.
#[derive(Default)]
pub struct PollBudget {
    turns: u32,
    /// Turns until the next look; 0 before the first one.
    interval: u32,
    hurried: bool,
    /// Something may have come to be ready since the last look by what the loop itself did.
    expected: bool,
    /// Looks in a row that have found nothing.
    in_vain: u32,
    /// The last wait had to wait.
    waits: bool,
    /// The counter at the last look.
    last: u64,
    /// Where the rate of the counter is measured from.
    first: Reading,
    /// Ticks that the allowed time takes; 0 until the rate is known.
    allowed_ticks: u64,
}

impl PollBudget {
    /// Whether a turn that has callbacks to run must look first; `ticks` reads the counter.
    #[inline]
    pub fn is_due(&mut self, ticks: impl FnOnce() -> u64) -> bool {
        self.turns += 1;
        // A hurry while looking is for the turn after it.
        std::mem::take(&mut self.hurried)
            || self.expected
            || self.turns >= self.interval
            || ticks().wrapping_sub(self.last) >= self.allowed_ticks
    }

    /// There was more than one look could take: the next turn looks again.
    #[inline]
    pub fn hurry(&mut self) {
        self.hurried = true;
    }

    /// The loop has sent something, or has begun to watch a descriptor: the next look is not put off.
    #[inline]
    pub fn expect(&mut self) {
        self.expected = true;
    }

    /// Whether a look is likely to find something where the loop has nothing else to do.
    #[inline]
    pub fn expects_events(&self) -> bool {
        !self.waits
    }

    /// A look that expected something has found nothing.
    #[inline]
    pub fn found_nothing(&mut self) {
        self.waits = true;
    }

    /// The loop has waited for so many ticks.
    #[inline]
    pub fn waited(&mut self, ticks: u64) {
        // Nothing is known until the rate of the counter is.
        self.waits = self.allowed_ticks != 0 && ticks > self.allowed_ticks / NO_WAIT;
    }

    /// The loop has looked, and found so many events. The counter stands at `ticks`; the `clock`,
    /// in nanoseconds, is read only while the rate of the counter is not known.
    #[inline]
    pub fn looked(&mut self, ticks: u64, events: usize, clock: impl FnOnce() -> u64) {
        self.turns = 0;
        self.expected = false;
        if events > 0 {
            self.in_vain = 0;
            self.interval = TURNS_AFTER_EVENTS;
        } else if self.in_vain < LOOKS {
            self.in_vain += 1;
            self.interval = 1;
        } else {
            self.interval = (self.interval * 2).min(TURNS);
        }
        self.last = ticks;
        if self.allowed_ticks == 0 {
            self.measure_rate(Reading { nanoseconds: clock(), ticks });
        }
    }

    /// The counter's rate, once enough time has passed to tell. Until then every turn looks.
    #[cold]
    fn measure_rate(&mut self, now: Reading) {
        if self.first.nanoseconds == 0 {
            self.first = now;
            return;
        }
        let elapsed = now.nanoseconds.saturating_sub(self.first.nanoseconds);
        if elapsed >= NANOSECONDS {
            let ticks = now.ticks.saturating_sub(self.first.ticks);
            let allowed = u128::from(ticks) * u128::from(NANOSECONDS) / u128::from(elapsed);
            self.allowed_ticks = u64::try_from(allowed).unwrap_or(u64::MAX).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A counter of 3 ticks a nanosecond.
    fn at(nanoseconds: u64) -> Reading {
        Reading { nanoseconds, ticks: nanoseconds * 3 }
    }

    /// A look that finds nothing.
    fn look(budget: &mut PollBudget, now: Reading) {
        budget.looked(now.ticks, 0, || now.nanoseconds);
    }

    fn measured() -> PollBudget {
        let mut budget = PollBudget::default();
        look(&mut budget, at(5));
        for _ in 0..LOOKS + TURNS.ilog2() {
            look(&mut budget, at(5 + NANOSECONDS));
        }
        budget
    }

    #[test]
    fn every_turn_until_the_rate_is_known() {
        let mut budget = PollBudget::default();
        look(&mut budget, at(5));
        assert!(budget.is_due(|| at(5).ticks));
        look(&mut budget, at(5 + NANOSECONDS / 2));
        assert!(budget.is_due(|| at(5 + NANOSECONDS / 2).ticks));
    }

    #[test]
    fn by_turns() {
        let mut budget = measured();
        let now = at(5 + NANOSECONDS).ticks;
        let looks = (0..TURNS).filter(|_| budget.is_due(|| now)).count();
        assert_eq!(looks, 1);
    }

    #[test]
    fn hurry_makes_the_next_turn_look() {
        let mut budget = measured();
        let now = at(5 + NANOSECONDS);
        budget.hurry();
        budget.looked(now.ticks, 0, || now.nanoseconds);
        assert!(budget.is_due(|| now.ticks));
        budget.looked(now.ticks, 0, || now.nanoseconds);
        for _ in 1..TURNS {
            assert!(!budget.is_due(|| now.ticks), "once only");
        }
    }

    #[test]
    fn looks_at_once_for_what_the_loop_has_sent() {
        let mut budget = measured();
        let now = at(5 + NANOSECONDS);
        budget.expect();
        assert!(budget.is_due(|| now.ticks));
        budget.looked(now.ticks, 0, || now.nanoseconds);
        assert!(!budget.is_due(|| now.ticks), "once only");
        budget.expect();
        budget.looked(now.ticks, 1, || now.nanoseconds);
        assert!(!budget.is_due(|| now.ticks), "the loop has looked in between");
    }

    #[test]
    fn more_often_while_there_are_events() {
        let mut budget = measured();
        let now = at(5 + NANOSECONDS);
        let turns_until_due = |budget: &mut PollBudget| {
            (1..=TURNS).find(|_| budget.is_due(|| now.ticks)).expect("due in the end")
        };
        budget.looked(now.ticks, 3, || now.nanoseconds);
        assert_eq!(turns_until_due(&mut budget), 2);
        for expected in std::iter::repeat_n(1, 32).chain([2, 4, 8, 16, 32, 64, 64]) {
            budget.looked(now.ticks, 0, || now.nanoseconds);
            assert_eq!(turns_until_due(&mut budget), expected);
        }
        budget.looked(now.ticks, 1, || now.nanoseconds);
        assert_eq!(turns_until_due(&mut budget), 2);
    }

    #[test]
    fn looks_before_waiting_while_that_finds_something() {
        let mut budget = PollBudget::default();
        budget.waited(u64::MAX);
        assert!(budget.expects_events(), "the rate is not known");
        let mut budget = measured();
        assert!(budget.expects_events());
        budget.found_nothing();
        assert!(!budget.expects_events());
        budget.waited(at(NANOSECONDS / 100).ticks);
        assert!(budget.expects_events(), "that was no wait");
        budget.waited(at(NANOSECONDS / 10).ticks);
        assert!(!budget.expects_events());
    }

    #[test]
    fn by_time() {
        let mut budget = measured();
        assert!(!budget.is_due(|| at(5 + 2 * NANOSECONDS).ticks - 1));
        assert!(budget.is_due(|| at(5 + 2 * NANOSECONDS).ticks));
    }
}
