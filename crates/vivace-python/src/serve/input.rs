//! Bytes in: from what the connection received to requests, and from requests to the
//! application.
//!
//! The application runs when everything that has come of its request was read, so a small body
//! is there at its first `receive()`. One request runs at a time; what comes meanwhile of the
//! next ones waits in the backlog, and above a bound the client waits.

use vivace_http::h1::reject::Reject;
use vivace_http::h1::request::{Event, Framing, Head, RequestReader};
use vivace_http::ws::handshake::Refusal;

use super::connection::{Connection, Mode};
use super::deadlines::Late;
use super::exchange::Exchange;
use crate::ffi::bytes::bytes;
use crate::ffi::function::{Body, Function};
use crate::ffi::{Instance, Object, Owned, Result, text};

/// Of bytes that nobody has asked for, this many are kept.
const HIGH_WATER: usize = 64 * 1024;

/// How the reading of a piece of input ended.
pub(super) enum Step {
    /// More bytes are needed.
    NeedMore,
    /// A request was read to its end.
    End,
    Rejected(Reject),
    /// A handshake for a WebSocket that is wrong.
    Refused(Refusal),
    /// It looked like a handshake, and is a request like any other.
    Plain,
    /// A request asks for a WebSocket: what follows is not HTTP.
    Upgraded,
}

impl Instance<Connection> {
    /// Bytes have come.
    #[inline]
    pub(crate) fn received(&self, data: &[u8]) -> Result<()> {
        match self.mode.get() {
            Mode::Closed => Ok(()),
            Mode::Lingering => self.discard(data.len()),
            Mode::WebSocket => self.websocket_received(data),
            Mode::Http2 => self.http2_received(data),
            Mode::Http if self.undecided.get() && self.http2_begins(data)? => Ok(()),
            Mode::Http | Mode::Draining => {
                if self.feeding.get() || self.is_busy() {
                    return self.keep(data);
                }
                if self.backlog.borrow().is_empty() {
                    return self.feed(data);
                }
                let mut all = std::mem::take(&mut *self.backlog.borrow_mut());
                all.extend_from_slice(data);
                self.feed(&all)
            }
        }
    }

    /// Whether a request was read whole and is not answered yet.
    fn is_busy(&self) -> bool {
        self.exchange.get().is_some_and(|exchange| exchange.body.complete.get())
    }

    fn keep(&self, data: &[u8]) -> Result<()> {
        self.backlog.borrow_mut().extend_from_slice(data);
        if self.backlog.borrow().len() >= HIGH_WATER { self.pause_reading() } else { Ok(()) }
    }

    /// What waited for the end of a response.
    pub(super) fn feed_backlog(&self) -> Result<()> {
        if self.feeding.get() || self.mode.get() == Mode::Closed || self.is_busy() {
            return Ok(());
        }
        let data = std::mem::take(&mut *self.backlog.borrow_mut());
        if data.len() < HIGH_WATER {
            self.resume_reading()?;
        }
        if data.is_empty() { Ok(()) } else { self.received(&data) }
    }

    fn feed(&self, mut input: &[u8]) -> Result<()> {
        self.feeding.set(true);
        let outcome = self.feed_all(&mut input);
        self.feeding.set(false);
        outcome?;
        if !input.is_empty() {
            return self.keep_front(input);
        }
        // What there was too much of was read, and who was to take it has answered.
        let between_requests = matches!(self.mode.get(), Mode::Http | Mode::Draining);
        let waits = self.exchange.is_some() || !self.backlog.borrow().is_empty();
        if self.read_paused.get() && between_requests && !waits {
            return self.resume_reading();
        }
        Ok(())
    }

    /// What is left goes before what came while it was read.
    fn keep_front(&self, rest: &[u8]) -> Result<()> {
        match self.mode.get() {
            Mode::WebSocket => return self.websocket_received(rest),
            Mode::Lingering => return self.discard(rest.len()),
            Mode::Closed | Mode::Http2 => return Ok(()),
            Mode::Http | Mode::Draining => {}
        }
        let mut backlog = self.backlog.borrow_mut();
        let later = std::mem::take(&mut *backlog);
        backlog.extend_from_slice(rest);
        backlog.extend_from_slice(&later);
        let full = backlog.len() >= HIGH_WATER;
        drop(backlog);
        if full { self.pause_reading() } else { Ok(()) }
    }

