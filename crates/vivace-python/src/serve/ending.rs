//! The end of a response and the end of a connection.

use vivace_http::h1::reject::{Reject, write_plain};
use vivace_http::h1::response::{CONTINUE, RequestTraits, ResponseWriter};
use vivace_http::metrics::Rejection;
use vivace_http::ws::handshake::Refusal;

use super::connection::{Connection, Mode};
use super::deadlines::Late;
use super::exchange::{Exchange, Phase};
use super::{access, metrics, response};
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::bytes::Bytes;
use crate::ffi::{Instance, Result, names};

/// Of a body that nobody wants, this much is thrown away to keep the connection.
const DRAIN: usize = 256 * 1024;

/// Of what a client sends after it was answered, this much is thrown away before the connection
/// is closed.
const LINGER: usize = 16 * 1024 * 1024;

/// How long that may take, in seconds; while draining, how long nothing may come.
const LINGER_SECONDS: f64 = 2.0;

/// How long draining may take, in seconds.
const DRAIN_SECONDS: f64 = 30.0;

/// A head that is on its way when the service ends has so many seconds to arrive.
const LAST_HEADER_SECONDS: f64 = 0.5;

/// Who has had a response within so many seconds when the service ends has so many more to send
/// the next request.
const BUSY_SECONDS: f64 = 1.0;
const NEXT_REQUEST_SECONDS: f64 = 0.5;

impl Instance<Connection> {
    /// Whether the connection ends with the response of this exchange.
    pub(super) fn closes_after(&self, exchange: &Instance<Exchange>) -> bool {
        let draining = self.service.get().is_some_and(|service| service.is_draining());
        // A client that still waits for "100 Continue" may or may not send its body.
        draining
            || self.eof.get()
            || self.last.get()
            || exchange.body.continue_wanted.get()
            || exchange.much_is_to_come(DRAIN as u64)
    }

    /// The last byte of a response was written.
    pub(super) fn response_complete(&self, exchange: &Instance<Exchange>) -> Result<()> {
        if exchange.is_stream() {
            return self.http2_response_complete(exchange);
        }
        access::log(exchange)?;
        self.deadlines.lift(Late::Request);
        let current = self.exchange.take();
        drop(current);
        self.served.set(true);
        let keep_alive = exchange.response.writer.borrow().keep_alive()
            && !self.closes_after(exchange)
            && self.mode.get() == Mode::Http;
        if exchange.body.complete.get() {
            if !keep_alive {
                return self.close();
            }
            self.wait_for_next()?;
            return if self.feeding.get() { Ok(()) } else { self.feed_backlog_soon() };
        }
        if !keep_alive {
            return self.linger();
        }
        // The client was told that the connection goes on.
        self.mode.set(Mode::Draining);
        self.discardable.set(DRAIN);
        self.await_within(Late::Body, DRAIN_SECONDS)?;
        self.await_within(Late::Close, LINGER_SECONDS)?;
        if self.feeding.get() { Ok(()) } else { self.feed_backlog_soon() }
    }

    /// Idle: the next request has its time to come.
    pub(super) fn wait_for_next(&self) -> Result<()> {
        self.deadlines.lift(Late::Close);
        let service = self.service()?;
        if service.is_draining() {
            return self.close();
        }
        self.await_within(Late::KeepAlive, service.settings().timeouts.keep_alive)
    }

    /// Bytes that nobody wants have come.
    pub(super) fn discard(&self, count: usize) -> Result<()> {
        match self.discardable.get().checked_sub(count) {
            Some(rest) => {
                self.discardable.set(rest);
                if self.mode.get() == Mode::Draining {
                    return self.await_within(Late::Close, LINGER_SECONDS);
                }
                Ok(())
            }
            None if self.mode.get() == Mode::Draining => self.linger(),
            None => self.abort(),
        }
    }

    /// Says that nothing more follows, and closes when the client has heard it.
    pub(super) fn linger(&self) -> Result<()> {
        if self.eof.get() || self.secure.get() {
            return self.close();
        }
        self.mode.set(Mode::Lingering);
        self.discardable.set(LINGER);
        self.backlog.borrow_mut().clear();
        self.deadlines.lift(Late::Body);
        self.deadlines.lift(Late::Header);
        self.await_within(Late::Close, LINGER_SECONDS)?;
        if let Some(transport) = self.transport.get() {
            transport.call_method(&asgi_names().write_eof, &[])?;
        }
        self.resume_reading()
    }

