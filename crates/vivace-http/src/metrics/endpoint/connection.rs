//! One connection of the endpoint: reads a request, writes an answer, and lets the client read it.
//!
//! ```text
//! Reading ──request, or none that can be read──> Writing ──all written──> Lingering ──> closed
//!    └── closed, or nothing within REQUEST_TIMEOUT ─────────────────────────────────────> closed
//! ```
//!
//! A connection that is closed while the client still sends is reset, and the client loses the
//! answer. Hence `Lingering`: nothing more is sent, and what arrives is thrown away for a while.

use crate::h1::reject::{Reject, write_plain};
use crate::h1::request::{Event, Head, Limits, RequestReader};
use crate::h1::response::Defaults;
use rustix::event::PollFlags;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long a request may take to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take to leave.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to close after it.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// What a request of this kind needs, and not much more.
const LIMITS: Limits = Limits { head_bytes: 8 * 1024, headers: 64, target_bytes: 1024 };

/// How much is thrown away while the client closes.
const MOST_THROWN_AWAY: usize = 64 * 1024;

pub(super) struct Connection {
    stream: TcpStream,
    stage: Stage,
    deadline: Instant,
}

enum Stage {
    Reading(Box<RequestReader>),
    Writing { answer: Vec<u8>, written: usize },
    Lingering { thrown_away: usize },
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Until it is ready or its deadline has passed.
    Waiting,
    /// It is to be dropped.
    Over,
}

impl Connection {
    /// `None` if the socket cannot be used.
    pub(super) fn new(stream: TcpStream, now: Instant) -> Option<Self> {
        stream.set_nonblocking(true).ok()?;
        let stage = Stage::Reading(Box::new(RequestReader::new(LIMITS)));
        Some(Self { stream, stage, deadline: now + REQUEST_TIMEOUT })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> PollFlags {
        match self.stage {
            Stage::Reading(_) | Stage::Lingering { .. } => PollFlags::IN,
            Stage::Writing { .. } => PollFlags::OUT,
        }
    }

    /// Does what can be done now. `answer` writes the answer to a request.
    pub(super) fn advance(
        &mut self,
        ready: bool,
        now: Instant,
        answer: impl Fn(&Head<'_>, &mut Vec<u8>),
    ) -> Progress {
        if !ready && now < self.deadline {
            return Progress::Waiting;
        }
        if let Stage::Reading(_) = self.stage {
            let mut out = Vec::new();
            let progress = if ready { self.read(&answer, &mut out) } else { Progress::Waiting };
            if out.is_empty() && now >= self.deadline {
                self.time_out(&mut out);
                if out.is_empty() {
                    return Progress::Over;
                }
            }
            if out.is_empty() {
                return progress;
            }
            self.stage = Stage::Writing { answer: out, written: 0 };
            self.deadline = now + WRITE_TIMEOUT;
        }
        if let Stage::Writing { answer, written } = &mut self.stage {
            let progress = write(&mut self.stream, answer, written);
            if progress == Progress::Over || now >= self.deadline {
                return Progress::Over;
            }
            if *written < answer.len() {
                return Progress::Waiting;
            }
            if self.stream.shutdown(Shutdown::Write).is_err() {
                return Progress::Over;
            }
            self.stage = Stage::Lingering { thrown_away: 0 };
            self.deadline = now + LINGER_TIMEOUT;
        }
        if now >= self.deadline { Progress::Over } else { self.throw_away() }
    }

    /// Reads what has arrived; `out` gets the answer once there is one.
    fn read(&mut self, answer: impl Fn(&Head<'_>, &mut Vec<u8>), out: &mut Vec<u8>) -> Progress {
        let Stage::Reading(reader) = &mut self.stage else { return Progress::Waiting };
        let mut buffer = [0; 4096];
        let count = match self.stream.read(&mut buffer) {
            Ok(0) => return Progress::Over,
            Ok(count) => count,
            Err(error) => return after(error.kind()),
        };
        match reader.next(&mut &buffer[..count]) {
            Ok(Some(Event::Head(head))) if head.framing.has_content() => {
                write_reject(Reject { status: 413, reason: "no content is taken here" }, out);
            }
            Ok(Some(Event::Head(head))) => answer(&head, out),
            // What comes first is a head; until then there is nothing.
            Ok(_) => {}
            Err(reject) => write_reject(reject, out),
        }
        Progress::Waiting
    }

    /// The request has not arrived in time: says so, unless nothing has arrived at all.
    fn time_out(&self, out: &mut Vec<u8>) {
        if matches!(&self.stage, Stage::Reading(reader) if reader.has_partial_head()) {
            write_reject(Reject { status: 408, reason: "the request took too long" }, out);
        }
    }

    fn throw_away(&mut self) -> Progress {
        let Stage::Lingering { thrown_away } = &mut self.stage else { return Progress::Over };
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Progress::Over,
                Ok(count) => *thrown_away += count,
                Err(error) => return after(error.kind()),
            }
            if *thrown_away > MOST_THROWN_AWAY {
                return Progress::Over;
            }
        }
    }
}

fn write(stream: &mut TcpStream, answer: &[u8], written: &mut usize) -> Progress {
    while *written < answer.len() {
        match stream.write(&answer[*written..]) {
            Ok(0) => return Progress::Over,
            Ok(count) => *written += count,
            Err(error) => return after(error.kind()),
        }
    }
    Progress::Waiting
}

fn after(error: ErrorKind) -> Progress {
    match error {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Progress::Waiting,
        _ => Progress::Over,
    }
}

fn write_reject(reject: Reject, out: &mut Vec<u8>) {
    let text = format!("{}\n", reject.reason);
    write_plain(out, reject.status, &text, Defaults::default());
}

// Sockets are not for Miri.
#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use rustix::event::{PollFd, poll};
    use std::net::TcpListener;

