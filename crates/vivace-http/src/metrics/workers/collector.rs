//! The parent's side: keeps what workers say, and puts it together.
//!
//! | field of `State` | who | when |
//! |---|---|---|
//! | `workers`, `retired`, `seen` | the thread writes, whoever asks reads | under the lock |
//! | `asked` | whoever asks raises it, and the thread now and then | under the lock |
//! | `stop` | set once | under the lock |
//!
//! A question has a number. Whoever asks waits until the thread has `seen` it, which includes that
//! it has accepted who was waiting to connect, and until each worker has answered that question or
//! a later one.

use super::thread::CollectingThread;
use super::{ANSWER_TIMEOUT, Question};
use crate::metrics::{
    Family, Kind, Process, Readiness, ReadinessState, Snapshot, Source, Value, Watched,
};
use rustix::event::{EventfdFlags, eventfd};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

/// Puts together what the workers of this process count. Workers that connect are forgotten when
/// it is dropped.
pub struct Collector {
    address: String,
    shared: Arc<Shared>,
    readiness: ReadinessState,
    sources: Mutex<Vec<Box<dyn Source>>>,
}

/// What the thread shares with whoever asks.
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) changed: Condvar,
    pub(super) wake: OwnedFd,
}

pub(super) struct State {
    /// By the order in which they connected.
    pub(super) workers: BTreeMap<u64, Answer>,
    /// What workers that have ended had counted.
    pub(super) retired: Snapshot,
    pub(super) asked: Question,
    pub(super) seen: Question,
    pub(super) stop: bool,
}

impl State {
    /// The first question is there from the beginning, for each worker that connects.
    fn new() -> Self {
        let (workers, retired) = (BTreeMap::new(), Snapshot::default());
        Self { workers, retired, asked: 1, seen: 0, stop: false }
    }
}

/// What a worker has said last.
pub(super) struct Answer {
    pub(super) snapshot: Snapshot,
    /// The question that this answers; 0 if it has said nothing yet.
    pub(super) question: Question,
    pub(super) at: Instant,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // Only a counter that is full could not be written to, and that one has woken already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl Collector {
    /// Listens for workers at a new address.
    ///
    /// # Errors
    ///
    /// If there can be no socket or no thread.
    pub fn start() -> io::Result<Self> {
        let random = RandomState::new().hash_one(0);
        let address = format!("vivace-metrics-{}-{random:016x}", std::process::id());
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&address)?)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new()),
            changed: Condvar::new(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        });
        let thread = CollectingThread::new(listener, Arc::clone(&shared))?;
        std::thread::Builder::new()
            .name("vivace-collect".to_owned())
            .spawn(move || thread.run())?;
        let readiness = ReadinessState::default();
        readiness.set(Readiness::Ready);
        Ok(Self { address, shared, readiness, sources: Mutex::default() })
    }

    /// What a worker gives to `Reporter::start`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the parent lets workers be ready; at first, it does. Anything else covers them.
    #[must_use]
    pub fn readiness(&self) -> &ReadinessState {
        &self.readiness
    }

    /// Adds metrics of the parent itself.
    pub fn add_source(&self, source: Box<dyn Source>) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// Asks the workers, and waits for their answers for a moment.
    fn ask(&self) -> Snapshot {
        let mut state = self.shared.lock();
        state.asked += 1;
        let question = state.asked;
        self.shared.wake();
        let missing = |state: &mut State| {
            state.seen < question || state.workers.values().any(|answer| answer.question < question)
        };
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, ANSWER_TIMEOUT, missing)
            .unwrap_or_else(PoisonError::into_inner);
        let mut all = Snapshot::default();
        for answer in state.workers.values() {
            let mut snapshot = answer.snapshot.clone();
            if answer.question < question {
                grow_old(&mut snapshot, answer.at.elapsed());
            }
            all.merge(snapshot);
        }
        all.merge(state.retired.clone());
        all
    }
}

/// A process that does not answer has done nothing since, as far as anybody knows.
fn grow_old(snapshot: &mut Snapshot, silent: Duration) {
    for process in &mut snapshot.processes {
        process.heartbeat_age = process.heartbeat_age.map(|age| age + silent.as_secs_f64());
    }
}

impl Watched for Collector {
    fn snapshot(&self) -> Snapshot {
        let mut all = self.ask();
        let count = all.processes.len() as u64;
        all.families.push(
            Family::new(Kind::Gauge, "vivace_workers", "Workers that are connected.")
                .with(&[], Value::Whole(count)),
        );
        for source in &*self.sources.lock().unwrap_or_else(PoisonError::into_inner) {
            source.collect(&mut all.families);
        }
        let readiness = self.readiness.now();
        if readiness != Readiness::Ready {
            let parent = Process { pid: std::process::id(), readiness, heartbeat_age: None };
            all.processes.iter_mut().for_each(|process| process.readiness = readiness);
            all.processes.push(parent);
        }
        all
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake();
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Collector").field("address", &self.address).finish_non_exhaustive()
    }
}
