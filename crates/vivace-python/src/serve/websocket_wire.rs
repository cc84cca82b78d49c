//! The wire side of a WebSocket: the handshake, frames both ways, pings, the closing handshake.

use std::time::Duration;

use vivace_http::field::Header;
use vivace_http::h1::request::Head;
use vivace_http::h1::response::{HeadError, write_fields, write_interim};
use vivace_http::ws::deflate::Settings;
use vivace_http::ws::handshake::{Handshake, Refusal};
use vivace_http::ws::{
    CloseCode, Decoder, Encoder, Event, Keepalive, Message, Phase, Step as Alive,
};
use vivace_sys::clock::monotonic_nanoseconds;

use super::connection::{Connection, Mode};
use super::deadlines::Late;
use super::input::Step;
use super::scope;
use super::service::Service;
use super::websocket::{Content, Stage, WebSocket, content_of, start};
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::bytes::{Bytes, bytes};
use crate::ffi::{Builtin, Class, Instance, Object, Owned, Ref, Result, allocate, raise, text};

/// How long a client may take to answer a close frame, in seconds.
const CLOSE_SECONDS: f64 = 5.0;

/// The answer when there is no room for one more.
pub(super) const NO_ROOM: Refusal =
    Refusal { status: 503, headers: &[("retry-after", "1")], reason: "Service Unavailable" };

/// Bytes that come before the application has accepted, at most.
const EARLY: usize = 64 * 1024;

fn now() -> Duration {
    Duration::from_nanos(monotonic_nanoseconds())
}

impl Instance<Connection> {
    /// A request for a WebSocket: checks the handshake and prepares the application's side.
    pub(super) fn begin_websocket(&self, head: &Head<'_>) -> Result<Option<Step>> {
        let service = self.service()?;
        let ws = &service.settings().ws;
        let settings = ws.per_message_deflate.then(Settings::default);
        let headers = head.headers.iter().map(|header| (header.name, header.value));
        let handshake = match Handshake::over_http1(head.method, 1, headers, settings.as_ref()) {
            Ok(Some(handshake)) => handshake,
            Ok(None) => return Ok(Some(Step::Plain)),
            Err(refusal) => return Ok(Some(Step::Refused(refusal))),
        };
        if !service.has_room_for_websocket()? {
            return Ok(Some(Step::Refused(NO_ROOM)));
        }
        let websocket = self.prepare_websocket(&service, head, handshake, None)?;
        self.websocket.set(websocket);
        Ok(Some(Step::Upgraded))
    }

    /// The application's side of a WebSocket. `scheme`: what HTTP/2 says of it.
    pub(super) fn prepare_websocket(
        &self,
        service: &Instance<Service>,
        head: &Head<'_>,
        handshake: Handshake,
        scheme: Option<&str>,
    ) -> Result<Ref<WebSocket>> {
        let asgi = asgi_names();
        let scope = scope::common(self, service, head)?;
        if let Some(scheme) = scheme {
            super::proxy::apply_scheme(self, service, scheme, &scope)?;
        }
        text::dict_discard(&scope, &asgi.method);
        text::dict_set(&scope, &asgi.kind, &asgi.websocket)?;
        let scheme = text::dict_get(&scope, &asgi.scheme)?;
        let secure = scheme.is_some_and(|scheme| scheme.is(&asgi.https));
        text::dict_set(&scope, &asgi.scheme, if secure { &asgi.wss } else { &asgi.ws })?;
        let mut subprotocols = Vec::new();
        for name in &handshake.subprotocols {
            subprotocols.push(text::string(name)?);
        }
        text::dict_set(&scope, &asgi.subprotocols, &*text::list(subprotocols)?)?;
        text::dict_set(&scope, &asgi.extensions, &*service.websocket_extensions(self)?)?;
        let websocket = WebSocket::empty();
        *websocket.name.borrow_mut() =
            format!("{} {}", self.client_text()?, String::from_utf8_lossy(head.target));
        *websocket.handshake.borrow_mut() = Some(handshake);
        websocket.scope.set(scope);
        websocket.ties.join(service, &self.event_loop);
        websocket.connection.set(self.counted());
        let websocket = allocate(websocket)?;
        service.remember_websocket(&websocket);
        Ok(websocket)
    }

