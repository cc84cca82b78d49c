//! Deadlines in order, with lazy cancellation.
//!
//! A binary heap of seconds. A cancelled timer stays in the heap until it reaches the top, or
//! until more than half of a heap of some size is cancelled: then all of them leave at once.
//! Equal deadlines run in the order in which they were added.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Below this number of cancelled timers the heap is never compacted.
const COMPACT_MINIMUM: usize = 100;

struct Entry<T> {
    /// The deadline and, in the lower half, the number of the timer, as [`Entry::key`] makes them.
    key: u128,
    timer: T,
}

impl<T> Entry<T> {
    /// One number that grows as both do: a heap of thousands is moved about in by comparisons
    /// whose outcome no processor can foresee, so they had better not be branches.
    #[inline]
    fn key(when: f64, sequence: u64) -> u128 {
        let bits = when.to_bits();
        // The bits of a float that is not negative grow with it; those of a negative one shrink.
        let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
        u128::from(ordered) << 64 | u128::from(sequence)
    }

    #[inline]
    fn when(&self) -> f64 {
        let ordered = (self.key >> 64) as u64;
        f64::from_bits(if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered })
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    // The heap asks by these two, and their defaults make three ways of one.
    #[inline]
    fn le(&self, other: &Self) -> bool {
        other.key <= self.key
    }

    #[inline]
    fn ge(&self, other: &Self) -> bool {
        other.key >= self.key
    }
}

impl<T> Ord for Entry<T> {
    /// Reversed: the greatest of the heap is the one that is due first.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

/// What [`Timers::pop`] found at the top of the heap.
pub enum Popped<T> {
    /// A timer whose deadline has passed.
    Due(T),
    /// A cancelled timer, to be dropped.
    Cancelled(T),
}

/// The timers of one loop.
pub struct Timers<T> {
    heap: BinaryHeap<Entry<T>>,
    sequence: u64,
    cancelled: usize,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0, cancelled: 0 }
    }
}

impl<T> Timers<T> {
    /// Adds a timer. `when` is in seconds of the loop's clock and may be infinite.
    pub fn push(&mut self, when: f64, timer: T) {
        self.sequence += 1;
        self.heap.push(Entry { key: Entry::<T>::key(when, self.sequence), timer });
    }

    /// How many are held, cancelled ones included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The deadline at the top, cancelled or not.
    #[inline]
    pub fn first(&self) -> Option<f64> {
        self.heap.peek().map(Entry::when)
    }

    /// Takes the top of the heap if it is cancelled or due at `now`.
    ///
    /// Call it until it answers `None`; what is then at the top is alive and lies ahead.
    #[inline]
    pub fn pop(&mut self, now: f64, is_cancelled: impl Fn(&T) -> bool) -> Option<Popped<T>> {
        let top = self.heap.peek()?;
        if is_cancelled(&top.timer) {
            self.cancelled = self.cancelled.saturating_sub(1);
            return self.heap.pop().map(|entry| Popped::Cancelled(entry.timer));
        }
        if top.when() <= now {
            return self.heap.pop().map(|entry| Popped::Due(entry.timer));
        }
        None
    }

    /// Counts a timer of this heap that was cancelled. If most are, all cancelled ones leave
    /// the heap and are handed back to be dropped.
    pub fn note_cancelled(&mut self, is_cancelled: impl Fn(&T) -> bool) -> Vec<T> {
        self.cancelled += 1;
        if self.cancelled <= COMPACT_MINIMUM || self.cancelled * 2 <= self.heap.len() {
            return Vec::new();
        }
        self.cancelled = 0;
        let (dead, alive): (Vec<_>, Vec<_>) = std::mem::take(&mut self.heap)
            .into_iter()
            .partition(|entry| is_cancelled(&entry.timer));
        self.heap = BinaryHeap::from(alive);
        dead.into_iter().map(|entry| entry.timer).collect()
    }

    /// Takes all, to be dropped by the caller.
    pub fn take(&mut self) -> Vec<T> {
        self.cancelled = 0;
        std::mem::take(&mut self.heap).into_iter().map(|entry| entry.timer).collect()
    }

    /// Shows each timer.
    pub fn for_each(&self, mut show: impl FnMut(&T)) {
        self.heap.iter().for_each(|entry| show(&entry.timer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn due(timers: &mut Timers<u32>, now: f64) -> Vec<u32> {
        let mut seen = Vec::new();
        while let Some(popped) = timers.pop(now, |_| false) {
            if let Popped::Due(timer) = popped {
                seen.push(timer);
            }
        }
        seen
    }

    #[test]
    fn in_order_of_deadline_then_of_adding() {
        let mut timers = Timers::default();
        timers.push(2.0, 1);
        timers.push(1.0, 2);
        timers.push(2.0, 3);
        timers.push(-1.0, 4);
        assert_eq!(due(&mut timers, 0.0), [4]);
        assert_eq!(timers.first(), Some(1.0));
        assert_eq!(due(&mut timers, 2.0), [2, 1, 3]);
    }

    #[test]
    fn never_early_and_never_for_infinity() {
        let mut timers = Timers::default();
        timers.push(1.0, 1);
        timers.push(f64::INFINITY, 2);
        assert!(due(&mut timers, 1.0 - f64::EPSILON).is_empty());
        assert_eq!(due(&mut timers, f64::MAX), [1]);
        assert_eq!(timers.len(), 1);
    }

    #[test]
    fn keys_grow_with_deadlines_and_give_them_back() {
        let deadlines = [f64::NEG_INFINITY, -2.5, -0.0, 0.0, 1e-300, 1.0, 1.5, f64::INFINITY];
        let entries = deadlines.map(|when| Entry { key: Entry::<()>::key(when, 7), timer: () });
        assert!(entries.windows(2).all(|pair| pair[0].key < pair[1].key));
        assert_eq!(entries.map(|entry| entry.when()), deadlines);
    }

    #[test]
    fn cancelled_ones_leave_together() {
        let mut timers = Timers::default();
        let limit = Cell::new(0_u32);
        let is_cancelled = |timer: &u32| *timer < limit.get();
        for timer in 0..300 {
            timers.push(1000.0 - f64::from(timer), timer);
        }
        let mut dropped = 0;
        for _ in 0..200 {
            limit.set(limit.get() + 1);
            dropped += timers.note_cancelled(is_cancelled).len();
        }
        assert!(dropped > 0, "compaction happened");
        assert_eq!(timers.len(), 300 - dropped);
        let mut alive = 0;
        while let Some(popped) = timers.pop(2000.0, is_cancelled) {
            if let Popped::Due(timer) = popped {
                assert!(timer >= 200);
                alive += 1;
            }
        }
        assert_eq!(alive, 100);
    }
}
