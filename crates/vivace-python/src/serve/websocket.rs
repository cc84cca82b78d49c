//! One WebSocket, as the application sees it: `receive` and `send`.
//!
//! ```text
//!   connecting ──accept──> open ──close, either side──> closed
//!       └──close, response──> denied
//! ```
//!
//! "HTTP & WebSocket ASGI Message Format", section "WebSocket". What is on the wire is in
//! `websocket_wire`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use vivace_http::ws::handshake::Handshake;
use vivace_http::ws::{CloseCode, Closing, Decoder, Encoder, Keepalive, Phase};

use super::application::{self, Party, Ties, internal_error};
use super::connection::Connection;
use super::exchange::{self, Exchange};
use super::http2_websocket::OnStream;
use super::operation::{self, Wait, Waiters};
use super::response;
use super::service::Place;
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::bytes::Bytes;
use crate::ffi::function::{Body, Function};
use crate::ffi::{
    Builtin, Class, ClassBuilder, ClassCell, Instance, Object, Owned, Raised, Ref, Result, Slot,
    Visitor, raise, text,
};

/// How far it is, for the application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// The application has not answered the handshake.
    Connecting,
    Open,
    /// It answers with a response of HTTP.
    Denied,
    /// The application has closed it.
    Closed,
}

/// The parts that know the wire.
pub(super) struct Wire {
    /// Taken out while it works.
    pub(super) decoder: Cell<Option<Box<Decoder>>>,
    pub(super) encoder: RefCell<Encoder>,
    pub(super) closing: RefCell<Closing>,
    pub(super) keepalive: RefCell<Option<Keepalive>>,
}

/// See the module.
pub(crate) struct WebSocket {
    pub(super) ties: Ties,
    pub(super) place: Place,
    pub(super) connection: Slot<Ref<Connection>>,
    pub(super) on_stream: OnStream,
    pub(super) scope: Slot,
    pub(super) handshake: RefCell<Option<Handshake>>,
    /// `host:port` and the path, for the log.
    pub(super) name: RefCell<String>,
    pub(super) wire: Wire,
    pub(super) stage: Cell<Stage>,
    told_of_connect: Cell<bool>,
    /// Messages for the application.
    pub(super) queue: RefCell<VecDeque<Owned>>,
    pub(super) waiters: Waiters,
    /// The connection is lost.
    pub(super) lost: Cell<bool>,
    /// The response that denies the connection.
    denial: Slot<Ref<Exchange>>,
}

impl Class for WebSocket {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(16);
        &CELL
    }
    fn empty() -> Self {
        Self {
            ties: Ties::default(),
            place: Place::default(),
            connection: Slot::empty(),
            on_stream: OnStream::default(),
            scope: Slot::empty(),
            handshake: RefCell::new(None),
            name: RefCell::default(),
            wire: Wire {
                decoder: Cell::new(None),
                encoder: RefCell::new(Encoder::new(None)),
                closing: RefCell::default(),
                keepalive: RefCell::new(None),
            },
            stage: Cell::new(Stage::Connecting),
            told_of_connect: Cell::new(false),
            queue: RefCell::default(),
            waiters: Waiters::default(),
            lost: Cell::new(false),
            denial: Slot::empty(),
        }
    }
    fn traverse(&self, visitor: &mut Visitor) {
        self.ties.traverse(visitor);
        visitor.slot(&self.connection);
        visitor.slot(&self.scope);
        visitor.slot(&self.denial);
        self.waiters.traverse(visitor);
        if let Ok(queue) = self.queue.try_borrow() {
            queue.iter().for_each(|message| visitor.object(message));
        }
    }
    fn clear(&self) {
        self.ties.clear();
        self.connection.clear();
        self.scope.clear();
        self.denial.clear();
        self.waiters.clear();
        let queue = std::mem::take(&mut *self.queue.borrow_mut());
        drop(queue);
    }
}

