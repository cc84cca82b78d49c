//! How often a finding of one place may be repeated: once a minute, with a count of the rest.

use std::collections::HashMap;

/// Nanoseconds between two reports of one code and place.
const INTERVAL: u64 = 60_000_000_000;

/// More places than this are not remembered: the oldest are forgotten.
const MAXIMUM_PLACES: usize = 4096;

struct Place {
    reported: u64,
    suppressed: u64,
}

/// What was reported when.
#[derive(Default)]
pub struct Limit {
    places: HashMap<String, Place>,
}

impl Limit {
    /// Whether a finding of this place would be kept back now; then it is counted.
    pub fn keeps_back(&mut self, place: &str, now: u64) -> bool {
        match self.places.get_mut(place) {
            Some(known) if now.saturating_sub(known.reported) < INTERVAL => {
                known.suppressed += 1;
                true
            }
            _ => false,
        }
    }

    /// Whether the finding of this place may be reported now (in nanoseconds of any clock that
    /// goes forward): the answer is how many were kept back since the last report.
    pub fn admits(&mut self, place: String, now: u64) -> Option<u64> {
        if let Some(known) = self.places.get_mut(&place) {
            if now.saturating_sub(known.reported) < INTERVAL {
                known.suppressed += 1;
                return None;
            }
            known.reported = now;
            return Some(std::mem::take(&mut known.suppressed));
        }
        if self.places.len() >= MAXIMUM_PLACES {
            self.places.retain(|_, known| now.saturating_sub(known.reported) < INTERVAL);
            if self.places.len() >= MAXIMUM_PLACES {
                self.places.clear();
            }
        }
        self.places.insert(place, Place { reported: now, suppressed: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_minute_and_the_rest_is_counted() {
        let mut limit = Limit::default();
        assert_eq!(limit.admits("a".into(), 0), Some(0));
        assert_eq!(limit.admits("a".into(), 1), None);
        assert_eq!(limit.admits("b".into(), 1), Some(0));
        assert_eq!(limit.admits("a".into(), 2), None);
        assert_eq!(limit.admits("a".into(), INTERVAL), Some(2));
        assert_eq!(limit.admits("a".into(), 2 * INTERVAL), Some(0));
    }

    #[test]
    fn what_is_kept_back_unseen_is_counted() {
        let mut limit = Limit::default();
        assert!(!limit.keeps_back("a", 0));
        assert_eq!(limit.admits("a".into(), 0), Some(0));
        assert!(limit.keeps_back("a", 1));
        assert!(!limit.keeps_back("a", INTERVAL));
        assert_eq!(limit.admits("a".into(), INTERVAL), Some(1));
    }

    #[test]
    fn places_are_bounded() {
        let mut limit = Limit::default();
        for number in 0..3 * MAXIMUM_PLACES {
            limit.admits(number.to_string(), 0);
        }
        assert!(limit.places.len() <= MAXIMUM_PLACES);
    }
}
