//! Chance that can be repeated: in which order tasks run that are ready at the same time.
//!
//! A race between tasks may need one order of very many. `vivace run --fuzz-schedule=SEED` permutes
//! the tasks that are ready in one turn; the same seed permutes them in the same way.

use std::cell::Cell;

/// The generator of one loop (SplitMix64), off unless it is armed.
#[derive(Debug, Default)]
pub struct FuzzSchedule {
    armed: Cell<bool>,
    state: Cell<u64>,
}

impl FuzzSchedule {
    /// Begins with a seed.
    pub fn arm(&self, seed: u64) {
        self.state.set(seed);
        self.armed.set(true);
    }

    /// Whether orders are permuted.
    #[inline(always)]
    pub fn is_armed(&self) -> bool {
        self.armed.get()
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&self, limit: usize) -> usize {
        let state = self.state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.state.set(state);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // The highest bits of the product are as good as a remainder, for limits as small as ours.
        ((u128::from(mixed) * limit as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_order() {
        let orders: Vec<Vec<usize>> = [1, 1, 2]
            .iter()
            .map(|&seed| {
                let schedule = FuzzSchedule::default();
                assert!(!schedule.is_armed());
                schedule.arm(seed);
                assert!(schedule.is_armed());
                (0..50).map(|_| schedule.below(10)).collect()
            })
            .collect();
        assert_eq!(orders[0], orders[1]);
        assert_ne!(orders[0], orders[2]);
        assert!((0..10).all(|number| orders[0].contains(&number)));
        assert!(orders[0].iter().all(|&number| number < 10));
    }
}
