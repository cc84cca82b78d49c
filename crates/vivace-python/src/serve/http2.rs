//! A connection that speaks HTTP/2: many requests at once, each an [`Exchange`] of its own.
//!
//! What came in one piece is looked at as a whole before any application is called, and what all
//! of them answer at once leaves in one piece.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;

use vivace_http::h1::reject::Reject;
use vivace_http::h1::request::Framing;
use vivace_http::h1::response::{RequestTraits, ResponseWriter};
use vivace_http::h2::PREFACE;
use vivace_http::h2::connection::{Content, Event, Reason, ServerConnection};
use vivace_http::h2::limits::Limits;
use vivace_http::h2::request::Request;

use super::connection::{Connection, Mode};
use super::deadlines::Late;
use super::exchange::{Exchange, Phase};
use super::websocket::{Stage, WebSocket};
use super::{access, metrics, response};
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::bytes::{Bytes, bytes};
use crate::ffi::function::{Body, Function};
use crate::ffi::slot::Counted;
use crate::ffi::{Instance, Object, Owned, Ref, Result, Visitor, text};

/// Of bytes that wait until the client reads its answers, this many are kept.
const HIGH_WATER: usize = 64 * 1024;

/// How long the end of a connection may take that nobody uses, in seconds.
const END_SECONDS: f64 = 2.0;

/// What a connection has more when it speaks HTTP/2.
#[derive(Default)]
pub(super) struct Http2(OnceCell<Box<Streams>>);

pub(super) struct Streams {
    wire: RefCell<ServerConnection>,
    limits: Limits,
    /// When bytes came last, by the loop's clock.
    heard: Cell<f64>,
    pub(super) exchanges: RefCell<HashMap<u32, Ref<Exchange>>>,
    pub(super) websockets: RefCell<HashMap<u32, Ref<WebSocket>>>,
    /// Output is being made: who adds to it need not send it.
    running: Cell<bool>,
}

/// What a request has become.
enum Begun {
    Exchange(Ref<Exchange>),
    WebSocket(Ref<WebSocket>),
}

impl Http2 {
    pub(super) fn streams(&self) -> Option<&Streams> {
        self.0.get().map(|streams| &**streams)
    }

    fn exchanges(&self) -> Vec<Ref<Exchange>> {
        let Some(streams) = self.streams() else { return Vec::new() };
        streams.exchanges.borrow().values().cloned().collect()
    }

    pub(super) fn traverse(&self, visitor: &mut Visitor) {
        let Some(streams) = self.streams() else { return };
        if let Ok(exchanges) = streams.exchanges.try_borrow() {
            exchanges.values().for_each(|exchange| visitor.object(exchange.as_object()));
        }
        if let Ok(websockets) = streams.websockets.try_borrow() {
            websockets.values().for_each(|websocket| visitor.object(websocket.as_object()));
        }
    }

    pub(super) fn clear(&self) {
        let Some(streams) = self.streams() else { return };
        let exchanges = std::mem::take(&mut *streams.exchanges.borrow_mut());
        drop(exchanges);
        let websockets = std::mem::take(&mut *streams.websockets.borrow_mut());
        drop(websockets);
    }
}

impl Streams {
    fn exchange(&self, stream: u32) -> Option<Ref<Exchange>> {
        self.exchanges.borrow().get(&stream).cloned()
    }

    fn forget(&self, stream: u32) -> Option<Ref<Exchange>> {
        self.exchanges.borrow_mut().remove(&stream)
    }

    fn websocket(&self, stream: u32) -> Option<Ref<WebSocket>> {
        self.websockets.borrow().get(&stream).cloned()
    }

    pub(super) fn forget_websocket(&self, stream: u32) -> Option<Ref<WebSocket>> {
        self.websockets.borrow_mut().remove(&stream)
    }

    fn is_idle(&self) -> bool {
        self.exchanges.borrow().is_empty() && self.wire.borrow().open_streams() == 0
    }

