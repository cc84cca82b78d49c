//! Which streams something has happened to: each one that is waited for has a waker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// The streams to look at.
#[derive(Debug, Default)]
pub(super) struct ReadyStreams(Arc<Mutex<Vec<u32>>>);

/// The waker of one stream.
#[derive(Debug)]
struct Flag {
    stream: u32,
    listed: AtomicBool,
    ready: Arc<Mutex<Vec<u32>>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.listed.swap(true, Ordering::Relaxed) {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(self.stream);
        }
    }
}

/// What a stream is watched with.
#[derive(Debug)]
pub(super) struct Watch {
    flag: Arc<Flag>,
    pub(super) waker: Waker,
}

impl Watch {
    /// From now on the stream is listed again.
    pub(super) fn rearm(&self) {
        self.flag.listed.store(false, Ordering::Relaxed);
    }
}

impl ReadyStreams {
    pub(super) fn watch(&self, stream: u32) -> Watch {
        let flag = Flag { stream, listed: AtomicBool::new(false), ready: Arc::clone(&self.0) };
        let flag = Arc::new(flag);
        Watch { waker: Waker::from(Arc::clone(&flag)), flag }
    }

    pub(super) fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