    /// Closes when everything is sent.
    pub(super) fn close(&self) -> Result<()> {
        if self.mode.get() == Mode::Closed {
            return Ok(());
        }
        self.mode.set(Mode::Closed);
        self.backlog.borrow_mut().clear();
        self.deadlines.end()?;
        let Some(transport) = self.transport.get() else { return Ok(()) };
        if self.unsent_now()? > 0 {
            self.await_within(Late::Close, self.service()?.settings().timeouts.write)?;
        }
        transport.call_method(&names().close, &[]).map(drop)
    }

    /// Closes at once; what is not sent is dropped.
    pub(super) fn abort(&self) -> Result<()> {
        self.mode.set(Mode::Closed);
        match self.transport.get() {
            Some(transport) => transport.call_method(&names().abort, &[]).map(drop),
            None => Ok(()),
        }
    }

    /// Closes in the middle of a response: what was written is sent, as far as it goes, and the
    /// client sees that the rest is missing. `reset`: a plain end would look like the right one.
    pub(super) fn cut(&self, reset: bool) -> Result<()> {
        if let Some(stream) = self.stream.get() {
            crate::transports::flush_now(&stream)?;
            if reset {
                stream.reset_on_close();
            }
        }
        self.abort()
    }

    /// The client sends no more. Whether the connection stays open for the response.
    pub(super) fn ended(&self) -> Result<bool> {
        self.eof.set(true);
        match self.mode.get() {
            Mode::Lingering | Mode::Draining | Mode::Closed | Mode::Http2 => {
                self.close()?;
                return Ok(false);
            }
            Mode::WebSocket => {
                self.websocket_ended()?;
                return Ok(false);
            }
            Mode::Http => {}
        }
        let Some(exchange) = self.exchange.get() else {
            self.close()?;
            return Ok(false);
        };
        // A half-closed connection can still be answered (RFC 9112, section 9.6); whoever asks
        // learns that the client has gone, for mostly it has.
        exchange.disconnect()?;
        Ok(!self.secure.get())
    }

    /// The service ends: an idle connection closes, another one after its response; WebSockets
    /// are closed with 1012.
    pub(super) fn drain(&self) -> Result<()> {
        self.last.set(true);
        match self.mode.get() {
            Mode::Http if self.exchange.is_some() => Ok(()),
            // It was made for a request, or has sent a part of one: closing would reset that.
            Mode::Http if self.deadlines.is_set(Late::Header) => {
                self.await_within(Late::Header, LAST_HEADER_SECONDS)
            }
            Mode::Http => self.drain_idle(),
            Mode::Draining => self.linger(),
            Mode::WebSocket => self.websocket_restart(),
            Mode::Http2 => self.http2_drain(),
            _ => Ok(()),
        }
    }

    /// Whoever has just got a response may be sending the next request, which closing would reset.
    fn drain_idle(&self) -> Result<()> {
        let Some(event_loop) = self.event_loop.get() else { return self.close() };
        let now = event_loop.now()?;
        let until = self.deadlines.time_of(Late::KeepAlive);
        let idle_since = until - self.service()?.settings().timeouts.keep_alive;
        if until.is_infinite() || now - idle_since > BUSY_SECONDS {
            return self.close();
        }
        self.await_until(Late::KeepAlive, until.min(now + NEXT_REQUEST_SECONDS))
    }

    /// `100 Continue`: the application wants the body.
    pub(super) fn send_continue(&self) -> Result<()> {
        self.write(&[Bytes::copied(CONTINUE)?])
    }

    /// A request that cannot be served: it is answered, and the connection ends.
    pub(super) fn reject(&self, reject: &Reject) -> Result<()> {
        self.service()?.count(|registry| registry.rejected(metrics::reason_of(reject.status)));
        // Too late or too much is not invalid.
        if !matches!(reject.status, 408 | 413) {
            self.service()?.log_warning("Invalid HTTP request received.")?;
        }
        self.deadlines.lift(Late::Header);
        self.deadlines.lift(Late::KeepAlive);
        if let Some(exchange) = self.exchange.take() {
            // In the middle of a body.
            self.last.set(true);
            let unanswered = exchange.phase() == Phase::Waiting;
            if unanswered {
                self.answer(reject.status, reject.reason)?;
            }
            exchange.response.phase.set(Phase::Complete);
            exchange.connection.clear();
            exchange.lost.set(true);
            exchange.disconnect()?;
            exchange.waiters.wake()?;
            return if unanswered { self.linger() } else { self.abort() };
        }
        self.answer(reject.status, reject.reason)?;
        self.linger()
    }

