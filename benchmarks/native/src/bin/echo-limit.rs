//! The bare server: epoll, one receive and one send per message, nothing else.
//! Its CPU time per message is the limit an event loop is held against.
//!
//! `echo-limit --listen tcp:127.0.0.1:0 --lifetime SECONDS [--answer FILE]`
//! prints `listening ENDPOINT`, serves, and ends by itself after its lifetime.
//! It echoes, or sends the bytes of the file for each message: with an HTTP
//! response in it, it is the limit of a web server that reads no request.
//!
//! Level-triggered on purpose: one receive per readiness without a second one
//! that finds nothing is the smallest number of system calls for this traffic.

use std::io::{self, Write};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use vivace_bench_native::endpoint::{Acceptor, Bound, Endpoint};
use vivace_bench_native::options::Options;
use vivace_bench_native::{EVENT_BATCH, RECEIVE_BUFFER};

/// The key of the listening socket in the epoll set; connections use their fd.
const LISTENER: u64 = u64::MAX;

struct Connection {
    socket: OwnedFd,
    /// Received, but not yet taken by the kernel for sending.
    unsent: Vec<u8>,
}

fn main() -> ExitCode {
    match listen() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn listen() -> Result<(), String> {
    let options = Options::parse(std::env::args().skip(1))?;
    let endpoint: Endpoint = options.required("listen")?;
    let lifetime: u64 = options.required("lifetime")?;
    let answer = options.optional::<PathBuf>("answer")?;
    let answer = answer
        .map(|file| std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display())))
        .transpose()?;
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(lifetime));
        std::process::exit(3);
    });
    serve(&endpoint, answer.as_deref()).map_err(|error| format!("{endpoint}: {error}"))
}

fn serve(endpoint: &Endpoint, answer: Option<&[u8]>) -> io::Result<()> {
    let (bound, address) = endpoint.bind()?;
    println!("listening {address}");
    io::stdout().flush()?;
    match bound {
        Bound::Stream(acceptor) => serve_streams(&acceptor, answer),
        Bound::Datagram(socket) => serve_datagrams(&socket),
    }
}

fn serve_streams(acceptor: &Acceptor, answer: Option<&[u8]>) -> io::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let listener = epoll::EventData::new_u64(LISTENER);
    match acceptor {
        Acceptor::Tcp(socket) => epoll::add(&epoll, socket, listener, epoll::EventFlags::IN)?,
        Acceptor::Unix(socket) => epoll::add(&epoll, socket, listener, epoll::EventFlags::IN)?,
    }
    // By file descriptor: the kernel hands out the lowest free number.
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENT_BATCH);
    let mut buffer = vec![0; RECEIVE_BUFFER];
    loop {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), NO_TIMEOUT)?;
        for event in &events {
            let key = event.data.u64();
            if key == LISTENER {
                while let Some(socket) = acceptor.accept()? {
                    let slot = socket.as_raw_fd() as usize;
                    let data = epoll::EventData::new_u64(slot as u64);
                    epoll::add(&epoll, &socket, data, epoll::EventFlags::IN)?;
                    if slot >= connections.len() {
                        connections.resize_with(slot + 1, || None);
                    }
                    connections[slot] = Some(Connection { socket, unsent: Vec::new() });
                }
                continue;
            }
            let slot = &mut connections[key as usize];
            let Some(connection) = slot else { continue };
            if !connection.answer(&epoll, &mut buffer, answer, event.flags)? {
                // Closing the last descriptor takes it out of the epoll set.
                *slot = None;
            }
        }
    }
}

const NO_TIMEOUT: Option<&Timespec> = None;

impl Connection {
    /// Answers what has arrived; false when the connection is over.
    fn answer(
        &mut self,
        epoll: &OwnedFd,
        buffer: &mut [u8],
        answer: Option<&[u8]>,
        ready: epoll::EventFlags,
    ) -> io::Result<bool> {
        if ready.contains(epoll::EventFlags::OUT) {
            let sent = match send(&self.socket, &self.unsent, SendFlags::NOSIGNAL) {
                Ok(sent) => sent,
                Err(Errno::AGAIN) => 0,
                Err(_) => return Ok(false),
            };
            self.unsent.drain(..sent);
            if self.unsent.is_empty() {
                self.watch(epoll, epoll::EventFlags::IN)?;
            }
            return Ok(true);
        }
        let received = match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Ok(false),
            Ok((received, _)) => received,
            Err(Errno::AGAIN) => return Ok(true),
            Err(_) => return Ok(false),
        };
        let message = answer.unwrap_or(&buffer[..received]);
        let sent = match send(&self.socket, message, SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN) => 0,
            Err(_) => return Ok(false),
        };
        if sent < message.len() {
            self.unsent.extend_from_slice(&message[sent..]);
            // Only writing from here on, so that the order of bytes is kept.
            self.watch(epoll, epoll::EventFlags::OUT)?;
        }
        Ok(true)
    }

    fn watch(&self, epoll: &OwnedFd, interest: epoll::EventFlags) -> io::Result<()> {
        let data = epoll::EventData::new_u64(self.socket.as_raw_fd() as u64);
        Ok(epoll::modify(epoll, &self.socket, data, interest)?)
    }
}

fn serve_datagrams(socket: &UdpSocket) -> io::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let data = epoll::EventData::new_u64(0);
    epoll::add(&epoll, socket, data, epoll::EventFlags::IN)?;
    let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENT_BATCH);
    let mut buffer = vec![0; RECEIVE_BUFFER];
    loop {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), NO_TIMEOUT)?;
        loop {
            match socket.recv_from(&mut buffer) {
                Ok((received, sender)) => {
                    // A full send buffer loses the datagram, as UDP may.
                    let _ = socket.send_to(&buffer[..received], sender);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
    }
}
