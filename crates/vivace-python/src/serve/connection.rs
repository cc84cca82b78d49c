//! `vivace.H1Protocol`: one HTTP/1.1 connection, from `connection_made` to `connection_lost`.
//!
//! It is an asyncio protocol. Over our own transports the bytes come natively, out of the memory
//! that the loop reads into (`transports/stream_http.rs`); over others (TLS) by `data_received`.
//!
//! With `http2` it may speak HTTP/2 instead (`http2.rs`), from its first byte to its last.
//!
//! ```text
//!            head             response complete
//!   Http ───────────> Http ──────────────────────> Http        (kept alive)
//!                       │                    └───> Draining    (the body still comes)
//!                       └─ upgrade ─> WebSocket    └───> Lingering ─> Closed
//! ```

use std::cell::{Cell, RefCell};

use vivace_http::h1::request::RequestReader;

use super::deadlines::{Deadlines, Late};
use super::exchange::Exchange;
use super::http2::Http2;
use super::service::{Place, Service};
use super::websocket::WebSocket;
use crate::event_loop::Loop;
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::bytes::Bytes;
use crate::ffi::{
    Args, Builtin, Class, ClassBuilder, ClassCell, Instance, Object, Owned, Ref, Result, Slot,
    Visitor, imports, names, raise, text,
};
use crate::transports::stream::Stream;

/// What the bytes that come mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// Requests.
    Http,
    /// The rest of a body that nobody wants, before the next request.
    Draining,
    /// Whatever the client still sends, before the connection is closed: an answer that it has
    /// not read yet would be lost to a reset (RFC 9112, section 9.6).
    Lingering,
    WebSocket,
    /// Frames of HTTP/2.
    Http2,
    Closed,
}

/// See the module.
pub(crate) struct Connection {
    pub(super) service: Slot<Ref<Service>>,
    pub(super) place: Place,
    pub(super) event_loop: Slot<Ref<Loop>>,
    pub(super) transport: Slot,
    /// The transport, if it is one of ours.
    pub(super) stream: Slot<Ref<Stream>>,
    /// The keys of every request's scope that the connection knows.
    pub(super) template: Slot,
    /// `(host, port)`, or empty.
    pub(super) client: Slot,
    pub(super) secure: Cell<bool>,
    /// What the extension `tls` says of the connection.
    pub(super) tls: Slot,
    pub(super) mode: Cell<Mode>,
    /// Taken out while it works.
    pub(super) reader: Cell<Option<Box<RequestReader>>>,
    /// What has come before its time.
    pub(super) backlog: RefCell<Vec<u8>>,
    pub(super) exchange: Slot<Ref<Exchange>>,
    pub(super) websocket: Slot<Ref<WebSocket>>,
    pub(super) http2: Http2,
    /// The first bytes will say whether it is HTTP/1.1 or HTTP/2.
    pub(super) undecided: Cell<bool>,
    /// Bytes that may still be thrown away while draining or lingering.
    pub(super) discardable: Cell<usize>,
    /// The input is being read right now: what is complete goes on there.
    pub(super) feeding: Cell<bool>,
    pub(super) read_paused: Cell<bool>,
    write_paused: Cell<bool>,
    /// The client has said that it sends no more.
    pub(super) eof: Cell<bool>,
    /// A request was served: from now on waiting is keeping alive.
    pub(super) served: Cell<bool>,
    /// The response that is on its way is the last one.
    pub(super) last: Cell<bool>,
    pub(super) deadlines: Deadlines,
    /// Since when the rate of the body counts, and how much of it had come then.
    pub(super) body_clock: Cell<Option<(f64, u64)>>,
    /// Unsent bytes when the write deadline was set: fewer are progress.
    pub(super) unsent: Cell<usize>,
}