    /// A handshake that is wrong, or comes when there is no room: it is answered, and the connection ends.
    pub(super) fn refuse(&self, refusal: &Refusal) -> Result<()> {
        let service = self.service()?;
        if refusal.status != 503 {
            service.log_warning("Invalid WebSocket handshake received.")?;
        }
        let mut head = Vec::new();
        let traits = RequestTraits { keep_alive: false, ..RequestTraits::default() };
        let mut writer = ResponseWriter::new(traits);
        let written = writer.begin(&mut head, refusal.status).and_then(|()| {
            writer.header(&mut head, b"content-type", b"text/plain; charset=utf-8")?;
            let mut headers = refusal.headers.iter();
            headers.try_for_each(|(name, value)| {
                writer.header(&mut head, name.as_bytes(), value.as_bytes())
            })
        });
        debug_assert!(written.is_ok(), "invariant: headers of our own");
        writer.know_length(refusal.reason.len() as u64);
        service.with_defaults(|defaults| writer.finish_head(&mut head, defaults));
        head.extend_from_slice(refusal.reason.as_bytes());
        self.write(&[Bytes::copied(&head)?])?;
        self.linger()
    }

    /// A response of the server's own to what was no request for the application.
    pub(super) fn answer(&self, status: u16, text: &str) -> Result<()> {
        let service = self.service()?;
        let mut out = Vec::new();
        service.with_defaults(|defaults| write_plain(&mut out, status, text, defaults));
        self.write(&[Bytes::copied(&out)?])
    }

    /// A deadline has passed.
    pub(super) fn late(&self, late: Late) -> Result<()> {
        if self.mode.get() == Mode::Http2 {
            match late {
                Late::KeepAlive | Late::Header => return self.http2_goodbye(),
                Late::Body | Late::Request => return self.http2_late(late),
                Late::Write if !self.is_write_paused() => return self.http2_late_to_read(),
                Late::Close => return self.close(),
                Late::Write | Late::Ping => {}
            }
        }
        match late {
            Late::KeepAlive => self.close(),
            Late::Header => {
                let begun = self.head_is_partial();
                if begun {
                    let reason = Rejection::HeadTimeout;
                    self.service()?.count(|registry| registry.rejected(reason));
                    self.answer(408, "Request head took too long.")?;
                    return self.linger();
                }
                self.close()
            }
            Late::Body => self.late_body(),
            Late::Write => {
                let unsent = self.unsent_now()?;
                if unsent < self.unsent.replace(unsent) {
                    let seconds = self.service()?.settings().timeouts.write;
                    return self.await_within(Late::Write, seconds);
                }
                self.service()?.count(|registry| registry.rejected(Rejection::WriteStall));
                self.abort()
            }
            Late::Request => self.late_request(),
            Late::Ping => self.websocket_alive(),
            Late::Close => self.abort(),
        }
    }

    /// The application has so many seconds for its response.
    pub(super) fn await_application(&self, seconds: f64) -> Result<()> {
        // With HTTP/2 several run, and the first deadline is that of the one that began first.
        if self.mode.get() == Mode::Http2 && self.deadlines.is_set(Late::Request) {
            return Ok(());
        }
        self.await_within(Late::Request, seconds)
    }

    fn head_is_partial(&self) -> bool {
        let Some(reader) = self.reader.take() else { return false };
        let partial = reader.has_partial_head();
        self.reader.set(Some(reader));
        partial
    }

    fn late_body(&self) -> Result<()> {
        let Some(exchange) = self.exchange.get() else { return self.abort() };
        if exchange.phase() != Phase::Waiting {
            return self.abort();
        }
        let reject = Reject { status: 408, reason: "Request body took too long." };
        self.exchange.set(exchange);
        self.reject(&reject)
    }

    fn late_request(&self) -> Result<()> {
        let Some(exchange) = self.exchange.get() else { return Ok(()) };
        self.last.set(true);
        self.service()?.count(|registry| registry.rejected(Rejection::RequestTimeout));
        if exchange.phase() == Phase::Waiting {
            response::plain(&exchange, 503, "Request took too long.", &[])?;
        } else {
            self.abort()?;
        }
        exchange.lost.set(true);
        exchange.cancel_task().map(drop)
    }
}
