//! How closely wake-ups for timers may follow each other.
//!
//! A wake-up costs several microseconds, a timer a fraction of one. Where the deadlines of many
//! timers lie close together, waking up for each of them spends more on the waking than on the
//! timers. So after a turn in which several timers were due, the loop does not wake up for the
//! next one at once, but a little later, for all that are due until then: the more they were,
//! the later. A timer that comes alone is not put off.

/// So many timers in one turn are a crowd, and so many seconds are between two wake-ups then; a
/// timer is later by this at most.
const CROWD: usize = 2;
const SPACING: f64 = 250e-6;

/// The same of a great crowd. A millisecond is what asyncio rounds the wait for every timer up to.
const GREAT_CROWD: usize = 16;
const GREAT_SPACING: f64 = 1e-3;

/// Remembers the last turn in which timers were due.
#[derive(Default)]
pub struct WakeSpacing {
    /// When that was, and the time until the next wake-up for a timer: 0 after a timer that came
    /// alone.
    last: f64,
    spacing: f64,
}

impl WakeSpacing {
    /// So many timers were due at `now`, in seconds of the loop's clock.
    #[inline]
    pub fn were_due(&mut self, now: f64, timers: usize) {
        self.spacing = match timers {
            0 => return,
            GREAT_CROWD.. => GREAT_SPACING,
            CROWD.. => SPACING,
            _ => 0.0,
        };
        self.last = now;
    }

    /// When to wake up for a timer that is due at `deadline`.
    #[inline]
    pub fn wake_up_at(&self, deadline: f64) -> f64 {
        // Never by more than the spacing, whatever the clock does.
        (self.last + self.spacing).max(deadline).min(deadline + self.spacing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_alone_is_on_time() {
        let mut spacing = WakeSpacing::default();
        assert_eq!(spacing.wake_up_at(1.0), 1.0);
        spacing.were_due(1.0, 1);
        assert_eq!(spacing.wake_up_at(1.0), 1.0);
    }

    #[test]
    fn crowds_are_served_together() {
        let mut spacing = WakeSpacing::default();
        spacing.were_due(1.0, 2);
        assert_eq!(spacing.wake_up_at(1.0001), 1.0 + SPACING);
        spacing.were_due(1.0, 0);
        assert_eq!(spacing.wake_up_at(1.0001), 1.0 + SPACING, "nothing came meanwhile");
        assert_eq!(spacing.wake_up_at(1.1), 1.1);
        assert_eq!(spacing.wake_up_at(0.5), 0.5 + SPACING, "the clock was set back");
        spacing.were_due(1.2, GREAT_CROWD);
        assert_eq!(spacing.wake_up_at(1.2001), 1.2 + GREAT_SPACING);
        spacing.were_due(1.2, 1);
        assert_eq!(spacing.wake_up_at(1.2001), 1.2001);
    }
}
