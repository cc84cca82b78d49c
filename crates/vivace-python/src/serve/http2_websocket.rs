//! WebSockets over HTTP/2 (RFC 8441): each is a stream, beside requests and others.
//!
//! What a WebSocket of HTTP/1.1 does to its connection, one of these does to its stream: it is
//! accepted with status 200, its frames are content, and it ends with the stream. Bytes that the
//! application does not take are not given back to the client's window. Pings and the end of the
//! closing handshake have one deadline of the connection, that of the first one.

use std::cell::{Cell, RefCell};

use vivace_http::h1::request::Head;
use vivace_http::h2::connection::{Content, Reason};
use vivace_http::h2::request::Request;
use vivace_http::ws::deflate::Settings;
use vivace_http::ws::handshake::Handshake;

use super::connection::Connection;
use super::deadlines::Late;
use super::exchange::Exchange;
use super::http2::Streams;
use super::websocket::{Stage, WebSocket};
use super::websocket_wire::NO_ROOM;
use crate::ffi::bytes::Bytes;
use crate::ffi::{Instance, Ref, Result};

/// What a WebSocket has more if it is on a stream.
#[derive(Default)]
pub(super) struct OnStream {
    stream: Cell<u32>,
    /// Bytes that came before the application has accepted.
    early: RefCell<Vec<u8>>,
    /// Bytes that were not given back to the client's window.
    unreleased: Cell<usize>,
    /// When it ends without the other close frame, by the loop's clock.
    end_at: Cell<Option<f64>>,
}

impl OnStream {
    /// Which stream, if any.
    #[inline]
    pub(super) fn id(&self) -> Option<u32> {
        Some(self.stream.get()).filter(|stream| *stream != 0)
    }

    pub(super) fn take_early(&self) -> Vec<u8> {
        std::mem::take(&mut *self.early.borrow_mut())
    }
}

impl Instance<Connection> {
    /// A request that a stream may become a WebSocket: checks the handshake and prepares the
    /// application's side, unless it is answered at once.
    pub(super) fn http2_begin_websocket(
        &self,
        streams: &Streams,
        request: &Request,
        head: &Head<'_>,
    ) -> Result<Option<Ref<WebSocket>>> {
        let service = self.service()?;
        let settings = service.settings().ws.per_message_deflate.then(Settings::default);
        let headers = head.headers.iter().map(|header| (header.name, header.value));
        let refusal = match Handshake::over_http2(headers, settings.as_ref()) {
            Ok(_) if !service.has_room_for_websocket()? => NO_ROOM,
            Ok(handshake) => {
                let scheme = request.scheme();
                let websocket = self.prepare_websocket(&service, head, handshake, scheme)?;
                websocket.on_stream.stream.set(request.stream);
                let mut websockets = streams.websockets.borrow_mut();
                let before = websockets.insert(request.stream, websocket.clone());
                drop(websockets);
                drop(before);
                return Ok(Some(websocket));
            }
            Err(refusal) => {
                service.log_warning("Invalid WebSocket handshake received.")?;
                refusal
            }
        };
        self.http2_answer(request.stream, refusal.status, refusal.headers, refusal.reason)?;
        Ok(None)
    }

    /// The WebSockets of the connection.
    pub(super) fn http2_websockets(&self) -> Vec<Ref<WebSocket>> {
        let Some(streams) = self.http2.streams() else { return Vec::new() };
        streams.websockets.borrow().values().cloned().collect()
    }

    /// Bytes have come.
    pub(super) fn http2_websocket_received(
        &self,
        websocket: &Instance<WebSocket>,
        data: &[u8],
    ) -> Result<()> {
        let on_stream = &websocket.on_stream;
        on_stream.unreleased.set(on_stream.unreleased.get() + data.len());
        match websocket.stage.get() {
            Stage::Connecting => {
                on_stream.early.borrow_mut().extend_from_slice(data);
                return Ok(());
            }
            Stage::Denied => {}
            Stage::Open | Stage::Closed => websocket.received(data)?,
        }
        if websocket.is_full()? { Ok(()) } else { self.http2_resume_websocket(websocket) }
    }

    /// The client may send as much again as has come.
    pub(super) fn http2_resume_websocket(&self, websocket: &Instance<WebSocket>) -> Result<()> {
        let (Some(streams), Some(stream)) = (self.http2.streams(), websocket.on_stream.id()) else {
            return Ok(());
        };
        match websocket.on_stream.unreleased.replace(0) {
            0 => Ok(()),
            size => {
                streams.with(|wire| wire.release(stream, size));
                self.http2_flush()
            }
        }
    }

    /// The application has accepted; `lines` are the fields of the response.
    pub(super) fn http2_accept_websocket(
        &self,
        stream: u32,
        status: u16,
        lines: &[u8],
    ) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        streams.with(|wire| wire.respond(stream, status, lines, false));
        self.http2_flush()
    }

    /// Frames for the client.
    pub(super) fn http2_write_websocket(&self, stream: u32, pieces: &[Bytes]) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        streams.with(|wire| {
            for piece in pieces {
                wire.send(stream, Content::copy_from_slice(piece.as_slice()), false);
            }
        });
        self.http2_flush()
    }

    /// The application answers with a response instead, which ends the stream.
    pub(super) fn http2_begin_denial(&self, stream: u32, denial: &Ref<Exchange>) {
        let Some(streams) = self.http2.streams() else { return };
        let before = streams.exchanges.borrow_mut().insert(stream, denial.clone());
        drop(before);
    }

    /// Nothing more follows on the stream.
    pub(super) fn http2_end_websocket(&self, stream: u32) -> Result<()> {
        let Some(streams) = self.http2.streams() else { return Ok(()) };
        let Some(websocket) = streams.forget_websocket(stream) else { return Ok(()) };
        streams.with(|wire| match websocket.stage.get() {
            // There is no response that could end.
            Stage::Connecting => wire.reset(stream, Reason::CANCEL),
            _ => wire.send(stream, Content::new(), true),
        });
        websocket.lose()?;
        self.http2_flush()
    }

    /// A WebSocket ends in so many seconds, or before.
    pub(super) fn http2_await_end(
        &self,
        websocket: &Instance<WebSocket>,
        seconds: f64,
    ) -> Result<()> {
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        let at = event_loop.now()? + seconds;
        websocket.on_stream.end_at.set(Some(at));
        self.await_within(Late::Ping, 0.0)
    }

    /// Does what is due, and awaits what is due next.
    pub(super) fn http2_websockets_alive(&self) -> Result<()> {
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        let mut next: Option<f64> = None;
        for websocket in self.http2_websockets() {
            let now = event_loop.now()?;
            let end = websocket.on_stream.end_at.get();
            if end.is_some_and(|at| at <= now) {
                websocket.end()?;
                continue;
            }
            let ping = websocket.next_ping()?.map(|seconds| now + seconds);
            next = [next, end, ping].into_iter().flatten().reduce(f64::min);
        }
        match next {
            Some(at) => self.await_until(Late::Ping, at),
            None => Ok(()),
        }
    }
}
