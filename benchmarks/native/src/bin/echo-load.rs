//! The load generator: one outstanding message per connection, every answer
//! compared with what was sent, bounded in time and in number of messages.
//!
//! `echo-load --connect ENDPOINT --connections N --size BYTES
//! --warmup SECONDS --seconds SECONDS --messages MAX`
//!
//! connects, warms up, prints `ready` and waits for a line on standard input;
//! sends until the time or the number of messages is over and every answer has
//! arrived; prints one line of JSON, and waits for a second line before it
//! closes the connections. The caller reads the server's CPU clock at both
//! stops, while nothing is on its way, so that connecting and closing are not
//! counted.

use std::io::{self, BufRead, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use vivace_bench_native::endpoint::Endpoint;
use vivace_bench_native::options::Options;
use vivace_bench_native::{EVENT_BATCH, RECEIVE_BUFFER};

/// How long an answer may take before the server counts as stuck.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

fn main() -> Result<(), String> {
    let options = Options::parse(std::env::args().skip(1))?;
    let endpoint: Endpoint = options.required("connect")?;
    let connections: usize = options.required("connections")?;
    let size: usize = options.required("size")?;
    let warmup: f64 = options.required("warmup")?;
    let seconds: f64 = options.required("seconds")?;
    let messages: u64 = options.required("messages")?;
    if size == 0 || connections == 0 {
        return Err("--size and --connections start at 1".into());
    }
    run(&endpoint, connections, size, warmup, seconds, messages)
        .map_err(|error| format!("{endpoint}, {connections} x {size} B: {error}"))
}

fn run(
    endpoint: &Endpoint,
    connections: usize,
    size: usize,
    warmup: f64,
    seconds: f64,
    messages: u64,
) -> io::Result<()> {
    let mut load = Load::connect(endpoint, connections, size)?;
    load.exchange(Duration::from_secs_f64(warmup), messages)?;
    println!("ready");
    io::stdout().flush()?;
    wait_for_line()?;
    let mut phase = load.exchange(Duration::from_secs_f64(seconds), messages)?;
    phase.latencies.sort_unstable();
    println!(
        "{{\"messages\": {}, \"seconds\": {:.6}, \"p50_us\": {:.1}, \"p99_us\": {:.1}}}",
        phase.latencies.len(),
        phase.elapsed.as_secs_f64(),
        phase.percentile_us(50),
        phase.percentile_us(99),
    );
    io::stdout().flush()?;
    wait_for_line()
}

fn wait_for_line() -> io::Result<()> {
    io::stdin().lock().read_line(&mut String::new()).map(|_| ())
}

/// What one exchange of messages showed.
struct Phase {
    elapsed: Duration,
    /// Of every message, in nanoseconds.
    latencies: Vec<u64>,
}

impl Phase {
    fn percentile_us(&self, percent: usize) -> f64 {
        let rank = (self.latencies.len() * percent / 100).min(self.latencies.len().max(1) - 1);
        self.latencies.get(rank).map_or(0.0, |&ns| ns as f64 / 1000.0)
    }
}

/// A connection and how far its current message and the answer have come.
struct Connection {
    socket: OwnedFd,
    message: Vec<u8>,
    sent: usize,
    received: usize,
    started: Instant,
}

struct Load {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

impl Load {
    fn connect(endpoint: &Endpoint, connections: usize, size: usize) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let connections = (0..connections)
            .map(|index| {
                let socket = endpoint.connect()?;
                // Edge-triggered, so that no interest ever has to be changed.
                epoll::add(
                    &epoll,
                    &socket,
                    epoll::EventData::new_u64(index as u64),
                    epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET,
                )?;
                Ok(Connection::new(socket, index, size))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { epoll, connections, buffer: vec![0; RECEIVE_BUFFER] })
    }

    /// Sends for at most this time and number of messages; returns when every
    /// answer is there.
    fn exchange(&mut self, time: Duration, messages: u64) -> io::Result<Phase> {
        let begin = Instant::now();
        let deadline = begin + time;
        let mut latencies = Vec::with_capacity(1 << 20);
        let mut begun = 0;
        let mut outstanding = 0;
        for connection in &mut self.connections {
            if begun == messages {
                break;
            }
            connection.begin(Instant::now())?;
            begun += 1;
            outstanding += 1;
        }
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENT_BATCH);
        while outstanding > 0 {
            events.clear();
            let spare = rustix::buffer::spare_capacity(&mut events);
            if epoll::wait(&self.epoll, spare, Some(&PATIENCE))? == 0 {
                return Err(io::Error::other(format!("{outstanding} answers did not come")));
            }
            for event in &events {
                let connection = &mut self.connections[event.data.u64() as usize];
                let ready = event.flags;
                if ready.contains(epoll::EventFlags::OUT) {
                    connection.send_rest()?;
                }
                if !connection.receive(&mut self.buffer)? {
                    continue;
                }
                let now = Instant::now();
                latencies.push((now - connection.started).as_nanos() as u64);
                if begun < messages && now < deadline {
                    connection.begin(now)?;
                    begun += 1;
                } else {
                    outstanding -= 1;
                }
            }
        }
        Ok(Phase { elapsed: begin.elapsed(), latencies })
    }
}

impl Connection {
    fn new(socket: OwnedFd, index: usize, size: usize) -> Self {
        // Differs along the message and from connection to connection, so that
        // bytes in a wrong place or on a wrong connection are noticed.
        let message = (0..size).map(|at| (at * 31 + at / 256 + index * 7) as u8).collect();
        // Nothing is outstanding at first: all sent, all received.
        Self { socket, message, sent: size, received: size, started: Instant::now() }
    }

    fn begin(&mut self, now: Instant) -> io::Result<()> {
        self.started = now;
        self.sent = 0;
        self.received = 0;
        self.send_rest()
    }

    fn send_rest(&mut self) -> io::Result<()> {
        while self.sent < self.message.len() {
            match send(&self.socket, &self.message[self.sent..], SendFlags::NOSIGNAL) {
                Ok(sent) => self.sent += sent,
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// True when this completed the answer.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        while self.received < self.message.len() {
            let received = match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok((received, _)) => received,
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            let end = self.received + received;
            if self.message.get(self.received..end) != Some(&buffer[..received]) {
                return Err(io::Error::other(format!(
                    "the answer differs from the message after {} bytes",
                    self.received
                )));
            }
            self.received = end;
            if end == self.message.len() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
