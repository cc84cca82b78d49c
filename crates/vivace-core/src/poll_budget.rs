//! When to look at the file descriptors while callbacks keep the loop busy.
//!
//! A look costs a system call (about 230 ns), which is more than most callbacks. With work
//! ready the loop looks every 16 turns or every 100 µs, whichever comes first: enough
//! that a busy program cannot starve its connections. With nothing ready it always looks.

/// Turns between two looks at most.
const TURNS: u32 = 16;
/// Time between two looks at most, in nanoseconds.
const NANOSECONDS: u64 = 100_000;

/// Counts turns and time since the last look.
#[derive(Default)]
pub struct PollBudget {
    turns: u32,
    last: u64,
}

impl PollBudget {
    /// Whether a turn that has callbacks to run must look first. `now` in nanoseconds.
    #[inline]
    pub fn is_due(&mut self, now: impl FnOnce() -> u64) -> bool {
        self.turns += 1;
        self.turns >= TURNS || now().saturating_sub(self.last) >= NANOSECONDS
    }

    /// There was more than one look could take: the next turn looks again.
    #[inline]
    pub fn hurry(&mut self) {
        // Above the limit: outlives the `looked` that follows.
        self.turns = TURNS + 1;
    }

    /// The loop has looked, at `now`.
    #[inline]
    pub fn looked(&mut self, now: u64) {
        self.turns = if self.turns > TURNS { TURNS } else { 0 };
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_turns() {
        let mut budget = PollBudget::default();
        budget.looked(5);
        let looks = (0..TURNS).filter(|_| budget.is_due(|| 6)).count();
        assert_eq!(looks, 1);
    }

    #[test]
    fn hurry_makes_the_next_turn_look() {
        let mut budget = PollBudget::default();
        budget.hurry();
        budget.looked(5);
        assert!(budget.is_due(|| 5));
        budget.looked(5);
        assert!(!budget.is_due(|| 5));
    }

    #[test]
    fn by_time() {
        let mut budget = PollBudget::default();
        budget.looked(5);
        assert!(!budget.is_due(|| 5 + NANOSECONDS - 1));
        assert!(budget.is_due(|| 5 + NANOSECONDS));
    }
}
