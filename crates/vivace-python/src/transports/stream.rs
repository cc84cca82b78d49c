//! A stream connection: its state, and its life from the first callback to the last.
//!
//! ```text
//!   made ──> started ──> closing ──> lost
//! ```
//!
//! - *made*: `connection_made` is queued, nothing is read yet.
//! - *started*: `connection_made` was called; bytes go both ways.
//! - *closing*: nothing more is read; what was written still leaves (not after `abort`).
//! - *lost*: `connection_lost` was called, the socket is closed.
//!
//! `connection_lost` is always queued, never called from inside `close()`. The descriptor is
//! watched edge-triggered from *made* to *lost*: `readable` and `writable` remember what was
//! reported and not yet used up, so pausing costs no system call.

use std::cell::{Cell, RefCell};

use rustix::net::SocketAddrAny;
use vivace_core::stream::flow_control::FlowControl;
use vivace_core::stream::write_queue::WriteQueue;
use vivace_sys::poller::Readiness;

use super::protocol_kind::is_buffered;
use super::socket::Socket;
use super::{stream_read, stream_write};
use crate::event_loop::fds::Watch;
use crate::event_loop::report::Parties;
use crate::event_loop::{Entry, Loop};
use crate::ffi::bytes::Bytes;
use crate::ffi::weakref;
use crate::ffi::{
    Builtin, Class, ClassCell, Extras, Instance, Object, Owned, Raised, Ref, Result, Slot, Visitor,
    allocate, allocate_with, context, error, imports, names, raise, text,
};
use crate::handles::Parts;
use crate::see::trace::slow::Named;
use crate::serve::connection::Connection;
use crate::tls::protocol::TlsProtocol;

/// Where in its life a connection is, and what it is doing.
#[derive(Default)]
pub(super) struct Phase {
    pub(super) started: Cell<bool>,
    pub(super) closing: Cell<bool>,
    /// Above 0: `connection_lost` is queued; counts further writes to warn of them.
    pub(super) lost: Cell<u32>,
    /// An entry of this connection is in the ready queue.
    pub(super) queued: Cell<bool>,
}

/// How the protocol takes its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// `data_received`.
    #[default]
    Plain,
    /// It lends buffers: see `protocol_kind`.
    Buffered,
    /// It is our own TLS, and is given the bytes natively.
    Tls,
    /// It is our own HTTP, and is given the bytes natively.
    Http,
}

/// The incoming side.
#[derive(Default)]
pub(super) struct Incoming {
    pub(super) paused: Cell<bool>,
    pub(super) readable: Cell<bool>,
    /// The peer has ended or the connection broke: a short read does not mean drained.
    pub(super) ended: Cell<bool>,
    /// The end was delivered and the protocol keeps the connection open.
    pub(super) eof: Cell<bool>,
    pub(super) kind: Cell<Kind>,
    /// How much the last read brought.
    pub(super) last_size: Cell<usize>,
}

/// The outgoing side.
pub(super) struct Outgoing {
    pub(super) queue: RefCell<WriteQueue<Bytes>>,
    pub(super) flow: RefCell<FlowControl>,
    pub(super) writable: Cell<bool>,
    pub(super) eof: Cell<bool>,
    /// In the loop's list of connections to flush.
    pub(super) unsent: Cell<bool>,
    /// Set while `sendfile` has the socket: done when the queue is empty.
    pub(super) empty_waiter: Slot,
}

/// `vivace.StreamTransport`.
pub(crate) struct Stream {
    pub(super) extras: Extras,
    pub(super) event_loop: Slot<Ref<Loop>>,
    pub(super) protocol: Slot,
    pub(super) server: Slot,
    pub(super) context: Slot,
    pub(super) extra: Slot,
    pub(super) socket: Socket,
    pub(super) local: RefCell<Option<SocketAddrAny>>,
    pub(super) peer: RefCell<Option<SocketAddrAny>>,
    pub(super) phase: Phase,
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
    pub(crate) named: Named,
}