    /// What follows is not HTTP: the application is called.
    pub(super) fn upgrade(&self) -> Result<()> {
        self.mode.set(Mode::WebSocket);
        match self.websocket.get() {
            Some(websocket) => start(&websocket),
            None => Ok(()),
        }
    }

    /// Bytes have come on a WebSocket.
    pub(super) fn websocket_received(&self, data: &[u8]) -> Result<()> {
        let Some(websocket) = self.websocket.get() else { return Ok(()) };
        match websocket.stage.get() {
            Stage::Connecting => {
                self.backlog.borrow_mut().extend_from_slice(data);
                if self.backlog.borrow().len() > EARLY { self.pause_reading() } else { Ok(()) }
            }
            Stage::Denied => Ok(()),
            Stage::Open | Stage::Closed => websocket.received(data),
        }
    }

    /// The client sends no more.
    pub(super) fn websocket_ended(&self) -> Result<()> {
        // connection_lost() tells the application.
        self.close()
    }

    /// The server ends.
    pub(super) fn websocket_restart(&self) -> Result<()> {
        if let Some(websocket) = self.websocket.get() {
            websocket.restart()?;
        }
        self.http2_websockets().iter().try_for_each(|websocket| websocket.restart())
    }

    /// The next ping is due, or an answer to one is overdue.
    pub(super) fn websocket_alive(&self) -> Result<()> {
        if self.mode.get() == Mode::Http2 {
            return self.http2_websockets_alive();
        }
        let Some(websocket) = self.websocket.get() else { return Ok(()) };
        match websocket.next_ping()? {
            Some(seconds) => self.await_within(Late::Ping, seconds),
            None => Ok(()),
        }
    }
}

impl Instance<WebSocket> {
    /// Sends a ping if it is due, or gives up a client that has not answered one. How many seconds
    /// there are until the next look.
    pub(super) fn next_ping(&self) -> Result<Option<f64>> {
        loop {
            let step = match &mut *self.wire.keepalive.borrow_mut() {
                Some(keepalive) => keepalive.step(now()),
                None => return Ok(None),
            };
            match step {
                Alive::Wait(until) => {
                    return Ok(Some(until.saturating_sub(now()).as_secs_f64()));
                }
                Alive::Ping(payload) => {
                    let mut out = Vec::new();
                    self.wire.encoder.borrow().ping(&payload, &mut out);
                    self.write_frames(&out)?;
                }
                Alive::TimedOut => {
                    let reason = "keepalive ping timeout";
                    self.begin_closing(Some(CloseCode::INTERNAL_ERROR), reason)?;
                    return self.end().map(|()| None);
                }
            }
        }
    }

    /// The server ends.
    fn restart(&self) -> Result<()> {
        if self.stage.get() != Stage::Open {
            return Ok(());
        }
        let mut out = Vec::new();
        self.wire.closing.borrow_mut().restart(&mut out);
        self.write_frames(&out)?;
        self.await_end()
    }

    fn write_frames(&self, out: &[u8]) -> Result<()> {
        if out.is_empty() { Ok(()) } else { self.write(&[Bytes::copied(out)?]) }
    }

    fn write(&self, pieces: &[Bytes]) -> Result<()> {
        let Some(connection) = self.connection.get() else { return Ok(()) };
        match self.on_stream.id() {
            Some(stream) => connection.http2_write_websocket(stream, pieces),
            None => connection.write(pieces),
        }
    }

    /// The closing handshake is over, or there will be none.
    pub(super) fn end(&self) -> Result<()> {
        let Some(connection) = self.connection.get() else { return Ok(()) };
        match self.on_stream.id() {
            Some(stream) => connection.http2_end_websocket(stream),
            None => connection.close(),
        }
    }

