//! One connection: bytes in, events out; commands in, bytes out.
//!
//! After bytes or commands, [`advance`](ServerConnection::advance) does what there is to do.
//! Commands for a stream that is gone do nothing: its [`Event::Reset`] was told, or waits.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
pub use bytes::Bytes as Content;
pub use h2::Reason;
use h2::server::{Connection, Handshake, SendResponse};
use http::{HeaderMap, Response, StatusCode};

use super::calm::Bucket;
use super::fields;
use super::frames::Frames;
use super::limits::{EARLY_RESETS, Limits, OVERHEAD, builder};
use super::pipe::{Pipe, PipeEnd};
use super::readiness::ReadyStreams;
use super::request::Request;
use super::stream::{Came, End, Stream};

/// The usual bound on the payload of a frame.
const FRAME: usize = 16 * 1024;

/// Something that has happened.
#[derive(Debug)]
pub enum Event {
    /// A request; [`Event::End`] follows only if its content does.
    Request(Box<Request>),
    /// A part of a request's content. The client may send as much again when it is released.
    Data {
        /// Of which request.
        stream: u32,
        /// Not empty.
        data: Bytes,
    },
    /// A request's content is complete.
    End {
        /// Of which request.
        stream: u32,
    },
    /// The stream is gone before its response was sent.
    Reset {
        /// Which.
        stream: u32,
        /// Why, as the client says, or what was wrong with what it sent.
        reason: Reason,
    },
    /// All that was sent on the stream has left for the frames: there is room for more.
    Room {
        /// Which.
        stream: u32,
    },
}

enum State {
    Handshake(Handshake<PipeEnd, Bytes>),
    Open(Connection<PipeEnd, Bytes>),
    Closed,
}

/// See the module.
pub struct ServerConnection {
    state: State,
    pipe: Pipe,
    streams: HashMap<u32, Stream>,
    /// Accepted and not watched yet: most are answered before.
    unwatched: Vec<u32>,
    ready: ReadyStreams,
    events: VecDeque<Event>,
    frames: Frames,
    /// A frame was refused, which ends the connection when those before it have been read.
    refused: Option<Reason>,
    /// Frames that carry nothing.
    overhead: Bucket,
    /// Requests that were taken back.
    early_resets: Bucket,
    /// The connection ends, or has ended, for what the client sent.
    faulty: bool,
    drains: bool,
}

impl fmt::Debug for ServerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConnection").field("streams", &self.streams.len()).finish()
    }
}