    pub(super) fn with<R>(&self, body: impl FnOnce(&mut ServerConnection) -> R) -> R {
        body(&mut self.wire.borrow_mut())
    }
}

impl Instance<Connection> {
    /// Whether the client has chosen HTTP/2 while TLS began; `channel` is `None` without TLS.
    pub(super) fn http2_was_agreed(&self, channel: &Object) -> Result<bool> {
        if channel.is_none() {
            return Ok(false);
        }
        let chosen = channel.call_method(&*text::interned("selected_alpn_protocol")?, &[])?;
        Ok(text::is_str(&chosen) && text::to_string_lossy(&chosen) == "h2")
    }

    /// The first bytes of a connection without TLS: whether they were taken, since they are the
    /// preface of HTTP/2 or may become it.
    pub(super) fn http2_begins(&self, data: &[u8]) -> Result<bool> {
        let first = {
            let mut backlog = self.backlog.borrow_mut();
            backlog.extend_from_slice(data);
            let known = backlog.len().min(PREFACE.len());
            if backlog[..known] != PREFACE[..known] {
                // HTTP/1.1; the bytes before these are in the backlog.
                let before = backlog.len() - data.len();
                backlog.truncate(before);
                self.undecided.set(false);
                return Ok(false);
            }
            if known < PREFACE.len() {
                return Ok(true);
            }
            std::mem::take(&mut *backlog)
        };
        self.undecided.set(false);
        self.http2_start()?;
        self.http2_received(&first)?;
        Ok(true)
    }

    /// From now on the bytes are HTTP/2.
    pub(super) fn http2_start(&self) -> Result<()> {
        let service = self.service()?;
        let settings = &service.settings().limits;
        let defaults = Limits::default();
        let limits = Limits {
            header_list_size: u32::try_from(settings.header_size).unwrap_or(u32::MAX),
            headers: settings.headers,
            websockets: service.settings().ws.enabled,
            ..defaults
        };
        let streams = Streams {
            wire: RefCell::new(ServerConnection::new(&limits)),
            limits,
            heard: Cell::new(self.event_loop.get().map_or(Ok(0.0), |running| running.now())?),
            exchanges: RefCell::default(),
            websockets: RefCell::default(),
            running: Cell::new(false),
        };
        if self.http2.0.set(Box::new(streams)).is_ok() {
            self.mode.set(Mode::Http2);
            let template = self.template.get_or_none();
            text::dict_set(&template, &asgi_names().http_version, &*text::interned("2")?)?;
        }
        Ok(())
    }