impl Class for Connection {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(64);
        &CELL
    }
    fn empty() -> Self {
        Self {
            service: Slot::empty(),
            place: Place::default(),
            event_loop: Slot::empty(),
            transport: Slot::empty(),
            stream: Slot::empty(),
            template: Slot::empty(),
            client: Slot::empty(),
            secure: Cell::new(false),
            tls: Slot::empty(),
            mode: Cell::new(Mode::Http),
            reader: Cell::new(None),
            backlog: RefCell::default(),
            exchange: Slot::empty(),
            websocket: Slot::empty(),
            http2: Http2::default(),
            undecided: Cell::new(false),
            discardable: Cell::new(0),
            feeding: Cell::new(false),
            read_paused: Cell::new(false),
            write_paused: Cell::new(false),
            eof: Cell::new(false),
            served: Cell::new(false),
            last: Cell::new(false),
            deadlines: Deadlines::default(),
            body_clock: Cell::new(None),
            unsent: Cell::new(0),
        }
    }
    fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.service);
        visitor.slot(&self.event_loop);
        visitor.slot(&self.transport);
        visitor.slot(&self.stream);
        visitor.slot(&self.template);
        visitor.slot(&self.client);
        visitor.slot(&self.tls);
        visitor.slot(&self.exchange);
        visitor.slot(&self.websocket);
        self.http2.traverse(visitor);
        self.deadlines.traverse(visitor);
    }
    fn clear(&self) {
        self.service.clear();
        self.event_loop.clear();
        self.transport.clear();
        self.stream.clear();
        self.template.clear();
        self.client.clear();
        self.tls.clear();
        self.exchange.clear();
        self.websocket.clear();
        self.http2.clear();
        self.deadlines.clear();
    }
}

impl Instance<Connection> {
    pub(super) fn service(&self) -> Result<Ref<Service>> {
        self.service.get().ok_or_else(|| raise(Builtin::Runtime, "the connection is over"))
    }

    /// `connection_made(transport)`.
    fn connection_made(&self, transport: &Object) -> Result<()> {
        let service = self.service()?;
        self.event_loop.set(service.running_loop()?);
        self.transport.set(transport.new_ref());
        if let Some(stream) = transport.exact::<Stream>() {
            self.stream.set(stream.counted());
        }
        let channel =
            transport.call_method(&names().get_extra_info, &[&asgi_names().ssl_object])?;
        if !channel.is_none() {
            self.secure.set(true);
            self.tls.set(service.describe_tls(&channel)?);
        }
        self.template.set(super::scope::template(self, &service, transport)?);
        self.reader.set(Some(Box::new(RequestReader::new(service.request_limits()))));
        if !service.admit(self)? {
            return self.abort();
        }
        if service.settings().http2 {
            if self.http2_was_agreed(&channel)? {
                self.http2_start()?;
            }
            self.undecided.set(!self.secure.get());
        }
        self.await_within(Late::Header, service.settings().timeouts.request_header)
    }

    /// `connection_lost(exc)`.
    fn connection_lost(&self) -> Result<()> {
        self.mode.set(Mode::Closed);
        self.deadlines.end()?;
        let exchange = self.exchange.take();
        let websocket = self.websocket.take();
        let service = self.service.get();
        self.transport.clear();
        self.stream.clear();
        self.backlog.borrow_mut().clear();
        drop(self.reader.take());
        if let Some(exchange) = exchange {
            exchange.lose()?;
            super::access::log_aborted(&exchange)?;
        }
        if let Some(websocket) = websocket {
            websocket.lose()?;
        }
        self.http2_lose()?;
        match service {
            Some(service) => service.forget(self),
            None => Ok(()),
        }
    }

    #[inline]
    pub(super) fn is_write_paused(&self) -> bool {
        self.write_paused.get()
    }

    /// Whether the transport, if it is one of ours, will say that the connection is lost.
    #[inline]
    pub(super) fn is_broken(&self) -> bool {
        self.stream.get().is_some_and(|stream| stream.is_lost())
    }

    /// Writes pieces, in one call.
    #[inline]
    pub(super) fn write(&self, pieces: &[Bytes]) -> Result<()> {
        if let Some(stream) = self.stream.get() {
            return crate::transports::write_pieces(&stream, pieces);
        }
        let Some(transport) = self.transport.get() else { return Ok(()) };
        match pieces {
            [only] => transport.call_method(&names().write, &[only.object()]).map(drop),
            _ => {
                let list = text::list(pieces.iter().map(|piece| piece.object().new_ref()))?;
                transport.call_method(&asgi_names().writelines, &[&list]).map(drop)
            }
        }
    }