impl ServerConnection {
    /// A connection on which nothing has come yet, not even the preface.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let pipe = Pipe::default();
        let handshake = builder(limits).handshake(PipeEnd::of(&pipe));
        Self {
            state: State::Handshake(handshake),
            pipe,
            streams: HashMap::new(),
            unwatched: Vec::new(),
            ready: ReadyStreams::default(),
            events: VecDeque::new(),
            frames: Frames::default(),
            refused: None,
            overhead: Bucket::new(OVERHEAD),
            early_resets: Bucket::new(EARLY_RESETS),
            faulty: false,
            drains: false,
        }
    }

    /// Bytes have come.
    pub fn receive(&mut self, data: &[u8]) {
        if self.refused.is_some() {
            return;
        }
        let seen = self.frames.read(data);
        self.overhead.fill(seen.overhead);
        let (good, refused) = match seen.fault {
            Some((before, reason)) => (&data[..before], Some(reason)),
            None => (data, None),
        };
        self.pipe.push(good);
        self.refused = refused;
    }

    /// So much time has passed: the client may ask again for what carries nothing.
    pub fn pass(&mut self, seconds: f64) {
        self.overhead.pass(seconds);
        self.early_resets.pass(seconds);
    }

    /// The client sends no more.
    pub fn receive_end(&mut self) {
        self.pipe.end();
    }

    /// Bytes that have come and are not looked at, since the client does not read what they are
    /// answered with.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.pipe.unread()
    }

    /// What has happened, in its order.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether something has happened that was not asked for.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Moves what is to be sent to the end of `out`. Whether there may be more of it after the
    /// next [`advance`](Self::advance).
    pub fn take_output(&mut self, out: &mut Vec<u8>) -> bool {
        self.pipe.take_output(out)
    }

    /// Nothing more happens; what was taken as output is the last.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether it ended for what the client sent. A client that does so is likely to send on, and
    /// learns of the reason only if somebody still takes that.
    #[must_use]
    pub fn ended_by_fault(&self) -> bool {
        self.is_closed() && self.faulty
    }

    /// Does what there is to do.
    pub fn advance(&mut self) {
        for stream in std::mem::take(&mut self.unwatched) {
            self.look_at(stream);
        }
        loop {
            self.poll();
            let ready = self.ready.take();
            if ready.is_empty() {
                return;
            }
            ready.into_iter().for_each(|stream| self.look_at(stream));
        }
    }

    fn poll(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if matches!(self.state, State::Open(_)) && self.is_flooded() {
                self.close(Reason::ENHANCE_YOUR_CALM);
            }
            match &mut self.state {
                State::Closed => return,
                State::Handshake(handshake) => match Pin::new(handshake).poll(&mut context) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(mut connection)) => {
                        if self.drains {
                            connection.graceful_shutdown();
                        }
                        self.state = State::Open(connection);
                    }
                    Poll::Ready(Err(_no_preface)) => {
                        self.faulty = true;
                        return self.ended();
                    }
                },
                State::Open(connection) => match connection.poll_accept(&mut context) {
                    Poll::Pending => match self.refused {
                        Some(reason) if !self.faulty && self.pipe.unread() == 0 => {
                            self.faulty = true;
                            self.close(reason);
                        }
                        _ => return,
                    },
                    Poll::Ready(Some(Ok((request, respond)))) => self.accept(request, respond),
                    Poll::Ready(None) => return self.ended(),
                    // Which it was the client knows, by GOAWAY.
                    Poll::Ready(Some(Err(_))) => {
                        self.faulty = true;
                        return self.ended();
                    }
                },
            }
        }
    }

    /// Whether the client has asked too often; once.
    fn is_flooded(&mut self) -> bool {
        let flooded = self.overhead.overflows() || self.early_resets.overflows();
        flooded && !std::mem::replace(&mut self.faulty, true)
    }

    fn ended(&mut self) {
        self.state = State::Closed;
        for (stream, _) in self.streams.drain() {
            self.events.push_back(Event::Reset { stream, reason: Reason::CANCEL });
        }
    }

    fn accept(&mut self, request: http::Request<h2::RecvStream>, respond: SendResponse<Bytes>) {
        let stream = respond.stream_id().as_u32();
        let (parts, body) = request.into_parts();
        let ends = body.is_end_stream();
        self.streams.insert(stream, Stream::new((!ends).then_some(body), respond));
        self.events.push_back(Event::Request(Box::new(Request { stream, ends, parts })));
        if ends {
            self.unwatched.push(stream);
        } else {
            self.look_at(stream);
        }
    }

    /// Sees what has happened to a stream, and waits for the next thing.
    fn look_at(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let watch = stream.watch.take().unwrap_or_else(|| self.ready.watch(id));
        watch.rearm();
        let mut context = Context::from_waker(&watch.waker);
        let failed = loop {
            match stream.read(&mut context) {
                Came::Data(data) => self.events.push_back(Event::Data { stream: id, data }),
                Came::End => self.events.push_back(Event::End { stream: id }),
                Came::Failed(reason) => break Some(reason),
                Came::Nothing => break None,
            }
        };
        let failed = failed.or_else(|| stream.is_reset(&mut context));
        if let Some(reason) = failed {
            return self.lost(id, reason);
        }
        let before = stream.waiting();
        if before > 0 {
            if stream.flush().is_err() {
                return self.lost(id, Reason::CANCEL);
            }
            stream.wait_for_room(&mut context);
            if stream.waiting() == 0 {
                self.events.push_back(Event::Room { stream: id });
            }
        }
        stream.watch = Some(watch);
        self.settle(id);
    }

    /// The stream is gone before its time.
    fn lost(&mut self, stream: u32, reason: Reason) {
        self.streams.remove(&stream);
        self.events.push_back(Event::Reset { stream, reason });
        self.early_resets.fill(1);
    }

    /// Lets go of a stream whose response is whole: what comes of its request is refused.
    fn settle(&mut self, id: u32) {
        if self.streams.get(&id).is_some_and(Stream::is_sent) {
            self.streams.remove(&id);
            self.early_resets.empty(1);
        }
    }

    fn with(&mut self, id: u32, body: impl FnOnce(&mut Stream) -> Result<(), h2::Error>) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if body(stream).is_err() {
            let mut context = Context::from_waker(Waker::noop());
            match stream.is_reset(&mut context) {
                Some(reason) => self.lost(id, reason),
                None => {
                    // Something that frames cannot carry.
                    self.reset(id, Reason::INTERNAL_ERROR);
                    let reason = Reason::INTERNAL_ERROR;
                    self.events.push_back(Event::Reset { stream: id, reason });
                }
            }
            return;
        }
        if stream.waiting() > 0 {
            self.unwatched.push(id);
        }
        self.settle(id);
    }

    /// Sends the head of a response, with the fields of `lines`; `ends`: nothing follows.
    pub fn respond(&mut self, stream: u32, status: u16, lines: &[u8], ends: bool) {
        let head = head(status, lines);
        self.with(stream, |stream| stream.respond(head, ends));
    }

    /// Sends an interim response, of which there may be several before the response.
    pub fn inform(&mut self, stream: u32, status: u16, lines: &[u8]) {
        let head = head(status, lines);
        self.with(stream, |stream| stream.inform(head));
    }

    /// Sends content; `ends`: nothing follows.
    pub fn send(&mut self, stream: u32, data: Bytes, ends: bool) {
        // A client may measure its connection by a PING for each frame that comes.
        self.overhead.empty(1 + data.len() / FRAME);
        let end = if ends { End::Plain } else { End::Open };
        self.with(stream, |stream| stream.send(data, end));
    }

    /// Sends trailers, the fields of `lines`; nothing follows.
    pub fn send_trailers(&mut self, stream: u32, lines: &[u8]) {
        let fields = fields::from_lines(lines);
        self.with(stream, |stream| stream.send(Bytes::new(), End::Trailers(fields)));
    }

    /// Ends a stream as it is.
    pub fn reset(&mut self, stream: u32, reason: Reason) {
        if let Some(mut gone) = self.streams.remove(&stream) {
            gone.reset(reason);
        }
    }

    /// The program has read so much of a request's content.
    pub fn release(&mut self, stream: u32, size: usize) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.release(size);
        }
    }

    /// Bytes of a response that the client's windows have no room for.
    #[must_use]
    pub fn waiting(&self, stream: u32) -> usize {
        self.streams.get(&stream).map_or(0, Stream::waiting)
    }

    /// Resets the streams whose client has taken nothing of what waits since the call before.
    /// Whether any others have something that waits.
    pub fn reset_stalled(&mut self) -> bool {
        let stalled = self.streams.iter_mut().filter_map(|(id, stream)| {
            let (before, now) = (stream.stall_mark, stream.waiting());
            stream.stall_mark = now;
            (now > 0 && before == now).then_some(*id)
        });
        for stream in stalled.collect::<Vec<_>>() {
            self.reset(stream, Reason::CANCEL);
            self.events.push_back(Event::Reset { stream, reason: Reason::CANCEL });
        }
        self.has_waiting()
    }

    /// Whether content of any stream waits for the client's windows.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.streams.values().any(|stream| stream.waiting() > 0)
    }

    /// Requests that are not answered.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// No new requests: GOAWAY, twice, as RFC 9113 (section 6.8) has it. The connection closes
    /// when the last response is sent.
    pub fn drain(&mut self) {
        self.drains = true;
        if let State::Open(connection) = &mut self.state {
            connection.graceful_shutdown();
        }
    }

    /// Ends the connection as it is, with GOAWAY.
    pub fn close(&mut self, reason: Reason) {
        match &mut self.state {
            State::Open(connection) => connection.abrupt_shutdown(reason),
            State::Handshake(_) => self.state = State::Closed,
            State::Closed => {}
        }
    }
}

fn head(status: u16, lines: &[u8]) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fields: HeaderMap = fields::from_lines(lines);
    *head.headers_mut() = fields;
    head
}
