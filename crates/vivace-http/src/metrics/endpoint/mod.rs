//! A small HTTP server on a thread of its own: `/metrics`, `/livez`, `/readyz`.
//!
//! One thread serves all connections and waits for none: reads and writes do not block, each
//! connection has a deadline, and when there are too many the oldest makes room, so that clients
//! that do nothing cannot keep a health check out. A connection is closed after its answer.
//!
//! `answer` says what is answered, `connection` moves its bytes; this file waits for both.

mod answer;
mod connection;

use super::Watched;
use crate::h1::request::Head;
use connection::{Connection, Progress};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many clients are served at once.
const MOST_CONNECTIONS: usize = 32;

/// How long nobody is accepted after that failed, for want of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// How long `stop` waits for the thread.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// For how long a loop may not turn before `/livez` says that its process is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallLimit(pub Duration);

impl Default for StallLimit {
    /// Ten seconds: longer than what blocks a loop by mistake now and then.
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

/// A running endpoint. It stops when it is dropped.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    wake: Arc<OwnedFd>,
    ended: Arc<Ended>,
}

#[derive(Debug, Default)]
struct Ended {
    flag: Mutex<bool>,
    changed: Condvar,
}

impl Endpoint {
    /// Serves what `watched` says on a listening socket.
    ///
    /// # Errors
    ///
    /// If the socket is none, or there can be no thread.
    pub fn start(
        listener: TcpListener,
        watched: Arc<dyn Watched>,
        limit: StallLimit,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let ended = Arc::new(Ended::default());
        let server = Server {
            listener,
            wake: Arc::clone(&wake),
            watched,
            limit,
            connections: Vec::new(),
            paused_until: None,
        };
        let end = EndOnDrop(Arc::clone(&ended));
        std::thread::Builder::new().name("vivace-metrics".to_owned()).spawn(move || {
            let _end = end;
            server.run();
        })?;
        Ok(Self { address, wake, ended })
    }

    /// Where it listens: with the port that was taken, if any was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the socket and all connections.
    pub fn stop(self) {}
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // The counter cannot be full: it is written once.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
        let flag = self.ended.flag.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.ended.changed.wait_timeout_while(flag, STOP_TIMEOUT, |ended| !*ended);
    }
}

struct EndOnDrop(Arc<Ended>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        *self.0.flag.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

struct Server {
    listener: TcpListener,
    wake: Arc<OwnedFd>,
    watched: Arc<dyn Watched>,
    limit: StallLimit,
    /// The oldest first.
    connections: Vec<Connection>,
    paused_until: Option<Instant>,
}

/// What there is to do after a wait.
struct Turn {
    stop: bool,
    accept: bool,
    /// For each connection, whether its descriptor is ready.
    ready: Vec<bool>,
}

impl Server {
    fn run(mut self) {
        loop {
            let turn = self.wait();
            if turn.stop {
                return;
            }
            let now = Instant::now();
            let mut ready = turn.ready.into_iter();
            let (watched, limit) = (&*self.watched, self.limit);
            let answer =
                |head: &Head<'_>, out: &mut Vec<u8>| answer::write(head, watched, limit, out);
            self.connections.retain_mut(|connection| {
                let ready = ready.next().unwrap_or(false);
                connection.advance(ready, now, answer) == Progress::Waiting
            });
            if turn.accept {
                self.accept(now);
            }
        }
    }

    /// Waits until something can be done or a deadline has passed.
    fn wait(&mut self) -> Turn {
        let now = Instant::now();
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
        }
        let deadlines = self.connections.iter().map(Connection::deadline).chain(self.paused_until);
        let timeout = deadlines.min().map(|deadline| timespec(deadline - now));
        let listening =
            if self.paused_until.is_none() { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.listener.as_fd(), listening),
        ];
        fds.extend(
            self.connections
                .iter()
                .map(|connection| PollFd::from_borrowed_fd(connection.fd(), connection.interest())),
        );
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // Out of memory, in the kernel: try again, but not at once.
            Err(_) => std::thread::sleep(ACCEPT_PAUSE),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let (stop, accept) = (ready.next() == Some(true), ready.next() == Some(true));
        Turn { stop, accept, ready: ready.collect() }
    }

    fn accept(&mut self, now: Instant) {
        match self.listener.accept() {
            Ok((stream, _)) => {
                if self.connections.len() >= MOST_CONNECTIONS {
                    self.connections.remove(0);
                }
                // A socket that cannot be set up is closed.
                self.connections.extend(Connection::new(stream, now));
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionAborted => {}
                _ => self.paused_until = Some(now + ACCEPT_PAUSE),
            },
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    // Rounded up, as the deadline is not over before.
    let duration = duration + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