impl Stream {
    fn with_socket(socket: Socket) -> Self {
        Self {
            extras: Extras::default(),
            event_loop: Slot::empty(),
            protocol: Slot::empty(),
            server: Slot::empty(),
            context: Slot::empty(),
            extra: Slot::empty(),
            socket,
            local: RefCell::new(None),
            peer: RefCell::new(None),
            phase: Phase::default(),
            incoming: Incoming::default(),
            outgoing: Outgoing {
                queue: RefCell::default(),
                flow: RefCell::default(),
                writable: Cell::new(true),
                eof: Cell::new(false),
                unsent: Cell::new(false),
                empty_waiter: Slot::empty(),
            },
            named: Named::default(),
        }
    }

    #[inline]
    pub(super) fn is_reading(&self) -> bool {
        !self.phase.closing.get() && !self.incoming.paused.get()
    }
}

impl Class for Stream {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(64);
        &CELL
    }
    fn empty() -> Self {
        Self::with_socket(Socket::closed())
    }
    fn traverse(&self, visitor: &mut Visitor) {
        self.extras.traverse(visitor);
        visitor.slot(&self.event_loop);
        visitor.slot(&self.protocol);
        visitor.slot(&self.server);
        visitor.slot(&self.context);
        visitor.slot(&self.extra);
        self.socket.traverse(visitor);
        visitor.slot(&self.outgoing.empty_waiter);
    }
    fn clear(&self) {
        self.extras.clear();
        self.event_loop.clear();
        self.protocol.clear();
        self.server.clear();
        self.context.clear();
        self.extra.clear();
        self.socket.clear();
        self.outgoing.empty_waiter.clear();
    }
    fn wants_finalize(this: &Instance<Self>) -> bool {
        this.socket.is_open()
    }
    fn finalize(this: &Instance<Self>) {
        // Dropped without close(): as asyncio's own transports do.
        if let Some(event_loop) = this.event_loop.get() {
            event_loop.descriptors.disown(&event_loop, this.socket.fd());
        }
        let outcome = warn_unclosed(this).and_then(|()| this.socket.close());
        crate::future::core::ignore(outcome, this.object());
        // The server waits for it no longer.
        crate::future::core::ignore(this.leave_server(), this.object());
    }
}

#[cold]
fn warn_unclosed(this: &Instance<Stream>) -> Result<()> {
    let text = text::repr(this.object())?;
    error::warn_resource(&format!("unclosed transport {text}"), this.object())
}

/// What a new connection is made of.
pub(crate) struct Origin<'a> {
    pub(crate) socket: Socket,
    pub(crate) protocol: &'a Object,
    pub(crate) server: Option<Owned>,
    pub(crate) extra: Option<Owned>,
    pub(crate) peer: Option<SocketAddrAny>,
    /// A future that is done when `connection_made` was called.
    pub(crate) waiter: Option<&'a Object>,
}

/// Makes a connection and queues `connection_made`.
pub(crate) fn make(this: &Instance<Loop>, origin: Origin<'_>) -> Result<Ref<Stream>> {
    let protocol = origin.protocol;
    let mut body = Stream::with_socket(origin.socket);
    body.event_loop.set(this.counted());
    body.context.set(context::copy_current()?);
    if let Some(server) = origin.server {
        body.server.set(server);
    }
    if let Some(extra) = origin.extra {
        body.extra.set(extra);
    }
    if let Some(fd) = body.socket.borrow() {
        body.local = RefCell::new(vivace_sys::socket::local_address(fd).ok());
        let peer = origin.peer.or_else(|| vivace_sys::socket::peer_address(fd).ok().flatten());
        body.peer = RefCell::new(peer);
        // Anything but TCP answers with an error, and needs none.
        let _not_tcp = vivace_sys::socket::set_no_delay(fd);
    }
    let stream = allocate(body)?;
    stream.set_protocol(protocol)?;
    let fd = stream.socket.fd();
    this.descriptors.own(this, fd, Watch::Stream(stream.clone()))?;
    if let Some(server) = stream.server.get() {
        server.call_method(&names().attach, &[stream.object()])?;
    }
    let connection_made = protocol.getattr(&names().connection_made)?;
    this.call_soon(&connection_made, &[stream.object()])?;
    if let Some(waiter) = origin.waiter {
        let wake = &imports().set_result_unless_cancelled;
        this.call_soon(wake, &[waiter, text::none_ref()])?;
    }
    // Reading begins only after connection_made, and after whoever waits for the connection has run:
    // behind both in the queue.
    stream.queue(this);
    Ok(stream)
}

