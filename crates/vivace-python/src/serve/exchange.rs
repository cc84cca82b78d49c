//! One request and its response, as the application sees them: `receive` and `send`.
//!
//! ```text
//!   waiting ──start──> started ──first body──> streaming ──last body──> complete
//! ```
//!
//! - *waiting*: the application has said nothing.
//! - *started*: it has said `http.response.start`; the head is kept back for the first body.
//! - *streaming*: the head has left.
//! - *complete*: nothing more is to be sent; further messages are ignored.
//!
//! The rules are those of the ASGI specification, "HTTP & WebSocket ASGI Message Format".

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use vivace_http::h1::response::{RequestTraits, ResponseWriter};
use vivace_http::metrics::Method;

use super::access::Line;
use super::application::Ties;
use super::connection::Connection;
use super::operation::{self, Wait, Waiters};
use super::service::Place;
use super::websocket::WebSocket;
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::bytes::{self, Bytes};
use crate::ffi::function::{Body, Function};
use crate::ffi::{
    Class, ClassBuilder, ClassCell, Instance, Object, Owned, Ref, Result, Slot, Visitor,
    allocate_with, text,
};

/// How far the response is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Phase {
    Waiting,
    Started,
    Streaming,
    /// The last body was sent, trailers are to come.
    Trailers,
    Complete,
}

/// The request's body on its way to the application.
#[derive(Default)]
pub(super) struct RequestBody {
    chunks: RefCell<VecDeque<Owned>>,
    /// Bytes that wait for the application.
    pub(super) held: Cell<usize>,
    /// Bytes that have come.
    pub(super) size: Cell<u64>,
    /// What `Content-Length` says, if the body has one.
    pub(super) length: Cell<Option<u64>>,
    /// All has come.
    pub(super) complete: Cell<bool>,
    /// The application was given the end.
    delivered: Cell<bool>,
    /// The client waits for `100 Continue`.
    pub(super) continue_wanted: Cell<bool>,
    /// The application waits for it since then; see `Ties::parked`.
    awaited: Cell<Option<u64>>,
    /// Since when its rate counts, and how much had come then; of HTTP/2.
    pub(super) clock: Cell<Option<(f64, u64)>>,
}

/// The response on its way to the client.
pub(super) struct Response {
    pub(super) phase: Cell<Phase>,
    pub(super) writer: RefCell<ResponseWriter>,
    /// The head, kept back for the first body.
    pub(super) head: RefCell<Vec<u8>>,
    pub(super) status: Cell<u16>,
    /// Bytes of the body that were sent.
    pub(super) sent: Cell<u64>,
    /// Trailers that were given so far.
    pub(super) trailers: RefCell<Vec<(Bytes, Bytes)>>,
    /// What the request tells about the response to it.
    pub(super) traits: Cell<RequestTraits>,
}

/// See the module.
pub(crate) struct Exchange {
    pub(super) ties: Ties,
    /// Empty once the response is complete or the connection is lost.
    pub(super) connection: Slot<Ref<Connection>>,
    /// Which stream of an HTTP/2 connection it is on; 0 with HTTP/1.1.
    pub(super) stream: Cell<u32>,
    /// Until the application is called.
    pub(super) scope: Slot,
    pub(super) body: RequestBody,
    pub(super) response: Response,
    pub(super) waiters: Waiters,
    /// The client is gone, or can be heard no more.
    pub(super) disconnected: Cell<bool>,
    /// The connection is lost: what is sent raises.
    pub(super) lost: Cell<bool>,
    /// Counted among the requests in flight.
    pub(super) place: Place,
    pub(super) line: RefCell<Option<Line>>,
    /// Counted by the metrics as begun; the route is found in the scope at the end.
    pub(super) measured: Cell<Option<Method>>,
    pub(super) measured_scope: Slot,
    /// When the request came, in nanoseconds of the monotonic clock.
    pub(super) begun: Cell<u64>,
}