impl Instance<WebSocket> {
    /// The closing handshake is over, or there will be none.
    pub(super) fn is_over(&self) -> bool {
        self.lost.get() || self.wire.closing.borrow().phase() == Phase::Done
    }

    /// What `receive()` has to say now, if anything.
    pub(super) fn next_message(&self) -> Result<Option<Owned>> {
        let names = asgi_names();
        if !self.told_of_connect.replace(true) {
            let message = text::dict()?;
            text::dict_set(&message, &names.kind, &names.websocket_connect)?;
            return Ok(Some(message));
        }
        let next = self.queue.borrow_mut().pop_front();
        if let Some(message) = next {
            self.took_message()?;
            return Ok(Some(message));
        }
        let denied = self.denial.get().is_some_and(|denial| denial.is_complete());
        if !self.is_over() && !denied {
            return Ok(None);
        }
        let (code, reason) = {
            let closing = self.wire.closing.borrow();
            let disconnect = closing.disconnect();
            (disconnect.code, disconnect.reason.to_owned())
        };
        let message = text::dict()?;
        text::dict_set(&message, &names.kind, &names.websocket_disconnect)?;
        text::dict_set(&message, &names.code, &*text::integer(i64::from(code))?)?;
        text::dict_set(&message, &names.reason, &*text::string(&reason)?)?;
        Ok(Some(message))
    }

    pub(super) fn has_room(&self) -> Result<Option<Owned>> {
        match self.connection.get() {
            Some(connection) if self.must_wait(&connection) && !self.lost.get() => Ok(None),
            _ => Ok(Some(text::none())),
        }
    }

    fn must_wait(&self, connection: &Instance<Connection>) -> bool {
        let stream = self.on_stream.id();
        connection.is_write_paused()
            || stream.is_some_and(|stream| !connection.http2_has_room(stream))
    }

    /// The connection is lost.
    pub(super) fn lose(&self) -> Result<()> {
        self.lost.set(true);
        self.connection.clear();
        if let Some(denial) = self.denial.get() {
            denial.lose()?;
        }
        self.waiters.wake()?;
        if self.service()?.settings().cancel_on_disconnect {
            self.cancel_task()?;
        }
        Ok(())
    }

    fn log(&self, outcome: &str) -> Result<()> {
        let service = self.service()?;
        let text = {
            let name = self.name.borrow();
            let (client, path) = name.split_once(' ').unwrap_or(("", &name));
            format!("{client} - \"WebSocket {path}\" {outcome}")
        };
        service.log_info(&text)
    }
}

impl Party for WebSocket {
    fn ties(&self) -> &Ties {
        &self.ties
    }
    fn methods() -> [&'static Function; 2] {
        [&RECEIVE, &SEND]
    }
    fn ended(this: &Instance<Self>, failure: Option<Owned>) -> Result<()> {
        match failure {
            None => returned(this)?,
            Some(exception) => failed(this, exception)?,
        }
        this.ties.close_request();
        this.service()?.forget_websocket(this)
    }
}

/// The application has returned.
fn returned(this: &Instance<WebSocket>) -> Result<()> {
    if this.is_over() {
        return Ok(());
    }
    match this.stage.get() {
        Stage::Connecting => {
            let message = "ASGI callable returned without sending handshake.";
            this.service()?.log_error(message, None)?;
            deny(this, 500, "Internal Server Error")
        }
        Stage::Open => this.begin_closing(Some(CloseCode::NORMAL), ""),
        Stage::Denied => unfinished_denial(this),
        Stage::Closed => Ok(()),
    }
}

fn unfinished_denial(this: &Instance<WebSocket>) -> Result<()> {
    match this.denial.get().filter(|denial| !denial.is_complete()) {
        Some(denial) => {
            let message = "ASGI callable returned without completing response.";
            this.service()?.log_error(message, None)?;
            match denial.phase() {
                exchange::Phase::Waiting | exchange::Phase::Started => internal_error(&denial),
                _ => response::cut(&denial),
            }
        }
        None => Ok(()),
    }
}