    /// Bytes have come.
    pub(super) fn http2_received(&self, data: &[u8]) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        let now = event_loop.now()?;
        let elapsed = now - streams.heard.replace(now);
        streams.with(|wire| {
            wire.pass(elapsed);
            wire.receive(data);
        });
        self.http2_run()
    }

    /// Does what there is to do, and sends what there is to be sent.
    pub(super) fn http2_run(&self) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        if streams.running.replace(true) {
            return Ok(());
        }
        let outcome = self.http2_run_all(streams);
        streams.running.set(false);
        outcome?;
        self.http2_after(streams)
    }

    /// Sends what was said, unless it is said while everything is looked at. What else has
    /// happened is seen in a turn of its own: not inside of an application.
    pub(super) fn http2_flush(&self) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        if streams.running.get() {
            return Ok(());
        }
        let mut out = Vec::new();
        loop {
            streams.with(ServerConnection::advance);
            if self.is_write_paused() {
                break;
            }
            let more = streams.with(|wire| wire.take_output(&mut out));
            self.http2_write(&mut out)?;
            if !more {
                break;
            }
        }
        if streams.wire.borrow().has_events() {
            let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
            event_loop.call_soon(&*RUN.bind(self.object())?, &[text::none_ref()])?;
            return Ok(());
        }
        self.http2_after(streams)
    }

    fn http2_write(&self, out: &mut Vec<u8>) -> Result<()> {
        if !out.is_empty() && self.mode.get() != Mode::Closed {
            self.write(&[Bytes::copied(out)?])?;
        }
        out.clear();
        Ok(())
    }

    fn http2_run_all(&self, streams: &Streams) -> Result<()> {
        let mut out = Vec::new();
        loop {
            streams.with(ServerConnection::advance);
            let any = self.http2_events(streams)?;
            if any {
                // What was answered leaves with what else there is.
                continue;
            }
            if self.is_write_paused() {
                return Ok(());
            }
            let more = streams.with(|wire| wire.take_output(&mut out));
            self.http2_write(&mut out)?;
            if !more {
                return Ok(());
            }
        }
    }

    /// Tells the applications of what has happened; whether anything has.
    fn http2_events(&self, streams: &Streams) -> Result<bool> {
        let mut any = false;
        let mut begun = Vec::new();
        let mut opened = Vec::new();
        let mut told: Vec<Ref<Exchange>> = Vec::new();
        while let Some(event) = streams.with(ServerConnection::next_event) {
            any = true;
            match event {
                Event::Request(request) => match self.http2_request(streams, &request)? {
                    Some(Begun::Exchange(exchange)) => begun.push(exchange),
                    Some(Begun::WebSocket(websocket)) => opened.push(websocket),
                    None => {}
                },
                Event::Data { stream, data } => {
                    let size = data.len();
                    if let Some(websocket) = streams.websocket(stream) {
                        self.http2_websocket_received(&websocket, &data)?;
                        continue;
                    }
                    let Some(exchange) = streams.exchange(stream) else {
                        streams.with(|wire| wire.release(stream, size));
                        continue;
                    };
                    exchange.push_body(bytes(&data)?);
                    exchange.body.continue_wanted.set(false);
                    if self.http2_too_large(&exchange)? {
                        continue;
                    }
                    told.push(exchange);
                }
                Event::End { stream } => {
                    if let Some(websocket) = streams.websocket(stream) {
                        // A response that denies it goes on.
                        if websocket.stage.get() != Stage::Denied {
                            self.http2_end_websocket(stream)?;
                        }
                        continue;
                    }
                    let Some(exchange) = streams.exchange(stream) else { continue };
                    exchange.body.complete.set(true);
                    told.push(exchange);
                }
                Event::Reset { stream, reason: _ } => {
                    if let Some(websocket) = streams.forget_websocket(stream) {
                        websocket.lose()?;
                    }
                    if let Some(exchange) = streams.forget(stream) {
                        exchange.lose()?;
                        access::log_aborted(&exchange)?;
                    }
                }
                Event::Room { stream } => {
                    if let Some(exchange) = streams.exchange(stream) {
                        exchange.waiters.wake()?;
                    }
                    if let Some(websocket) = streams.websocket(stream) {
                        websocket.waiters.wake()?;
                    }
                }
            }
        }
        for exchange in begun {
            super::application::start(&exchange)?;
            if !exchange.body.complete.get() {
                self.http2_await(Late::Body)?;
            }
        }
        for websocket in opened {
            super::websocket::start(&websocket)?;
        }
        for exchange in told {
            exchange.waiters.wake()?;
        }
        Ok(any)
    }

    /// The head of a request: an exchange begins.
    fn http2_request(&self, streams: &Streams, request: &Request) -> Result<Option<Begun>> {
        let service = self.service()?;
        self.deadlines.lift(Late::KeepAlive);
        self.deadlines.lift(Late::Header);
        let stream = request.stream;
        let head = match request.head(&streams.limits) {
            Ok(head) => head,
            Err(reject) => {
                service.log_warning("Invalid HTTP request received.")?;
                return self.http2_reject(stream, &reject).map(|()| None);
            }
        };
        match request.protocol() {
            Some("websocket") if service.settings().ws.enabled => {
                let websocket = self.http2_begin_websocket(streams, request, &head)?;
                return Ok(websocket.map(Begun::WebSocket));
            }
            Some(_) => {
                let reject = Reject { status: 501, reason: "This protocol is not spoken here." };
                return self.http2_reject(stream, &reject).map(|()| None);
            }
            None => {}
        }
        let limit = service.settings().limits.body_size;
        if let (Framing::Length(length), Some(limit)) = (head.framing, limit) {
            if length > limit {
                let reject = Reject { status: 413, reason: "Request body is too large." };
                return self.http2_reject(stream, &reject).map(|()| None);
            }
        }
        let exchange = super::scope::exchange_for(self, &service, &head)?;
        if let (Some(scheme), Some(scope)) = (request.scheme(), exchange.scope.get()) {
            super::proxy::apply_scheme(self, &service, scheme, &scope)?;
        }
        exchange.stream.set(stream);
        exchange.body.complete.set(request.ends);
        exchange.body.continue_wanted.set(head.expects_continue);
        let before = streams.exchanges.borrow_mut().insert(stream, exchange.clone());
        drop(before);
        Ok(Some(Begun::Exchange(exchange)))
    }

    fn http2_reject(&self, stream: u32, reject: &Reject) -> Result<()> {
        self.service()?.count(|registry| registry.rejected(metrics::reason_of(reject.status)));
        self.http2_answer(stream, reject.status, &[], reject.reason)
    }

    /// A response of the server's own to what was no request for the application.
    pub(super) fn http2_answer(
        &self,
        stream: u32,
        status: u16,
        headers: &[(&str, &str)],
        text: &'static str,
    ) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        let mut lines = Vec::new();
        let traits = RequestTraits { http2: true, ..RequestTraits::default() };
        let mut writer = ResponseWriter::new(traits);
        let written = writer.begin(&mut lines, status).and_then(|()| {
            writer.header(&mut lines, b"content-type", b"text/plain; charset=utf-8")?;
            let mut headers = headers.iter();
            headers.try_for_each(|(name, value)| {
                writer.header(&mut lines, name.as_bytes(), value.as_bytes())
            })
        });
        debug_assert!(written.is_ok(), "invariant: headers of our own");
        writer.know_length(text.len() as u64);
        self.service()?.with_defaults(|defaults| writer.finish_head(&mut lines, defaults));
        streams.with(|wire| {
            wire.respond(stream, status, &lines, false);
            wire.send(stream, text.into(), true);
        });
        Ok(())
    }

    /// Refuses the rest of a body that is larger than it may be; whether it is.
    fn http2_too_large(&self, exchange: &Instance<Exchange>) -> Result<bool> {
        let limit = self.service()?.settings().limits.body_size;
        if limit.is_none_or(|limit| exchange.body.size.get() <= limit) {
            return Ok(false);
        }
        self.http2_refuse(exchange, 413, "Request body is too large.")?;
        Ok(true)
    }

    /// Ends a request that the client does not send as it should.
    fn http2_refuse(&self, exchange: &Instance<Exchange>, status: u16, reason: &str) -> Result<()> {
        self.service()?.count(|registry| registry.rejected(metrics::reason_of(status)));
        if exchange.phase() == Phase::Waiting {
            response::plain(exchange, status, reason, &[])?;
        } else {
            self.http2_abort(exchange)?;
        }
        exchange.lose()
    }

    /// After all that was done: how long what may take now, and whether to listen on.
    fn http2_after(&self, streams: &Streams) -> Result<()> {
        if matches!(self.mode.get(), Mode::Closed | Mode::Lingering) {
            return Ok(());
        }
        if streams.wire.borrow().is_closed() {
            for exchange in self.http2.exchanges() {
                drop(streams.forget(exchange.stream.get()));
                exchange.lose()?;
                access::log_aborted(&exchange)?;
            }
            self.http2_lose_websockets(streams)?;
            let at_fault = streams.wire.borrow().ended_by_fault();
            return if at_fault { self.linger() } else { self.close() };
        }
        if streams.wire.borrow().unread() >= HIGH_WATER {
            self.pause_reading()?;
        } else {
            self.resume_reading()?;
        }
        let service = self.service()?;
        let timeouts = &service.settings().timeouts;
        if streams.is_idle() {
            if self.last.get() {
                return self.await_within(Late::Close, END_SECONDS);
            }
            if !self.deadlines.is_set(Late::KeepAlive) && !self.deadlines.is_set(Late::Header) {
                return self.await_within(Late::KeepAlive, timeouts.keep_alive);
            }
            return Ok(());
        }
        if streams.wire.borrow().has_waiting() && !self.deadlines.is_set(Late::Write) {
            self.await_within(Late::Write, timeouts.write)?;
        }
        Ok(())
    }

    /// Sends the head of a response if it is given, content, and the end.
    pub(super) fn http2_send(
        &self,
        exchange: &Exchange,
        head: Option<&[u8]>,
        content: &[u8],
        ends: bool,
    ) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        let stream = exchange.stream.get();
        streams.with(|wire| {
            if let Some(lines) = head {
                let alone = ends && content.is_empty();
                wire.respond(stream, exchange.response.status.get(), lines, alone);
                if alone {
                    return;
                }
            }
            if ends || !content.is_empty() {
                let content = Content::copy_from_slice(content);
                wire.send(stream, content, ends);
            }
        });
        self.http2_flush()
    }

    pub(super) fn http2_send_trailers(&self, exchange: &Exchange, lines: &[u8]) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        streams.with(|wire| wire.send_trailers(exchange.stream.get(), lines));
        self.http2_flush()
    }

    pub(super) fn http2_inform(
        &self,
        exchange: &Exchange,
        status: u16,
        lines: &[u8],
    ) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        streams.with(|wire| wire.inform(exchange.stream.get(), status, lines));
        self.http2_flush()
    }

    /// The application has read so much: the client may send as much again.
    pub(super) fn http2_release(&self, exchange: &Exchange, size: usize) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        streams.with(|wire| wire.release(exchange.stream.get(), size));
        if size >= streams.limits.stream_window as usize / 2 {
            // It may have had to wait for us.
            exchange.body.clock.set(None);
        }
        if !self.deadlines.is_set(Late::Body) {
            self.http2_await(Late::Body)?;
        }
        self.http2_flush()
    }

    /// Whether the client's windows have room for more of this response.
    pub(super) fn http2_has_room(&self, stream: u32) -> bool {
        let Some(streams) = self.http2.streams() else { return true };
        streams.with(|wire| wire.waiting(stream) == 0)
    }

    /// The response cannot be ended as it was begun.
    pub(super) fn http2_abort(&self, exchange: &Instance<Exchange>) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        let stream = exchange.stream.get();
        streams.with(|wire| wire.reset(stream, Reason::INTERNAL_ERROR));
        drop(streams.forget(stream));
        exchange.lose()?;
        access::log_aborted(exchange)?;
        if let Some(websocket) = streams.forget_websocket(stream) {
            websocket.lose()?;
        }
        self.http2_flush()
    }

    /// The last byte of a response was handed on.
    pub(super) fn http2_response_complete(&self, exchange: &Instance<Exchange>) -> Result<()> {
        access::log(exchange)?;
        self.served.set(true);
        if let Some(streams) = self.http2.streams() {
            drop(streams.forget(exchange.stream.get()));
            drop(streams.forget_websocket(exchange.stream.get()));
            if !streams.running.get() {
                return self.http2_after(streams);
            }
        }
        Ok(())
    }

    /// There is room on the connection again.
    pub(super) fn http2_resume(&self) -> Result<()> {
        for exchange in self.http2.exchanges() {
            exchange.waiters.wake()?;
        }
        for websocket in self.http2_websockets() {
            websocket.waiters.wake()?;
        }
        self.http2_run()
    }

    /// The connection is lost.
    pub(super) fn http2_lose(&self) -> Result<()> {
        for exchange in self.http2.exchanges() {
            exchange.lose()?;
            access::log_aborted(&exchange)?;
        }
        if let Some(streams) = self.http2.streams() {
            self.http2_lose_websockets(streams)?;
        }
        self.http2.clear();
        Ok(())
    }

    fn http2_lose_websockets(&self, streams: &Streams) -> Result<()> {
        for websocket in self.http2_websockets() {
            drop(websocket.on_stream.id().and_then(|stream| streams.forget_websocket(stream)));
            websocket.lose()?;
        }
        Ok(())
    }

    /// No new requests; the connection ends after the last response.
    pub(super) fn http2_drain(&self) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        self.websocket_restart()?;
        streams.with(ServerConnection::drain);
        self.http2_flush()
    }

    /// Nobody uses the connection: it ends, and says so.
    pub(super) fn http2_goodbye(&self) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        streams.with(|wire| wire.close(Reason::NO_ERROR));
        self.http2_run()?;
        self.close()
    }

    /// The client takes nothing of what waits for it: those streams end.
    pub(super) fn http2_late_to_read(&self) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        if streams.with(ServerConnection::reset_stalled) {
            let seconds = self.service()?.settings().timeouts.write;
            self.await_within(Late::Write, seconds)?;
        }
        self.http2_run()
    }

    /// A body, or an application, is late.
    pub(super) fn http2_late(&self, late: Late) -> Result<()> {
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        let now = event_loop.now()?;
        for exchange in self.http2.exchanges() {
            let Some(at) = self.http2_deadline(&exchange, late)? else { continue };
            if at > now {
                continue;
            }
            if late == Late::Body {
                self.http2_refuse(&exchange, 408, "Request body took too long.")?;
                continue;
            }
            self.http2_refuse(&exchange, 503, "Request took too long.")?;
            exchange.cancel_task()?;
        }
        self.http2_await(late)?;
        self.http2_run()
    }

    /// Sets a deadline to the first one of all requests.
    fn http2_await(&self, late: Late) -> Result<()> {
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        let mut first = f64::INFINITY;
        for exchange in self.http2.exchanges() {
            if let Some(at) = self.http2_deadline(&exchange, late)? {
                first = first.min(at);
            }
        }
        if first.is_finite() {
            return self.await_within(late, (first - event_loop.now()?).max(0.0));
        }
        self.deadlines.lift(late);
        Ok(())
    }

    /// When a request is late, if it can be.
    fn http2_deadline(&self, exchange: &Exchange, late: Late) -> Result<Option<f64>> {
        let service = self.service()?;
        let settings = service.settings();
        let Some(event_loop) = self.event_loop.get() else { return Ok(None) };
        if late == Late::Request {
            let elapsed = vivace_sys::clock::monotonic_nanoseconds()
                .saturating_sub(exchange.begun.get()) as f64
                / 1e9;
            let now = event_loop.now()?;
            return Ok(settings.timeouts.request.map(|seconds| now + seconds - elapsed));
        }
        let rate = settings.limits.body_rate;
        // The client is not late while we do not let it send.
        if rate == 0 || exchange.body.complete.get() || exchange.body.held.get() > 0 {
            exchange.body.clock.set(None);
            return Ok(None);
        }
        let size = exchange.body.size.get();
        let (since, before) = match exchange.body.clock.get() {
            Some(clock) => clock,
            None => {
                let clock = (event_loop.now()?, size);
                exchange.body.clock.set(Some(clock));
                clock
            }
        };
        Ok(Some(since + settings.timeouts.request_header + (size - before) as f64 / rate as f64))
    }
}

struct RunBody;

impl Body for RunBody {
    fn call(bound: &Object, _argument: &Object) -> Result<Owned> {
        if let Some(connection) = bound.exact::<Connection>() {
            connection.http2_run()?;
        }
        Ok(text::none())
    }
}

static RUN: Function = Function::new::<RunBody>(c"http2_run");