impl Exchange {
    pub(super) fn new(traits: RequestTraits) -> Self {
        Self {
            ties: Ties::default(),
            connection: Slot::empty(),
            stream: Cell::new(0),
            scope: Slot::empty(),
            body: RequestBody::default(),
            response: Response {
                phase: Cell::new(Phase::Waiting),
                writer: RefCell::new(ResponseWriter::new(traits)),
                head: RefCell::default(),
                status: Cell::new(0),
                sent: Cell::new(0),
                trailers: RefCell::default(),
                traits: Cell::new(traits),
            },
            waiters: Waiters::default(),
            disconnected: Cell::new(false),
            lost: Cell::new(false),
            place: Place::default(),
            line: RefCell::new(None),
            measured: Cell::new(None),
            measured_scope: Slot::empty(),
            begun: Cell::new(0),
        }
    }

    #[inline]
    pub(super) fn phase(&self) -> Phase {
        self.response.phase.get()
    }

    /// Whether it shares its connection with others: HTTP/2.
    #[inline]
    pub(super) fn is_stream(&self) -> bool {
        self.stream.get() != 0
    }

    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        self.phase() == Phase::Complete
    }
}

impl Class for Exchange {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(128);
        &CELL
    }
    fn empty() -> Self {
        Self::new(RequestTraits::default())
    }
    fn traverse(&self, visitor: &mut Visitor) {
        self.ties.traverse(visitor);
        visitor.slot(&self.connection);
        visitor.slot(&self.scope);
        visitor.slot(&self.measured_scope);
        self.waiters.traverse(visitor);
    }
    fn clear(&self) {
        self.ties.clear();
        self.connection.clear();
        self.scope.clear();
        self.measured_scope.clear();
        self.waiters.clear();
    }
}

impl Instance<Exchange> {
    /// Whether so much of the body may still come that the connection is not worth it; in chunks
    /// that is unknown, unless the application reads them.
    pub(super) fn much_is_to_come(&self, bound: u64) -> bool {
        let body = &self.body;
        match body.length.get() {
            _ if body.complete.get() => false,
            Some(length) => length.saturating_sub(body.size.get()) > bound,
            None => body.size.get() == body.held.get() as u64,
        }
    }

    /// A part of the request's body has come.
    pub(super) fn push_body(&self, chunk: Owned) {
        let size = bytes::length(&chunk);
        self.body.held.set(self.body.held.get() + size);
        self.body.size.set(self.body.size.get() + size as u64);
        self.body.chunks.borrow_mut().push_back(chunk);
    }

    /// What `receive()` has to say now, if anything.
    pub(super) fn next_message(&self) -> Result<Option<Owned>> {
        let body = &self.body;
        if let Some(parked) = body.awaited.take() {
            self.ties.heard_client(parked);
        }
        if self.is_complete() || self.lost.get() {
            return self.disconnect_message().map(Some);
        }
        let something = body.held.get() > 0 || (body.complete.get() && !body.delivered.get());
        if something {
            return self.request_message().map(Some);
        }
        if self.disconnected.get() {
            return self.disconnect_message().map(Some);
        }
        if body.continue_wanted.replace(false) {
            if let Some(connection) = self.connection.get() {
                match self.is_stream() {
                    true => connection.http2_inform(self, 100, b"")?,
                    false => connection.send_continue()?,
                }
            }
        }
        Ok(None)
    }

    /// The application is about to wait for a message: for the body, mostly.
    pub(super) fn awaits_message(&self) {
        if !self.body.complete.get() && !self.disconnected.get() {
            self.body.awaited.set(Some(self.ties.listen()));
        }
    }

    fn disconnect_message(&self) -> Result<Owned> {
        let names = asgi_names();
        let message = text::dict()?;
        text::dict_set(&message, &names.kind, &names.http_disconnect)?;
        Ok(message)
    }

