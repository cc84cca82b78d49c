//! The thread of the collector: accepts workers, asks them, takes their answers.
//!
//! A worker has at most one question to answer, so that it is known which one an answer is for. A
//! worker that is gone is retired with what it said last.

use super::collector::{Answer, Shared};
use super::frame::Frames;
use super::{PULL_INTERVAL, Question, check_peer};
use crate::metrics::Snapshot;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many workers there can be.
const MOST_WORKERS: usize = 1024;

/// How long nothing is done after accepting failed, for want of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) struct CollectingThread {
    listener: UnixListener,
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    next_id: u64,
    next_pull: Instant,
}

struct Worker {
    id: u64,
    stream: UnixStream,
    frames: Frames,
    /// What it has been asked and not answered yet.
    pending: Option<Question>,
}

impl CollectingThread {
    pub(super) fn new(listener: UnixListener, shared: Arc<Shared>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let next_pull = Instant::now() + PULL_INTERVAL;
        Ok(Self { listener, shared, workers: Vec::new(), next_id: 0, next_pull })
    }

    pub(super) fn run(mut self) {
        loop {
            self.wait();
            self.accept();
            self.read();
            let question = {
                let mut state = self.shared.lock();
                if state.stop {
                    return;
                }
                if self.next_pull <= Instant::now() {
                    state.asked += 1;
                    self.next_pull = Instant::now() + PULL_INTERVAL;
                }
                state.asked
            };
            self.ask(question);
            self.shared.lock().seen = question;
            self.shared.changed.notify_all();
        }
    }

    /// Waits until a worker connects, says something or leaves, somebody asks, or it is time to.
    fn wait(&self) {
        let until_pull = self.next_pull.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(until_pull.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: until_pull.subsec_nanos().into(),
        };
        let fds = [self.shared.wake.as_fd(), self.listener.as_fd()].into_iter();
        let mut fds: Vec<_> = fds
            .chain(self.workers.iter().map(|worker| worker.stream.as_fd()))
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        // Everything is looked at after it, so it does not matter why it returns.
        let _ = poll(&mut fds, Some(&timeout));
        let _ = rustix::io::read(&self.shared.wake, &mut [0_u8; 8]);
    }

    fn accept(&mut self) {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return std::thread::sleep(ACCEPT_PAUSE),
            };
            let usable = check_peer(&stream).and_then(|()| stream.set_nonblocking(true));
            if usable.is_err() || self.workers.len() >= MOST_WORKERS {
                continue;
            }
            let (id, frames) = (self.next_id, Frames::default());
            self.next_id += 1;
            self.workers.push(Worker { id, stream, frames, pending: None });
            let answer = Answer { snapshot: Snapshot::default(), question: 0, at: Instant::now() };
            self.shared.lock().workers.insert(id, answer);
        }
    }

    /// Takes what workers have said, and retires those that left.
    fn read(&mut self) {
        let shared = &self.shared;
        self.workers.retain_mut(|worker| {
            let open = worker.read();
            let (answers, open) = match worker.answers() {
                Ok(answers) => (answers, open),
                Err(_) => (Vec::new(), false),
            };
            let mut state = shared.lock();
            let question = state.asked;
            if let (Some(snapshot), Some(known)) =
                (answers.into_iter().last(), state.workers.get_mut(&worker.id))
            {
                // The last words of a worker are an answer to everything.
                let question = worker.pending.take().unwrap_or(question);
                *known = Answer { snapshot, question, at: Instant::now() };
            }
            if !open {
                if let Some(last) = state.workers.remove(&worker.id) {
                    state.retired.merge(last.snapshot.into_retired());
                }
            }
            open
        });
    }

    /// Asks the workers that have not answered the question.
    fn ask(&mut self, question: Question) {
        let state = self.shared.lock();
        for worker in &mut self.workers {
            let answered = state.workers.get(&worker.id).map_or(0, |answer| answer.question);
            if worker.pending.is_none() && answered < question {
                // One byte always fits; a worker that has left is seen when it is read from.
                let _ = worker.stream.write(b"?");
                worker.pending = Some(question);
            }
        }
    }
}

impl Worker {
    /// Reads what has arrived; whether more may come.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.frames.push(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    fn answers(&mut self) -> io::Result<Vec<Snapshot>> {
        std::iter::from_fn(|| self.frames.next().transpose()).collect()
    }
}