    fn feed_all(&self, input: &mut &[u8]) -> Result<()> {
        loop {
            // Taken out: reading runs no code of the application's, but may run finalizers.
            let Some(mut reader) = self.reader.take() else { return Ok(()) };
            let step = self.read(&mut reader, input);
            let partial = reader.has_partial_head();
            self.reader.set(Some(reader));
            match step? {
                Step::Rejected(reject) => {
                    *input = &[];
                    return self.reject(&reject);
                }
                Step::Refused(refusal) => {
                    *input = &[];
                    return self.refuse(&refusal);
                }
                Step::Upgraded => return self.upgrade(),
                Step::NeedMore | Step::Plain => {
                    self.start_application()?;
                    return self.await_more(partial);
                }
                Step::End => {
                    self.start_application()?;
                    if self.exchange.is_some() || self.mode.get() != Mode::Http {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Reads events up to the end of a request. Runs no Python code of the application's.
    fn read(&self, reader: &mut RequestReader, input: &mut &[u8]) -> Result<Step> {
        loop {
            let mut rest = *input;
            let step = match reader.next(&mut rest) {
                Ok(Some(event)) => self.take(&event)?,
                Ok(None) => Some(Step::NeedMore),
                Err(reject) => Some(Step::Rejected(reject)),
            };
            *input = &input[input.len() - rest.len()..];
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    /// What an event means; nothing when the next one is to be read.
    fn take(&self, event: &Event<'_>) -> Result<Option<Step>> {
        match event {
            Event::Head(head) => self.begin(head),
            Event::Body(data) => self.body(data),
            Event::Trailers(_) => Ok(None),
            Event::End => {
                self.deadlines.lift(Late::Body);
                if self.mode.get() == Mode::Draining {
                    self.mode.set(Mode::Http);
                    self.wait_for_next()?;
                }
                if let Some(exchange) = self.exchange.get() {
                    exchange.body.complete.set(true);
                }
                Ok(Some(Step::End))
            }
        }
    }

    /// The head of a request: an exchange begins.
    fn begin(&self, head: &Head<'_>) -> Result<Option<Step>> {
        let service = self.service()?;
        self.deadlines.lift(Late::KeepAlive);
        self.deadlines.lift(Late::Header);
        let limit = service.settings().limits.body_size;
        if let (Framing::Length(length), Some(limit)) = (head.framing, limit) {
            if length > limit {
                let reject = Reject { status: 413, reason: "Request body is too large." };
                return Ok(Some(Step::Rejected(reject)));
            }
        }
        if head.websocket && service.settings().ws.enabled {
            match self.begin_websocket(head)? {
                Some(Step::Plain) | None => {}
                step => return Ok(step),
            }
        }
        let exchange = super::scope::exchange_for(self, &service, head)?;
        if !matches!(head.framing, Framing::None) {
            self.body_clock.set(None);
            if let Framing::Length(length) = head.framing {
                exchange.body.length.set(Some(length));
            }
            exchange.body.continue_wanted.set(head.expects_continue);
        }
        self.exchange.set(exchange);
        Ok(None)
    }

    /// A part of a request's body.
    fn body(&self, data: &[u8]) -> Result<Option<Step>> {
        if self.mode.get() == Mode::Draining {
            self.discard(data.len())?;
            return Ok((self.mode.get() != Mode::Draining).then_some(Step::NeedMore));
        }
        let Some(exchange) = self.exchange.get() else { return Ok(None) };
        exchange.push_body(bytes(data)?);
        exchange.body.continue_wanted.set(false);
        if let Some(limit) = self.service()?.settings().limits.body_size {
            if exchange.body.size.get() > limit {
                let reject = Reject { status: 413, reason: "Request body is too large." };
                return Ok(Some(Step::Rejected(reject)));
            }
        }
        if exchange.body.held.get() >= HIGH_WATER {
            self.pause_reading()?;
        }
        Ok(None)
    }

    /// All that has come was read, and it was not the end of a request.
    fn await_more(&self, head_is_partial: bool) -> Result<()> {
        if self.mode.get() != Mode::Http {
            return Ok(());
        }
        match self.exchange.get() {
            Some(exchange) if self.read_paused.get() || exchange.body.complete.get() => Ok(()),
            Some(exchange) => self.await_body(&exchange),
            None if head_is_partial => self.head_begun(),
            None => Ok(()),
        }
    }

    /// The body has to come, at no less than the least rate: from the time that was noted on,
    /// as long as a head may take and what the bytes since then may take.
    fn await_body(&self, exchange: &Instance<Exchange>) -> Result<()> {
        let service = self.service()?;
        let settings = service.settings();
        let (rate, size) = (settings.limits.body_rate, exchange.body.size.get());
        if rate == 0 {
            return Ok(());
        }
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        let now = event_loop.now()?;
        let (since, before) = match self.body_clock.get() {
            Some(clock) => clock,
            None => {
                self.body_clock.set(Some((now, size)));
                (now, size)
            }
        };
        let grace = settings.timeouts.request_header;
        let allowed = grace + (size - before) as f64 / rate as f64;
        self.await_until(Late::Body, since + allowed)
    }

    /// A part of a head has come: the rest has to follow.
    fn head_begun(&self) -> Result<()> {
        self.deadlines.lift(Late::KeepAlive);
        if self.deadlines.is_set(Late::Header) {
            return Ok(());
        }
        let seconds = self.service()?.settings().timeouts.request_header;
        self.await_within(Late::Header, seconds)
    }

    /// The application has taken what was held of the body.
    pub(super) fn wants_body(&self) -> Result<()> {
        if self.backlog.borrow().len() < HIGH_WATER {
            self.resume_reading()?;
            if let Some(exchange) = self.exchange.get() {
                self.await_body(&exchange)?;
            }
        }
        Ok(())
    }

    /// Calls the application for a request of which enough was read; wakes it if it runs.
    fn start_application(&self) -> Result<()> {
        let Some(exchange) = self.exchange.get() else { return Ok(()) };
        if exchange.scope.is_some() {
            return super::application::start(&exchange);
        }
        if exchange.body.held.get() > 0 || exchange.body.complete.get() {
            exchange.waiters.wake()?;
        }
        Ok(())
    }

    /// Goes on with what waited, in a call of its own.
    pub(super) fn feed_backlog_soon(&self) -> Result<()> {
        if self.backlog.borrow().is_empty() {
            return self.resume_reading();
        }
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        event_loop.call_soon(&*FEED.bind(self.object())?, &[text::none_ref()])
    }
}

struct FeedBody;

impl Body for FeedBody {
    fn call(bound: &Object, _argument: &Object) -> Result<Owned> {
        if let Some(connection) = bound.exact::<Connection>() {
            connection.feed_backlog()?;
        }
        Ok(text::none())
    }
}

static FEED: Function = Function::new::<FeedBody>(c"next_request");