/// The application has raised.
fn failed(this: &Instance<WebSocket>, exception: Owned) -> Result<()> {
    let cancelled = this.log_failure(&exception, this.is_over())?;
    if this.is_over() {
        return Ok(());
    }
    match this.stage.get() {
        Stage::Connecting => deny(this, 500, "Internal Server Error"),
        Stage::Open if cancelled => this.begin_closing(Some(CloseCode::SERVICE_RESTART), ""),
        Stage::Open => this.begin_closing(Some(CloseCode::INTERNAL_ERROR), ""),
        Stage::Denied => unfinished_denial(this),
        Stage::Closed => Ok(()),
    }
}

/// Answers the handshake with a response of the server's own.
fn deny(this: &Instance<WebSocket>, status: u16, content: &str) -> Result<()> {
    let denial = begin_denial(this)?;
    response::plain(&denial, status, content, &[])?;
    this.log(&status.to_string())?;
    this.waiters.wake()
}

/// The exchange of a response that denies the connection; the connection ends with it.
fn begin_denial(this: &Instance<WebSocket>) -> Result<Ref<Exchange>> {
    this.stage.set(Stage::Denied);
    let connection = this.connection.get();
    let denial = exchange::denial(this, connection.as_deref())?;
    if let Some(connection) = connection {
        match this.on_stream.id() {
            Some(stream) => connection.http2_begin_denial(stream, &denial),
            None => {
                connection.last.set(true);
                connection.exchange.set(denial.clone());
            }
        }
    }
    this.denial.set(denial.clone());
    Ok(denial)
}

struct ReceiveBody;

impl Body for ReceiveBody {
    fn call(bound: &Object, _nothing: &Object) -> Result<Owned> {
        operation::waiting(bound, Wait::Message)
    }
}

/// `receive()`: the next message of the client.
static RECEIVE: Function = Function::without_argument::<ReceiveBody>(c"receive");

struct SendBody;

impl Body for SendBody {
    fn call(bound: &Object, message: &Object) -> Result<Owned> {
        bound.exact::<WebSocket>().map_or_else(|| Ok(text::none()), |this| send(this, message))
    }
}

/// `send(message)`: accepts, sends or closes.
static SEND: Function = Function::new::<SendBody>(c"send");

fn send(this: &Instance<WebSocket>, message: &Object) -> Result<Owned> {
    let names = asgi_names();
    if !text::is_dict(message) {
        return Err(raise(Builtin::Type, "an ASGI message must be a dict"));
    }
    let Some(kind) = text::dict_get(message, &names.kind)? else {
        return Err(raise(Builtin::Value, "an ASGI message must have a 'type'"));
    };
    let is = |name: &Object| kind.equals(name);
    match this.stage.get() {
        Stage::Connecting => {
            if is(&names.websocket_accept)? {
                check_lost(this)?;
                accept(this, message)?;
            } else if is(&names.websocket_close)? {
                if !this.lost.get() {
                    deny(this, 403, "")?;
                }
            } else if is(&names.websocket_response_start)? {
                check_lost(this)?;
                let denial = begin_denial(this)?;
                response::start(&denial, message)?;
                this.log(&denial.response.status.get().to_string())?;
            } else {
                return Err(unexpected(
                    "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'",
                    &kind,
                ));
            }
        }
        Stage::Open => {
            if is(&names.websocket_send)? {
                check_lost(this)?;
                if this.is_over() {
                    return Err(gone());
                }
                this.send_message(message)?;
            } else if is(&names.websocket_close)? {
                close(this, message)?;
            } else {
                return Err(unexpected("'websocket.send' or 'websocket.close'", &kind));
            }
        }
        Stage::Denied => {
            if !is(&names.websocket_response_body)? {
                return Err(unexpected("'websocket.http.response.body'", &kind));
            }
            if let Some(denial) = this.denial.get() {
                let operation = response::body(&denial, message)?;
                this.waiters.wake()?;
                return Ok(operation);
            }
        }
        Stage::Closed => {
            let kind = text::repr(&kind)?;
            return Err(raise(
                Builtin::Runtime,
                &format!(
                    "Unexpected ASGI message {kind}, after sending 'websocket.close' \
                     or response already completed."
                ),
            ));
        }
    }
    if this.has_room()?.is_some() {
        return Ok(this.service()?.done());
    }
    operation::waiting(this.object(), Wait::Room)
}