    fn request_message(&self) -> Result<Owned> {
        let names = asgi_names();
        let message = self.service()?.request_template()?;
        let body = &self.body;
        let held = body.held.replace(0);
        if held > 0 {
            let mut chunks = std::mem::take(&mut *body.chunks.borrow_mut());
            let data = match (chunks.pop_front(), chunks.is_empty()) {
                (Some(only), true) => only,
                (first, _) => bytes::joined(first.iter().chain(&chunks).map(|chunk| &**chunk))?,
            };
            text::dict_set(&message, &names.body, &data)?;
        }
        let complete = body.complete.get();
        if complete {
            body.delivered.set(true);
        } else {
            text::dict_set(&message, &names.more_body, &text::boolean(true))?;
            if let Some(connection) = self.connection.get() {
                match self.is_stream() {
                    true => connection.http2_release(self, held)?,
                    false => connection.wants_body()?,
                }
            }
        }
        Ok(message)
    }

    /// Whether more may be written: `None` while the client does not take what was.
    pub(super) fn has_room(&self) -> Result<Option<Owned>> {
        match self.connection.get() {
            Some(connection) if self.must_wait(&connection) && !self.lost.get() => Ok(None),
            _ => Ok(Some(text::none())),
        }
    }

    #[inline]
    fn must_wait(&self, connection: &Instance<Connection>) -> bool {
        connection.is_write_paused()
            || (self.is_stream() && !connection.http2_has_room(self.stream.get()))
    }

    /// The client has gone, or will say no more.
    pub(super) fn disconnect(&self) -> Result<()> {
        if self.disconnected.replace(true) {
            return Ok(());
        }
        self.waiters.wake()?;
        let cancel = self.service()?.settings().cancel_on_disconnect;
        if cancel && !self.is_complete() {
            self.cancel_task()?;
        }
        Ok(())
    }

    /// The connection is lost.
    pub(super) fn lose(&self) -> Result<()> {
        self.lost.set(true);
        self.connection.clear();
        self.disconnect()?;
        // Those who wait for room, too.
        self.waiters.wake()
    }
}

/// An exchange without a request of its own: the response that denies a WebSocket.
pub(super) fn denial(
    websocket: &Instance<WebSocket>,
    connection: Option<&Instance<Connection>>,
) -> Result<Ref<Exchange>> {
    let stream = websocket.on_stream.id();
    let traits = RequestTraits { http2: stream.is_some(), ..RequestTraits::default() };
    let exchange = allocate_with(|| Exchange::new(traits))?;
    exchange.stream.set(stream.unwrap_or(0));
    exchange.body.complete.set(true);
    exchange.ties.join(&*websocket.service()?, &websocket.ties.event_loop);
    if let Some(connection) = connection {
        exchange.connection.set(connection.counted());
    }
    Ok(exchange)
}

struct ReceiveBody;

impl Body for ReceiveBody {
    fn call(bound: &Object, _nothing: &Object) -> Result<Owned> {
        operation::waiting(bound, Wait::Message)
    }
}

/// `receive()`: the next message, `http.request` or `http.disconnect`.
pub(super) static RECEIVE: Function = Function::without_argument::<ReceiveBody>(c"receive");

struct SendBody;

impl Body for SendBody {
    fn call(bound: &Object, message: &Object) -> Result<Owned> {
        match bound.exact::<Exchange>() {
            Some(exchange) => super::response::send(exchange, message),
            None => Ok(text::none()),
        }
    }
}

/// `send(message)`: a part of the response.
pub(super) static SEND: Function = Function::new::<SendBody>(c"send");

/// Makes the class.
pub(super) fn make_class() -> Result<Owned> {
    ClassBuilder::<Exchange>::new(c"vivace.Exchange", c"One HTTP request and its response.")
        .onearg(c"_begin_file", c"The head leaves before a file.", super::response::begin_file)
        .onearg(c"_file_part", c"Sends a part of a file.", super::response::file_part)
        .onearg(c"_end_file", c"The file was sent, or not whole.", super::response::end_file)
        .build(None)
}
