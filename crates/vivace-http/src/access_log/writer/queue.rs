//! What those who log and the writing thread share.
//!
//! | field | who | when |
//! |---|---|---|
//! | `lines` | any thread adds, the writing thread takes all | under the lock |
//! | `refused` | any thread counts, the writing thread takes | under the lock |
//! | `asleep` | the writing thread sets it before it waits without a limit | who clears it, wakes it |
//! | `urgent` | flush, close, a queue that fills up | the thread does not linger; cleared when it takes |
//! | `taken`, `written` | the writing thread | number of the batch that it took, that it is done with |
//! | `ended` | the writing thread, last of all | nothing more will be written |
//!
//! A condition variable of the standard library makes a system call for each notification, even if
//! nobody waits. Hence `asleep`, and `urgent` being set once.

use super::sink::Sink;
use super::{Flushed, LINGER, Statistics};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Lines on their way.
pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
    capacity: usize,
    /// The thread is to stop trying; it looks at this while it waits for the sink.
    abandoned: AtomicBool,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    refused: u64,
    sink_change: Option<SinkChange>,
    asleep: bool,
    urgent: bool,
    closing: bool,
    ended: bool,
    taken: u64,
    written: u64,
    statistics: Statistics,
}

/// What the writing thread takes at once.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) lines: Vec<u8>,
    /// How many lines did not fit behind these.
    pub(super) refused: u64,
    /// Where lines go next.
    pub(super) sink_change: Option<SinkChange>,
    /// There will be no more.
    pub(super) last: bool,
}

/// Another place for lines.
pub(super) struct SinkChange {
    pub(super) sink: Arc<Sink>,
    /// Where in the lines of the batch it begins.
    pub(super) position: usize,
}

/// How the writing of a batch went.
pub(super) struct Outcome {
    pub(super) lost: u64,
    pub(super) failed: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
            capacity,
            abandoned: AtomicBool::new(false),
        }
    }

    /// Adds a line, or counts it as refused.
    #[inline]
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.lines.len() + line.len() > self.capacity || state.ended {
            state.refused += 1;
            state.statistics.lost += 1;
            return;
        }
        state.lines.extend_from_slice(line);
        state.statistics.accepted += 1;
        let filling = !state.urgent && state.lines.len() > self.capacity / 4;
        state.urgent |= filling;
        let wake = filling || state.asleep;
        state.asleep = false;
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    pub(super) fn statistics(&self) -> Statistics {
        self.lock().statistics
    }

    pub(super) fn change_sink(&self, sink: Arc<Sink>) {
        drop(self.hurry(|state| {
            let position = match &state.sink_change {
                // Nobody has opened that one yet: the lines in between go to the last.
                Some(earlier) => earlier.position,
                None => state.lines.len(),
            };
            state.sink_change = Some(SinkChange { sink, position });
        }));
    }

    /// Waits until the lines that are there now have been written.
    pub(super) fn flush(&self, timeout: Duration) -> Flushed {
        let state = self.hurry(|_| {});
        let target = state.taken + u64::from(state.has_work());
        let (state, _) = self
            .done
            .wait_timeout_while(state, timeout, |state| state.written < target && !state.ended)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if state.written >= target { Flushed::Done } else { Flushed::TimedOut }
    }

    /// Flushes and ends the thread.
    pub(super) fn close(&self, timeout: Duration) -> Flushed {
        let state = self.hurry(|state| state.closing = true);
        let (state, _) = self
            .done
            .wait_timeout_while(state, timeout, |state| !state.ended)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if state.ended {
            return Flushed::Done;
        }
        self.abandoned.store(true, Ordering::Relaxed);
        Flushed::TimedOut
    }

    /// Whether the thread is to give up what it has not written.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Waits for work, lets more gather, and takes it. `spare` is an empty buffer to fill next.
    pub(super) fn take(&self, spare: Vec<u8>) -> Batch {
        debug_assert!(spare.is_empty());
        let mut state = self.lock();
        while !state.has_work() && !state.closing {
            state.asleep = true;
            state = self.work.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        state.asleep = false;
        let (mut state, _) = self
            .work
            .wait_timeout_while(state, LINGER, |state| !state.urgent && !state.closing)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        state.urgent = false;
        state.taken += 1;
        Batch {
            lines: std::mem::replace(&mut state.lines, spare),
            refused: std::mem::take(&mut state.refused),
            sink_change: state.sink_change.take(),
            last: state.closing,
        }
    }

    /// The batch that was taken last has been dealt with.
    pub(super) fn finish(&self, outcome: &Outcome) {
        let mut state = self.lock();
        state.written = state.taken;
        state.statistics.lost += outcome.lost;
        state.statistics.errors += u64::from(outcome.failed);
        drop(state);
        self.done.notify_all();
    }

    /// The thread has ended.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.done.notify_all();
    }

    /// Changes the state and makes the thread look at it at once.
    fn hurry(&self, change: impl FnOnce(&mut State)) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        change(&mut state);
        state.urgent = true;
        self.work.notify_one();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic changes the state half way.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn has_work(&self) -> bool {
        !self.lines.is_empty() || self.refused > 0 || self.sink_change.is_some()
    }
}