#[cold]
fn unexpected(expected: &str, kind: &Object) -> Raised {
    match text::repr(kind) {
        Ok(kind) => {
            raise(Builtin::Runtime, &format!("Expected ASGI message {expected}, but got {kind}."))
        }
        Err(raised) => raised,
    }
}

#[cold]
fn gone() -> Raised {
    raise(Builtin::ConnectionReset, "the client has disconnected")
}

fn check_lost(this: &Instance<WebSocket>) -> Result<()> {
    if this.lost.get() { Err(gone()) } else { Ok(()) }
}

fn accept(this: &Instance<WebSocket>, message: &Object) -> Result<()> {
    let names = asgi_names();
    let given = |name: &Object| {
        Ok::<_, Raised>(text::dict_get(message, name)?.filter(|value| !value.is_none()))
    };
    let subprotocol = match given(&names.subprotocol)? {
        Some(subprotocol) => Some(text::with_str(&subprotocol, str::to_owned)?),
        None => None,
    };
    let mut headers = Vec::new();
    if let Some(given) = given(&names.headers)? {
        text::for_each(&given, |item| {
            headers.push(response::name_and_value(item)?);
            Ok(())
        })?;
    }
    this.accept(subprotocol.as_deref(), &headers)?;
    this.log("[accepted]")
}

fn close(this: &Instance<WebSocket>, message: &Object) -> Result<()> {
    let names = asgi_names();
    let code = match text::dict_get(message, &names.code)?.filter(|code| !code.is_none()) {
        Some(code) => text::to_i64(&code)?,
        None => 1000,
    };
    let reason = match text::dict_get(message, &names.reason)?.filter(|text| !text.is_none()) {
        Some(reason) => text::with_str(&reason, str::to_owned)?,
        None => String::new(),
    };
    let Some(code) = u16::try_from(code).ok().and_then(CloseCode::new) else {
        return Err(raise(Builtin::Value, &format!("{code} is no close code to be sent")));
    };
    if !this.is_over() {
        this.begin_closing(Some(code), &reason)?;
    }
    this.stage.set(Stage::Closed);
    Ok(())
}

/// Calls the application.
pub(super) fn start(this: &Instance<WebSocket>) -> Result<()> {
    let Some(scope) = this.scope.take() else { return Ok(()) };
    this.ties.open_request(&scope);
    this.ties.settle_request();
    application::call(this, &scope)
}

/// The bytes or the text of a `websocket.send`.
pub(super) enum Content {
    Text(Owned),
    Binary(Bytes),
}

/// What a `websocket.send` says: exactly one of the two.
pub(super) fn content_of(message: &Object) -> Result<Content> {
    let names = asgi_names();
    let given = |name: &Object| {
        Ok::<_, Raised>(text::dict_get(message, name)?.filter(|value| !value.is_none()))
    };
    match (given(&names.bytes)?, given(&names.text)?) {
        (Some(data), None) => Bytes::body(&data).map(Content::Binary),
        (None, Some(text)) if text::is_str(&text) => Ok(Content::Text(text)),
        (None, Some(text)) => {
            let text = text::repr(&text)?;
            Err(raise(
                Builtin::Type,
                &format!("'text' of 'websocket.send' must be str, not {text}"),
            ))
        }
        _ => Err(raise(
            Builtin::Value,
            "'websocket.send' must have exactly one of 'bytes' and 'text'",
        )),
    }
}

/// Makes the class.
pub(super) fn make_class() -> Result<Owned> {
    ClassBuilder::<WebSocket>::new(c"vivace.WebSocket", c"One WebSocket.").build(None)
}