    /// The client has some seconds to answer a close frame.
    fn await_end(&self) -> Result<()> {
        let Some(connection) = self.connection.get() else { return Ok(()) };
        match self.on_stream.id() {
            Some(_) => connection.http2_await_end(self, CLOSE_SECONDS),
            None => connection.await_within(Late::Close, CLOSE_SECONDS),
        }
    }

    /// The client may send more.
    fn resume(&self) -> Result<()> {
        let Some(connection) = self.connection.get() else { return Ok(()) };
        match self.on_stream.id() {
            Some(_) => connection.http2_resume_websocket(self),
            None => connection.resume_reading(),
        }
    }

    /// Answers the handshake: the WebSocket is open.
    pub(super) fn accept(&self, subprotocol: Option<&str>, extra: &[(Bytes, Bytes)]) -> Result<()> {
        let Some(connection) = self.connection.get() else { return Ok(()) };
        let service = self.service()?;
        let handshake = self.handshake.borrow_mut().take();
        let Some(handshake) = handshake else { return Ok(()) };
        let mut out = Vec::new();
        let written = service.with_defaults(|defaults| {
            let own = handshake.response_headers(subprotocol);
            let own = own.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            let given = extra.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
            let missing = [(&b"date"[..], defaults.date), (&b"server"[..], defaults.server)]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .filter(|(name, _)| {
                    !extra.iter().any(|(said, _)| said.as_slice().eq_ignore_ascii_case(name))
                });
            let fields: Vec<Header<'_>> = (own.chain(given).chain(missing))
                .map(|(name, value)| Header { name, value })
                .collect();
            match self.on_stream.id() {
                Some(_) => write_fields(&mut out, fields)?,
                None => write_interim(&mut out, handshake.status(), fields)?,
            }
            // Whole lines, as those of `fields`; before the empty line that ends a head.
            let end = if self.on_stream.id().is_some() { out.len() } else { out.len() - 2 };
            out.splice(end..end, defaults.extra.iter().copied());
            Ok::<_, HeadError>(())
        });
        if let Err(error) = written {
            *self.handshake.borrow_mut() = Some(handshake);
            return Err(raise(Builtin::Value, &error.to_string()));
        }
        let ws = &service.settings().ws;
        let deflate = handshake.deflate.as_ref();
        self.wire.decoder.set(Some(Box::new(Decoder::new(ws.max_size, deflate))));
        *self.wire.encoder.borrow_mut() = Encoder::new(deflate);
        if let Some(interval) = ws.ping_interval.filter(|interval| *interval > 0.0) {
            let timeout = ws.ping_timeout.map(Duration::from_secs_f64);
            let interval = Duration::from_secs_f64(interval);
            *self.wire.keepalive.borrow_mut() = Some(Keepalive::new(interval, timeout, now()));
        }
        self.stage.set(Stage::Open);
        let early = match self.on_stream.id() {
            Some(stream) => {
                connection.http2_accept_websocket(stream, handshake.status(), &out)?;
                self.on_stream.take_early()
            }
            None => {
                self.write_frames(&out)?;
                std::mem::take(&mut *connection.backlog.borrow_mut())
            }
        };
        connection.websocket_alive()?;
        if !early.is_empty() {
            self.received(&early)?;
        }
        if self.is_full()? { Ok(()) } else { self.resume() }
    }

    /// `websocket.send`.
    pub(super) fn send_message(&self, message: &Object) -> Result<()> {
        if self.wire.closing.borrow().phase() != Phase::Open {
            return Ok(());
        }
        let service = self.service()?;
        let mut out = Vec::new();
        match content_of(message)? {
            Content::Binary(data) => {
                let message = Message::Binary(data.as_slice());
                let head = {
                    let encoder = self.wire.encoder.borrow();
                    encoder.plain_head(message.kind(), data.as_slice().len())
                };
                if let (Some(head), true) = (head, data.as_slice().len() >= COPY_UP_TO) {
                    return self.write(&[Bytes::copied(&head)?, data]);
                }
                service.with_pool(|pool| {
                    self.wire.encoder.borrow_mut().message(message, pool, &mut out);
                });
            }
            Content::Text(content) => text::with_str(&content, |content| {
                service.with_pool(|pool| {
                    let message = Message::Text(content);
                    self.wire.encoder.borrow_mut().message(message, pool, &mut out);
                });
            })?,
        }
        self.write_frames(&out)
    }