    /// A client and its connection, which began at the returned moment.
    fn pair() -> (TcpStream, Connection, Instant) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a socket");
        let client = TcpStream::connect(listener.local_addr().expect("an address"));
        let client = client.expect("a connection");
        client.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
        let (stream, _) = listener.accept().expect("a connection");
        let now = Instant::now();
        (client, Connection::new(stream, now).expect("a usable socket"), now)
    }

    fn wait(connection: &Connection) {
        let mut fds = [PollFd::from_borrowed_fd(connection.fd(), connection.interest())];
        poll(&mut fds, None).expect("ready");
    }

    fn hello(_: &Head<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"hello");
    }

    fn nobody(_: &Head<'_>, _: &mut Vec<u8>) {
        panic!("there is no request");
    }

    fn received(mut client: TcpStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).expect("text, and the end");
        text
    }

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn who_says_nothing_hears_nothing() {
        let (client, mut connection, start) = pair();
        let late = start + REQUEST_TIMEOUT;
        assert_eq!(connection.advance(false, late - MOMENT, nobody), Progress::Waiting);
        assert_eq!(connection.advance(false, late, nobody), Progress::Over);
        drop(connection);
        assert_eq!(received(client), "");
    }

    #[test]
    fn half_a_request_is_answered_in_the_end() {
        let (mut client, mut connection, start) = pair();
        // Bytes one by one do not make the time longer.
        for (byte, second) in b"GET ".chunks(1).zip(1..) {
            client.write_all(byte).expect("sent");
            wait(&connection);
            let now = start + Duration::from_secs(second);
            assert_eq!(connection.advance(true, now, nobody), Progress::Waiting);
        }
        let late = start + REQUEST_TIMEOUT;
        assert_eq!(connection.advance(false, late, nobody), Progress::Waiting);
        drop(connection);
        let answer = received(client);
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    }

    #[test]
    fn who_does_not_close_is_closed() {
        let (mut client, mut connection, start) = pair();
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nmore").expect("sent");
        wait(&connection);
        assert_eq!(connection.advance(true, start, hello), Progress::Waiting);
        let mut text = [0; 5];
        client.read_exact(&mut text).expect("the answer");
        let late = start + LINGER_TIMEOUT;
        assert_eq!(connection.advance(false, late - MOMENT, hello), Progress::Waiting);
        assert_eq!(connection.advance(false, late, hello), Progress::Over);
    }

    #[test]
    fn who_sends_on_and_on_is_closed() {
        let (mut client, mut connection, start) = pair();
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").expect("sent");
        wait(&connection);
        assert_eq!(connection.advance(true, start, hello), Progress::Waiting);
        let mut pieces = 0;
        loop {
            client.write_all(&[b'x'; 4096]).expect("sent");
            pieces += 1;
            wait(&connection);
            if connection.advance(true, start, hello) == Progress::Over {
                break;
            }
        }
        assert_eq!(pieces, MOST_THROWN_AWAY / 4096 + 1);
    }

    #[test]
    fn who_does_not_read_is_closed() {
        let (mut client, mut connection, start) = pair();
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").expect("sent");
        wait(&connection);
        // More than sockets buffer.
        let large = |_: &Head<'_>, out: &mut Vec<u8>| out.resize(64 << 20, b'x');
        assert_eq!(connection.advance(true, start, large), Progress::Waiting);
        assert_eq!(connection.interest(), PollFlags::OUT);
        let late = start + WRITE_TIMEOUT;
        assert_eq!(connection.advance(false, late - MOMENT, large), Progress::Waiting);
        assert_eq!(connection.advance(false, late, large), Progress::Over);
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let (client, mut connection, start) = pair();
        drop(client);
        wait(&connection);
        assert_eq!(connection.advance(true, start, nobody), Progress::Over);
    }
}