impl Instance<Loop> {
    /// `call_soon(callback, *args)` in a copy of the current context, without checks.
    pub(crate) fn call_soon(&self, callback: &Object, args: &[&Object]) -> Result<()> {
        let parts = Parts::new(self, callback, args, self.contexts.environment(None)?)?;
        let handle = allocate_with(|| parts.handle())?;
        self.push(Entry::Handle(handle));
        Ok(())
    }
}

/// An entry of the ready queue: whatever the connection can do now.
#[inline]
pub(crate) fn run(this: &Instance<Loop>, stream: &Instance<Stream>) -> Result<()> {
    stream.phase.queued.set(false);
    if stream.phase.lost.get() > 0 {
        return Ok(());
    }
    if !stream.phase.started.replace(true) {
        // What connection_made has queued, a task for this connection say, comes before the first
        // bytes: a selector would find them in the next turn.
        stream.queue(this);
        return Ok(());
    }
    if stream.outgoing.writable.get() && !stream.outgoing.queue.borrow().is_empty() {
        stream_write::flush(stream)?;
    }
    if stream.incoming.readable.get() && stream.is_reading() && !stream.incoming.eof.get() {
        let Some(context) = stream.context.get() else { return Ok(()) };
        context::run_in(&context, || stream_read::read(this, stream))?;
    }
    Ok(())
}

impl Instance<Stream> {
    /// The poller has reported. Says whether an entry is to be queued.
    #[inline]
    pub(crate) fn note_readiness(&self, readiness: Readiness) -> bool {
        if readiness.readable {
            self.incoming.readable.set(true);
        }
        if readiness.ended {
            self.incoming.ended.set(true);
        }
        if readiness.writable {
            self.outgoing.writable.set(true);
        }
        let wanted = (self.incoming.readable.get() && self.is_reading())
            || (readiness.writable && self.outgoing.queue.borrow().size() > 0);
        wanted && self.phase.started.get() && !self.phase.queued.replace(true)
    }

    /// The loop keeps a connection alive while it reads or has something to send; one that does
    /// neither belongs to whoever refers to it.
    pub(super) fn hold(&self) -> Result<()> {
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        let fd = self.socket.fd();
        if fd < 0 || !event_loop.descriptors.is_owned_by(fd, self.object()) {
            return Ok(());
        }
        let busy = self.is_reading()
            || self.phase.closing.get()
            || !self.outgoing.queue.borrow().is_empty();
        let watch = if busy {
            Watch::Stream(self.counted())
        } else {
            Watch::IdleStream(weakref::make(self.object())?)
        };
        event_loop.descriptors.exchange(fd, watch);
        Ok(())
    }

    /// Closing will reset the connection, so that the peer does not take the end for a good one.
    pub(crate) fn reset_on_close(&self) {
        if let Some(fd) = self.socket.borrow() {
            // A socket that cannot do it closes as it does.
            let _other_kind = vivace_sys::socket::set_reset_on_close(fd);
        }
    }

    /// Whether `connection_lost` was called, or is queued.
    #[inline]
    pub(crate) fn is_lost(&self) -> bool {
        self.phase.lost.get() > 0
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.phase.closing.get()
    }

    /// Queues an entry, unless one is queued.
    pub(super) fn queue(&self, this: &Instance<Loop>) {
        if !self.phase.queued.replace(true) {
            this.push(Entry::Stream(self.counted()));
        }
    }

    /// The protocol.
    pub(crate) fn protocol(&self) -> Owned {
        self.protocol.get_or_none()
    }

    /// Changes the protocol, also in mid-stream.
    pub(super) fn set_protocol(&self, protocol: &Object) -> Result<()> {
        self.incoming.kind.set(if protocol.exact::<TlsProtocol>().is_some() {
            Kind::Tls
        } else if protocol.exact::<Connection>().is_some() {
            Kind::Http
        } else if is_buffered(protocol)? {
            Kind::Buffered
        } else {
            Kind::Plain
        });
        self.protocol.set(protocol.new_ref());
        self.named.forget();
        Ok(())
    }

