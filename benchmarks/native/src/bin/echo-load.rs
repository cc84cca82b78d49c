//! The load generator: one outstanding message per connection, every answer
//! compared with what was sent, bounded in time and in number of messages.
//!
//! `echo-load --connect ENDPOINT --connections N --size BYTES
//! --warmup SECONDS --seconds SECONDS --messages MAX [--certificate PEM]
//! [--websocket PATH]`
//!
//! connects (within TLS, if a certificate to trust is given; as WebSocket
//! clients whose messages are binary, if a path is given), warms up, prints
//! `ready` and waits for a line on standard input; sends until the time or the
//! number of messages is over and every answer has arrived; prints one line of
//! JSON, and waits for a second line before it closes the connections. The
//! caller reads the server's CPU clock at both stops, while nothing is on its
//! way, so that connecting and closing are not counted.

use std::io::{self, BufRead, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use vivace_bench_native::channel::{Channel, Security};
use vivace_bench_native::endpoint::Endpoint;
use vivace_bench_native::options::Options;
use vivace_bench_native::websocket;
use vivace_bench_native::{EVENT_BATCH, RECEIVE_BUFFER};

/// How long an answer may take before the server counts as stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// The client never sleeps. It stands for clients on other machines, and a
/// server does not pay for waking those up; here, it would, and the more so the
/// slower it is.
const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// The command line.
struct Settings {
    endpoint: Endpoint,
    connections: usize,
    size: usize,
    warmup: Duration,
    seconds: Duration,
    messages: u64,
    certificate: Option<PathBuf>,
    websocket: Option<String>,
}

impl Settings {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let options = Options::parse(arguments)?;
        let settings = Self {
            endpoint: options.required("connect")?,
            connections: options.required("connections")?,
            size: options.required("size")?,
            warmup: Duration::from_secs_f64(options.required("warmup")?),
            seconds: Duration::from_secs_f64(options.required("seconds")?),
            messages: options.required("messages")?,
            certificate: options.optional("certificate")?,
            websocket: options.optional("websocket")?,
        };
        if settings.size == 0 || settings.connections == 0 {
            return Err("--size and --connections start at 1".into());
        }
        Ok(settings)
    }
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), String> {
    let settings = Settings::parse(std::env::args().skip(1))?;
    let Settings { endpoint, connections, size, .. } = &settings;
    run(&settings).map_err(|error| format!("{endpoint}, {connections} x {size} B: {error}"))
}

fn run(settings: &Settings) -> io::Result<()> {
    let mut load = Load::connect(settings)?;
    load.exchange(settings.warmup, settings.messages)?;
    println!("ready");
    io::stdout().flush()?;
    wait_for_line()?;
    let mut phase = load.exchange(settings.seconds, settings.messages)?;
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
        let rank = self.latencies.len() * percent / 100;
        self.latencies.get(rank).map_or(0.0, |&ns| ns as f64 / 1000.0)
    }
}

struct Load {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

impl Load {
    fn connect(settings: &Settings) -> io::Result<Self> {
        let security = settings.certificate.as_deref().map(Security::trusting).transpose()?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let connections = (0..settings.connections)
            .map(|index| {
                let mut channel = Channel::open(settings.endpoint.connect()?, security.as_ref())?;
                if let Some(path) = &settings.websocket {
                    websocket::upgrade(&mut channel, path, PATIENCE)?;
                }
                // Edge-triggered, so that no interest ever has to be changed.
                epoll::add(
                    &epoll,
                    &channel,
                    epoll::EventData::new_u64(index as u64),
                    epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET,
                )?;
                let payload = distinct_bytes(index, settings.size);
                Ok(match &settings.websocket {
                    Some(_) => Connection::new(
                        channel,
                        websocket::frame_of_client(&payload),
                        websocket::frame_of_server(&payload),
                    ),
                    None => Connection::new(channel, payload.clone(), payload),
                })
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
        let mut last_event = begin;
        while outstanding > 0 {
            events.clear();
            let spare = rustix::buffer::spare_capacity(&mut events);
            if epoll::wait(&self.epoll, spare, Some(&NO_WAIT))? > 0 {
                last_event = Instant::now();
            } else if last_event.elapsed() > PATIENCE {
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

/// Bytes that differ along the message and from connection to connection, so
/// that those in a wrong place or on a wrong connection are noticed.
fn distinct_bytes(index: usize, size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 + at / 256 + index * 7) as u8).collect()
}

/// A connection and how far its current message and the answer have come.
struct Connection {
    channel: Channel,
    message: Vec<u8>,
    answer: Vec<u8>,
    sent: usize,
    received: usize,
    started: Instant,
}

impl Connection {
    fn new(channel: Channel, message: Vec<u8>, answer: Vec<u8>) -> Self {
        // Nothing is outstanding at first: all sent, all received.
        let (sent, received) = (message.len(), answer.len());
        Self { channel, message, answer, sent, received, started: Instant::now() }
    }

    fn begin(&mut self, now: Instant) -> io::Result<()> {
        self.started = now;
        self.sent = 0;
        self.received = 0;
        self.send_rest()
    }

    fn send_rest(&mut self) -> io::Result<()> {
        loop {
            match self.channel.send(&self.message[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.sent == self.message.len() {
                return Ok(());
            }
        }
    }

    /// True when this completed the answer.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        while self.received < self.answer.len() {
            let received = match self.channel.receive(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            let end = self.received + received;
            if self.answer.get(self.received..end) != Some(&buffer[..received]) {
                return Err(io::Error::other(format!(
                    "the answer is another one than expected after {} bytes",
                    self.received
                )));
            }
            self.received = end;
            if end == self.answer.len() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