    fn pause_writing(&self) -> Result<()> {
        self.write_paused.set(true);
        self.unsent.set(self.unsent_now()?);
        self.await_within(Late::Write, self.service()?.settings().timeouts.write)
    }

    fn resume_writing(&self) -> Result<()> {
        self.write_paused.set(false);
        self.deadlines.lift(Late::Write);
        if let Some(exchange) = self.exchange.get() {
            exchange.waiters.wake()?;
        }
        if let Some(websocket) = self.websocket.get() {
            websocket.waiters.wake()?;
        }
        if self.mode.get() == Mode::Http2 {
            return self.http2_resume();
        }
        Ok(())
    }

    /// How many bytes were written and not yet sent.
    pub(super) fn unsent_now(&self) -> Result<usize> {
        let Some(transport) = self.transport.get() else { return Ok(0) };
        let size = transport.call_method(&names().get_write_buffer_size, &[])?;
        Ok(usize::try_from(text::to_i64(&size)?).unwrap_or(0))
    }

    /// The client as logs name it.
    pub(super) fn client_text(&self) -> Result<String> {
        match self.client.get() {
            Some(client) => super::scope::client_text(&client),
            None => Ok(String::new()),
        }
    }

    pub(super) fn pause_reading(&self) -> Result<()> {
        if self.read_paused.replace(true) {
            return Ok(());
        }
        // The client is not late while we do not listen.
        self.deadlines.lift(Late::Body);
        self.body_clock.set(None);
        match self.transport.get() {
            Some(transport) => transport.call_method(&names().pause_reading, &[]).map(drop),
            None => Ok(()),
        }
    }

    pub(super) fn resume_reading(&self) -> Result<()> {
        if !self.read_paused.replace(false) {
            return Ok(());
        }
        match self.transport.get() {
            Some(transport) => transport.call_method(&names().resume_reading, &[]).map(drop),
            None => Ok(()),
        }
    }
}

fn connection_made(this: &Instance<Connection>, transport: &Object) -> Result<Owned> {
    this.connection_made(transport).map(|()| text::none())
}

fn connection_lost(this: &Instance<Connection>, _exception: &Object) -> Result<Owned> {
    this.connection_lost().map(|()| text::none())
}

fn data_received(this: &Instance<Connection>, data: &Object) -> Result<Owned> {
    let data = Bytes::from_data(data)?;
    this.received(data.as_slice()).map(|()| text::none())
}

fn eof_received(this: &Instance<Connection>) -> Result<Owned> {
    this.ended().map(text::boolean)
}

/// `H1Protocol(service)`.
fn init(this: &Instance<Connection>, args: &Args<'_>) -> Result<()> {
    let [service] = args.parse("H1Protocol", ["service"], 1, 1)?;
    let service = service.and_then(|service| service.downcast::<Service>());
    let Some(service) = service else {
        return Err(raise(Builtin::Type, "H1Protocol() needs an HttpService"));
    };
    this.service.set(service.counted());
    Ok(())
}

/// Makes the class.
pub(super) fn make_class() -> Result<Owned> {
    ClassBuilder::<Connection>::new(
        c"vivace.H1Protocol",
        c"H1Protocol(service)\n--\n\nOne HTTP/1.1 connection; an asyncio.Protocol.",
    )
    .init(init)
    .onearg(c"connection_made", c"The connection is there.", connection_made)
    .onearg(c"connection_lost", c"The connection is gone.", connection_lost)
    .onearg(c"data_received", c"Bytes have come.", data_received)
    .noargs(c"eof_received", c"The client sends no more.", eof_received)
    .noargs(c"pause_writing", c"The client does not take what is written.", |this| {
        this.pause_writing().map(|()| text::none())
    })
    .noargs(c"resume_writing", c"It does again.", |this: &Instance<Connection>| {
        this.resume_writing().map(|()| text::none())
    })
    .noargs(c"shutdown", c"Ends the connection when its response is.", |this| {
        this.drain().map(|()| text::none())
    })
    .build(Some(&imports().protocol_class))
}