    pub(super) fn event_loop(&self) -> Result<Ref<Loop>> {
        self.event_loop.get().ok_or_else(|| raise(Builtin::Runtime, "the transport is closed"))
    }

    /// `close()`: nothing more is read; what was written leaves first.
    pub(super) fn close(&self) -> Result<()> {
        if self.phase.closing.replace(true) {
            return Ok(());
        }
        self.hold()?;
        stream_write::flush(self)?;
        if self.outgoing.queue.borrow().is_empty() {
            self.lose(None)?;
        }
        Ok(())
    }

    /// Queues `connection_lost(exception)`, once.
    pub(super) fn lose(&self, exception: Option<&Object>) -> Result<()> {
        if self.phase.lost.get() > 0 {
            return Ok(());
        }
        self.phase.lost.set(1);
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        if event_loop.check_open().is_err_and(|raised| {
            raised.clear();
            true
        }) {
            // Nobody will run the queue again: only the descriptor is left to close.
            return self.socket.close();
        }
        let callback = self.object().getattr(&names().call_connection_lost)?;
        event_loop.call_soon(&callback, &[exception.unwrap_or(text::none_ref())])
    }

    /// Ends the connection at once; what was not sent is dropped.
    pub(super) fn force_close(&self, exception: Option<&Object>) -> Result<()> {
        if self.phase.lost.get() > 0 {
            return Ok(());
        }
        let unsent = self.outgoing.queue.borrow_mut().take();
        drop(unsent);
        self.phase.closing.set(true);
        self.lose(exception)
    }

    /// An error that ends the connection: reported unless it is the network's.
    pub(super) fn fatal_error(&self, exception: &Object, message: &str) -> Result<()> {
        if let Some(event_loop) = self.event_loop.get() {
            if error::is_exception_of(exception, Builtin::Os.object()) {
                event_loop.log_network_error(self.object(), exception, message)?;
            } else {
                self.report(&event_loop, exception, message)?;
            }
        }
        self.force_close(Some(exception))
    }

    pub(super) fn report(
        &self,
        event_loop: &Instance<Loop>,
        exception: &Object,
        message: &str,
    ) -> Result<()> {
        let protocol = self.protocol.get_or_none();
        let connection = Parties { transport: self.object(), protocol: &protocol };
        event_loop.report_connection(message, exception, connection)
    }

    /// Settles what a callback of the protocol raised: `KeyboardInterrupt` and `SystemExit`
    /// leave the loop, anything else ends the connection.
    pub(super) fn protocol_failed(&self, raised: Raised, message: &str) -> Result<()> {
        let exception = raised.fetch_for_report()?;
        self.fatal_error(&exception, message)
    }

    /// The last callback, run from the queue.
    pub(super) fn call_connection_lost(&self, exception: &Object) -> Result<Owned> {
        let outcome = match self.protocol.get() {
            Some(protocol) => {
                protocol.call_method(&names().connection_lost, &[exception]).map(drop)
            }
            None => Ok(()),
        };
        // Whatever it raised, the rest is done; the error is kept aside meanwhile.
        let failure = outcome.err().map(Raised::fetch);
        let ended = self.end();
        match failure {
            Some(failure) => {
                if let Err(raised) = ended {
                    raised.write_unraisable(Some(self.object()));
                }
                Err(error::raise_instance(failure))
            }
            None => ended.map(|()| text::none()),
        }
    }

    fn end(&self) -> Result<()> {
        let fd = self.socket.fd();
        if let Some(event_loop) = self.event_loop.get() {
            if fd >= 0 && event_loop.descriptors.is_owned_by(fd, self.object()) {
                event_loop.descriptors.disown(&event_loop, fd);
            }
        }
        self.socket.close()?;
        self.protocol.clear();
        self.event_loop.clear();
        if let Some(waiter) = self.outgoing.empty_waiter.take() {
            let class = text::connection_error();
            let error = class.call(&[&*text::string("Connection is closed by peer")?])?;
            waiter.call_method(&names().set_exception, &[&error])?;
        }
        self.leave_server()
    }

    fn leave_server(&self) -> Result<()> {
        if let Some(server) = self.server.take() {
            server.call_method(&names().detach_server, &[self.object()])?;
        }
        Ok(())
    }
}
