//! The callbacks that are ready to run, first in first out.

use std::cell::RefCell;
use std::collections::VecDeque;

/// A queue that may be pushed to while one of its items is being run.
pub struct ReadyQueue<T>(RefCell<VecDeque<T>>);

impl<T> Default for ReadyQueue<T> {
    fn default() -> Self {
        Self(RefCell::new(VecDeque::new()))
    }
}

impl<T> ReadyQueue<T> {
    /// Adds at the end.
    #[inline]
    pub fn push(&self, item: T) {
        self.0.borrow_mut().push_back(item);
    }

    /// Takes the first one.
    #[inline]
    pub fn pop(&self) -> Option<T> {
        self.0.borrow_mut().pop_front()
    }

    /// How many wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether none waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all, to be dropped by the caller.
    pub fn take(&self) -> VecDeque<T> {
        std::mem::take(&mut self.0.borrow_mut())
    }

    /// Permutes those of the first `count` items that are `movable` among their places; the others
    /// stay where they are. `random(n)` is a number below `n`.
    pub fn permute(
        &self,
        count: usize,
        movable: impl Fn(&T) -> bool,
        mut random: impl FnMut(usize) -> usize,
    ) {
        let mut queue = self.0.borrow_mut();
        let places: Vec<usize> =
            (0..count.min(queue.len())).filter(|&place| movable(&queue[place])).collect();
        // Fisher and Yates.
        for last in (1..places.len()).rev() {
            queue.swap(places[last], places[random(last + 1).min(last)]);
        }
    }

    /// Shows each item, unless the queue is being changed at this moment.
    pub fn for_each(&self, mut show: impl FnMut(&T)) {
        if let Ok(queue) = self.0.try_borrow() {
            queue.iter().for_each(&mut show);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out_while_pushing() {
        let queue = ReadyQueue::default();
        queue.push(1);
        queue.push(2);
        let mut seen = Vec::new();
        for _ in 0..queue.len() {
            let item = queue.pop().expect("two were pushed");
            queue.push(item + 10);
            seen.push(item);
        }
        assert_eq!(seen, [1, 2]);
        assert_eq!(queue.take(), [11, 12]);
        assert!(queue.is_empty());
    }

    #[test]
    fn only_what_is_movable_changes_places() {
        let queue = ReadyQueue::default();
        for item in [1, 20, 2, 30, 3, 40, 50] {
            queue.push(item);
        }
        // Always the first of those that are left: a rotation.
        queue.permute(6, |item| *item >= 10, |_| 0);
        assert_eq!(queue.take(), [1, 30, 2, 40, 3, 20, 50]);
    }
}
