//! The only door for other threads: what they want run, and whether the loop must be woken.
//!
//! | field | who | when |
//! |---|---|---|
//! | `queue` | any thread, under the lock | `push`, `take` |
//! | `filled` | set by `push`, cleared by `take` | lets the loop see without the lock that there is nothing |
//! | `asleep` | set by the loop before it blocks, cleared by whoever wakes it | `push` swaps it, so that of many pushes one wakes |
//!
//! A wake-up cannot be lost: the loop stores `asleep` and then looks at `filled`; a pusher
//! stores `filled` and then looks at `asleep`. Between store and look both have a sequentially
//! consistent fence, so at least one of the two sees the other.

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering, fence};

/// A queue into the loop.
pub struct Inbox<T> {
    queue: Mutex<Vec<T>>,
    filled: AtomicBool,
    asleep: AtomicBool,
}

/// Whether the thread that pushed must wake the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The loop sleeps: write to its wake-up descriptor.
    Needed,
    /// The loop is awake, or another thread is waking it.
    NotNeeded,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self {
            queue: Mutex::new(Vec::new()),
            filled: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
        }
    }
}

impl<T> Inbox<T> {
    /// Adds an item, from any thread.
    pub fn push(&self, item: T) -> Wake {
        self.lock().push(item);
        self.filled.store(true, Ordering::SeqCst);
        self.wake()
    }

    /// Says that the loop must look up, without an item.
    pub fn wake(&self) -> Wake {
        fence(Ordering::SeqCst);
        self.wake_ordered()
    }

    /// The same for a caller who holds the lock under which the loop falls asleep: it sees whether
    /// the loop has, without a fence.
    #[inline]
    pub fn wake_ordered(&self) -> Wake {
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            Wake::Needed
        } else {
            Wake::NotNeeded
        }
    }

    /// Whether there may be something: the loop looks at this once a turn.
    #[inline]
    pub fn is_filled(&self) -> bool {
        self.filled.load(Ordering::SeqCst)
    }

    /// Takes what has arrived, in order. Only the loop calls it.
    pub fn take(&self) -> Vec<T> {
        self.filled.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.lock())
    }

    /// The loop is about to block. `false`: it must not, something has arrived.
    pub fn fall_asleep(&self) -> bool {
        // The fence orders it.
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.is_filled() {
            self.asleep.store(false, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// The loop is awake again.
    pub fn awake(&self) {
        // Whoever sees it late wakes a loop that does not sleep.
        self.asleep.store(false, Ordering::Relaxed);
    }

    fn lock(&self) -> impl std::ops::DerefMut<Target = Vec<T>> + '_ {
        // A panic while the lock is held cannot leave a Vec half changed.
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn in_order_and_one_wake_for_many() {
        let inbox = Inbox::default();
        assert_eq!(inbox.push(1), Wake::NotNeeded);
        assert!(!inbox.fall_asleep());
        assert_eq!(inbox.take(), [1]);
        assert!(inbox.fall_asleep());
        assert_eq!(inbox.push(2), Wake::Needed);
        assert_eq!(inbox.push(3), Wake::NotNeeded);
        inbox.awake();
        assert!(inbox.is_filled());
        assert_eq!(inbox.take(), [2, 3]);
        assert!(!inbox.is_filled());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    /// A loop that blocks while an item waits, with nobody on the way to wake it, would be
    /// the lost wake-up that hangs a peer.
    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| {
            let inbox = Arc::new(Inbox::default());
            let pusher = {
                let inbox = Arc::clone(&inbox);
                loom::thread::spawn(move || inbox.push(7) == Wake::Needed)
            };
            let blocked = inbox.fall_asleep();
            let woken = pusher.join().expect("the pusher ends");
            assert!(!blocked || woken, "blocked for ever");
            inbox.awake();
            assert_eq!(inbox.take(), [7]);
        });
    }

    /// Two pushers and a loop that takes meanwhile: nothing is lost and nothing is doubled.
    #[test]
    fn every_item_arrives_once() {
        loom::model(|| {
            let inbox = Arc::new(Inbox::default());
            let pushers: Vec<_> = (0..2)
                .map(|item| {
                    let inbox = Arc::clone(&inbox);
                    loom::thread::spawn(move || {
                        let _wake = inbox.push(item);
                    })
                })
                .collect();
            let mut seen = inbox.take();
            for pusher in pushers {
                pusher.join().expect("the pusher ends");
            }
            assert!(seen.len() == 2 || inbox.is_filled(), "an item waits unannounced");
            seen.extend(inbox.take());
            seen.sort_unstable();
            assert_eq!(seen, [0, 1]);
        });
    }
}