    /// Sends a close frame, and waits for the other one.
    pub(super) fn begin_closing(&self, code: Option<CloseCode>, reason: &str) -> Result<()> {
        let Some(connection) = self.connection.get() else { return Ok(()) };
        let mut out = Vec::new();
        self.wire.closing.borrow_mut().begin(code, reason, &mut out);
        self.write_frames(&out)?;
        *self.wire.keepalive.borrow_mut() = None;
        if self.on_stream.id().is_none() {
            connection.deadlines.lift(Late::Ping);
        }
        self.resume()?;
        self.await_end()
    }

    /// Bytes have come.
    pub(super) fn received(&self, mut data: &[u8]) -> Result<()> {
        let service = self.service()?;
        loop {
            // Taken out: making objects may run finalizers, which may be anything.
            let Some(mut decoder) = self.wire.decoder.take() else { return Ok(()) };
            let mut out = Vec::new();
            let outcome = service.with_pool(|pool| match decoder.next_event(&mut data, pool) {
                Ok(Some(event)) => self.take(event, &mut out).map(|()| true),
                Ok(None) => Ok(false),
                Err(failure) => {
                    self.wire.closing.borrow_mut().fail(&failure, &mut out);
                    Ok(false)
                }
            });
            self.wire.decoder.set(Some(decoder));
            self.write_frames(&out)?;
            if self.wire.closing.borrow().phase() == Phase::Done {
                self.waiters.wake()?;
                return self.end();
            }
            if !outcome? {
                break;
            }
        }
        if !self.queue.borrow().is_empty() {
            self.waiters.wake()?;
        }
        match self.connection.get() {
            Some(connection) if self.is_full()? && self.on_stream.id().is_none() => {
                connection.pause_reading()
            }
            _ => Ok(()),
        }
    }

    /// Whether the client has to wait until the application has taken a message.
    pub(super) fn is_full(&self) -> Result<bool> {
        let most = self.service()?.settings().ws.max_queue.max(1);
        Ok(self.stage.get() == Stage::Open && self.queue.borrow().len() >= most)
    }

    /// What an event means.
    fn take(&self, event: Event<'_>, out: &mut Vec<u8>) -> Result<()> {
        match event {
            Event::Message(message) => {
                if self.stage.get() == Stage::Open {
                    let message = receive_message(message)?;
                    self.queue.borrow_mut().push_back(message);
                }
            }
            Event::Ping(payload) => {
                if self.wire.closing.borrow().phase() == Phase::Open {
                    self.wire.encoder.borrow().pong(payload, out);
                }
            }
            Event::Pong(payload) => {
                if let Some(keepalive) = &mut *self.wire.keepalive.borrow_mut() {
                    keepalive.pong(payload);
                }
                if let Some(connection) = self.connection.get() {
                    // With the answer there the next step is another one.
                    connection.await_within(Late::Ping, 0.0)?;
                }
            }
            Event::Close(frame) => self.wire.closing.borrow_mut().receive(frame, out),
        }
        Ok(())
    }

    /// The application has taken a message.
    pub(super) fn took_message(&self) -> Result<()> {
        if self.is_full()? { Ok(()) } else { self.resume() }
    }
}

/// From this size on a message is sent behind its head instead of being copied.
const COPY_UP_TO: usize = 16 * 1024;

fn receive_message(message: Message<'_>) -> Result<Owned> {
    let names = asgi_names();
    let dict = text::dict()?;
    text::dict_set(&dict, &names.kind, &names.websocket_receive)?;
    match message {
        Message::Text(content) => {
            text::dict_set(&dict, &names.text, &*text::string(content)?)?;
        }
        Message::Binary(content) => {
            text::dict_set(&dict, &names.bytes, &*bytes(content)?)?;
        }
    }
    Ok(dict)
}
