//! How closely wake-ups for timers may follow each other.
//!
//! A wake-up costs several microseconds, a timer a fraction of one. Where the deadlines of many
//! timers lie close together, waking up for each of them spends more on the waking than on the
//! timers. So after a turn in which several timers were due, the loop does not wake up for the
//! next one at once, but a little later, for all that are due until then. A timer that comes
//! alone is not put off.

/// Seconds between two wake-ups while timers come in crowds; a timer is later by this at most.
const SPACING: f64 = 250e-6;

/// So many timers in one turn are a crowd.
const CROWD: usize = 2;

/// Remembers the last turn in which timers were due.
#[derive(Default)]
pub struct WakeSpacing {
    /// No wake-up for a timer before this moment; `None` after a timer that came alone.
    earliest: Option<f64>,
}

impl WakeSpacing {
    /// So many timers were due at `now`, in seconds of the loop's clock.
    #[inline]
    pub fn were_due(&mut self, now: f64, timers: usize) {
        match timers {
            0 => {}
            CROWD.. => self.earliest = Some(now + SPACING),
            _ => self.earliest = None,
        }
    }

    /// When to wake up for a timer that is due at `deadline`.
    #[inline]
    pub fn wake_up_at(&self, deadline: f64) -> f64 {
        // Never by more than the spacing, whatever the clock does.
        self.earliest.map_or(deadline, |earliest| earliest.clamp(deadline, deadline + SPACING))
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
        spacing.were_due(1.2, 1);
        assert_eq!(spacing.wake_up_at(1.2001), 1.2001);
    }
}
